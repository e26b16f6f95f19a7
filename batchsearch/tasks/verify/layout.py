"""Where the files of an output folder are: the parts that readers see, and those beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.sealed.inventory import NEXT, Inventory
from batchsearch.storage.sealed.unsealed import WaitingOutcomes, unsealed
from batchsearch.storage.sealed_part import HISTORY, STAGED
from batchsearch.tasks.verify import row_records as records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchsearch.storage.sealed.unsealed import Why
    from batchsearch.storage.sealed_part import SealedPart
    from batchsearch.tasks.verify.ledger_view import LedgerView

_KINDS: Final[dict[Why, str]] = {
    "temporary": "leftover",
    "beside": "leftover",
    "adopted": "leftover",
    "left": "leftover",
    "unknown": "part_unknown",
    "table": "stray_table",
    "file": "stray_file",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A sealed part, and where it is.

    Attributes:
        part: What the ledger says of it.
        results: Its file of results.
        hits: Its file of hits; None when it has none.
        source: What its rows are: `records.RESULTS`; `records.PENDING` for outcomes that readers do not see
            yet; None for such that are past.
    """

    part: SealedPart
    results: Path
    hits: Path | None
    source: int | None


def readings(folder: Path, view: LedgerView) -> list[Reading]:
    """Every sealed part with its place.

    While generations are being exchanged, the coming one counts: the exchange is always finished, and its
    files are in the folders that readers see, or still beside them.
    """
    found = []
    for part in view.parts:
        if part.place == HISTORY:
            found.append(Reading(part, folder / HISTORY / part.name, None, None))
        elif view.switching:
            if part.stays:
                seen = [_either(folder, table, part.name) for table in (RESULTS, HITS)]
                found.append(Reading(part, seen[0], seen[1], records.RESULTS))
        elif part.place == STAGED:
            below = folder / STAGED
            found.append(
                Reading(part, below / RESULTS / part.name, below / HITS / part.name, records.PENDING)
            )
        else:
            found.append(
                Reading(part, folder / RESULTS / part.name, folder / HITS / part.name, records.RESULTS)
            )
    return found


def _either(folder: Path, table: str, name: str) -> Path:
    seen, beside = folder / table / name, folder / (table + NEXT) / name
    return beside if beside.exists() and not seen.exists() else seen


def beside(folder: Path, view: LedgerView, ledger: Path) -> Iterator[tuple[str, str]]:
    """Everything beside the sealed files: the kind of finding when no run is going on, and its name.

    Args:
        folder: The output folder.
        view: What its ledger says.
        ledger: The ledger's file.

    Raises:
        OSError: A folder cannot be read.
        OutputError: The ledger cannot be read.
    """

    def waiting() -> Iterator[bytes]:
        with LedgerReader(ledger, oldest=1) as reader:
            yield from reader.waiting_results()

    inventory = Inventory.of(view.parts, next_part=view.next_part, switching=view.switching)
    for each in unsealed(folder, inventory, WaitingOutcomes(waiting)):
        yield _KINDS[each.why], each.path
