"""What readers read of an output: the files that are sealed, once it is known that they are what was sealed.

Whoever reads `results` or `hits` (a report, a diff, the Python API, the nights of dedup, the scores of a
comparison) asks here which files that is. So a part that is missing, exchanged or cut off is named rather
than counted as nothing, and one that no seal covers is not counted twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.path_spellings import in_shell
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.lock import is_held
from batchsearch.storage.ledger.store import SCHEMA_VERSION
from batchsearch.storage.output_layout import LEDGER, LOCK, lanes_in
from batchsearch.storage.sealed.difference import CheckedFiles, differences
from batchsearch.storage.sealed.inventory import TABLES, has_ledger, inventory_of
from batchsearch.storage.sealed.unsealed import WaitingOutcomes, unsealed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.storage.sealed.inventory import Inventory

Unchecked = Literal["no_ledger", "older_ledger"]
"""Why nobody knows whether the files are all there: the folder was copied without its ledger, or an older
version wrote it."""

_TRIES: Final = 5
_PAUSE: Final = 0.2
"""Between two looks at a folder whose parts are being exchanged, seconds: the exchange takes less."""
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class ReadableOutput:
    """The files of an output folder that readers read.

    Attributes:
        folder: The output folder.
        tables: The files of `results` and of `hits`, in the order of their outcomes.
        unchecked: Why they could not be compared with what was sealed; None when they were.
    """

    folder: Path
    tables: dict[str, tuple[Path, ...]]
    unchecked: Unchecked | None = None

    @property
    def warning(self) -> str:
        """What to say of files that could not be compared, for people; empty when they were."""
        if self.unchecked is None:
            return ""
        why = {
            "no_ledger": f"it has no ledger ({LEDGER})",
            "older_ledger": "an older version of batchsearch wrote its ledger; "
            "`batchsearch run` brings it up to date",
        }[self.unchecked]
        return f"{self.folder}: whether its parts are all there and unchanged could not be checked: {why}"


def readable_output(folder: Path) -> ReadableOutput:
    """What is to be read of an output folder; nothing in it is changed, and a run may go on meanwhile.

    A file whose content was compared before, by a run, is only looked at; any other one is read once.

    Args:
        folder: The output folder of one run, or of a job whose instances have a folder each below it.
            Without a ledger, every table in it is read.

    Raises:
        OutputDamagedError: Sealed files are missing or changed, or there are some that no seal covers.
        OutputError: The folder or its ledger cannot be read.
    """
    try:
        if not has_ledger(folder):
            lanes = lanes_in(folder)
            return _together(folder, lanes) if lanes else _as_it_is(folder, "no_ledger")
        for _ in range(_TRIES - 1):
            found = _looked_at(folder)
            if found is not None:
                return found
            time.sleep(_PAUSE)
        found = _looked_at(folder, even_if_moving=True)
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
    if found is None:
        raise AssertionError("the last look always has a result")
    return found


def _together(folder: Path, lanes: Sequence[Path]) -> ReadableOutput:
    """What is to be read of an output whose instances have a folder each: all of it, as one."""
    found = [readable_output(lane) for lane in lanes]
    return ReadableOutput(
        folder,
        {table: tuple(file for each in found for file in each.tables[table]) for table in TABLES},
        next((each.unchecked for each in found if each.unchecked is not None), None),
    )


def sealed_files(folder: Path) -> tuple[Path, ...]:
    """The files of one table; see `readable_output`.

    Args:
        folder: The table's own folder: `results` or `hits` of an output folder.
    """
    return readable_output(folder.parent).tables[folder.name]


def _as_it_is(folder: Path, why: Unchecked) -> ReadableOutput:
    """Every table in there, by name."""
    tables = {
        table: tuple(sorted(path for path in (folder / table).glob("*.parquet") if path.is_file()))
        for table in TABLES
    }
    return ReadableOutput(folder, tables, why)


def _looked_at(folder: Path, *, even_if_moving: bool = False) -> ReadableOutput | None:
    """What is to be read; None when parts were exchanged meanwhile, so that a look means nothing."""
    with LedgerReader(folder / LEDGER, oldest=1) as ledger:
        if ledger.version < SCHEMA_VERSION:
            return _as_it_is(folder, "older_ledger")
        inventory = inventory_of(ledger)
        tables = {
            table: tuple(inventory.where(folder, file) for file in inventory.seen(table)) for table in TABLES
        }
        wrong = _wrong(folder, inventory, ledger)
        if wrong and not even_if_moving and inventory_of(ledger) != inventory:
            return None
    if wrong:
        listed = "\n  ".join(wrong[:_MOST_LISTED])
        more = len(wrong) - _MOST_LISTED
        listed += f"\n  and {more:,} more" if more > 0 else ""
        raise OutputDamagedError(
            f"{folder}: its files are not those that were sealed:\n  {listed}\n"
            f"Nothing was counted. `batchsearch verify {in_shell(folder)}` says what to do."
        )
    return ReadableOutput(folder, tables)


def _wrong(folder: Path, inventory: Inventory, ledger: LedgerReader) -> list[str]:
    """What is wrong with the files that readers see, one line each."""
    damaged = differences(folder, inventory, CheckedFiles(folder, copied=True), only_seen=True)
    wrong = [str(each) for each in damaged]
    running = is_held(folder / LOCK)
    waiting = WaitingOutcomes(ledger.waiting_results)
    for each in unsealed(folder, inventory, waiting):
        is_seen = each.path.split("/")[0] in TABLES
        # A run that is going on has parts that it has not sealed yet.
        if is_seen and (each.why == "table" or (each.why == "unknown" and not running)):
            wrong.append(f"{each.path}: no seal covers it")
    return wrong
