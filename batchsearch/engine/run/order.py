"""An output put in order before anything is added to it: first looked at whole, and only then tidied.

Nothing is moved before every sealed part is known to be what was sealed, and every other part to be one that
an interrupted run can have left. What an interrupted run has left makes room in `set-aside/`; a part that the
ledger cannot know ends the command, because its ledger may be the one that is missing.
"""

from __future__ import annotations

import asyncio
import json
from functools import reduce
from typing import TYPE_CHECKING, Final

from batchsearch import crash_points
from batchsearch.engine.parts.exchange import finish_exchange
from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.path_spellings import in_shell
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.store import SCHEMA_VERSION, Ledger
from batchsearch.storage.output_layout import LEDGER
from batchsearch.storage.sealed.difference import CheckedFiles, differences
from batchsearch.storage.sealed.inventory import has_ledger, inventory_of, parts_in
from batchsearch.storage.sealed.key_sums import Keys, keys_from, keys_of_ledger, keys_of_parts
from batchsearch.storage.sealed.unsealed import WaitingOutcomes, set_aside, unsealed
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.sealed.unsealed import Unsealed

KEYS: Final = "keys"
"""Named text of the ledger: its rows counted and summed up when the last run ended, empty while one is on."""

_PART_KEYS: Final = "part_keys"
"""Named text of the ledger: the keys of each sealed part summed up, by the SHA-256 of its results."""

_MOST_LISTED: Final = 10


def refuse_without_ledger(folder: Path) -> None:
    """Refuse parts without a ledger: a new one would take them for leftovers, and their calls be made again.

    Raises:
        OutputDamagedError: There are parts, and no ledger, or an empty one.
    """
    if has_ledger(folder):
        return
    parts = parts_in(folder)
    if parts:
        listed = _listed(parts)
        raise OutputDamagedError(
            f"{folder}: has parts, but no ledger that knows them ({LEDGER} is missing or empty):\n"
            f"  {listed}\nNothing was changed and no call was made. {_ways_on(folder, 'the ledger')}"
        )


async def examined(ledger: LedgerQueries, folder: Path) -> list[Unsealed]:
    """See that every sealed part is whole, and that nothing beside them is another ledger's.

    Args:
        ledger: Knows what is sealed.
        folder: The output folder.

    Returns:
        What an interrupted run has left.

    Raises:
        OutputDamagedError: Parts are missing or changed, or there are some that the ledger cannot know.
        OutputError: The disk refuses.
    """
    return await asyncio.to_thread(_examine, ledger, folder)


async def put_in_order(ledger: Ledger, folder: Path, left: Sequence[Unsealed]) -> None:
    """Finish or set aside what a kill has interrupted.

    Args:
        ledger: Knows what is sealed.
        folder: The output folder.
        left: From `examined`.

    Raises:
        OutputError: The disk refuses.
    """
    crash_points.reached("open_leftovers")
    ledger.began_with = ledger.meta(KEYS) or ""
    if ledger.began_with:
        await ledger.set_meta(KEYS, "")
    await finish_exchange(ledger, folder, logger())
    moved = await asyncio.to_thread(_clear, folder, left)
    if moved:
        logger().info("leftovers_set_aside", files=moved)


def refuse_damage(folder: Path) -> None:
    """Refuse an output folder that a run would refuse, without touching it: before anything else is spent.

    Raises:
        OutputDamagedError: As `examined` raises.
        OutputError: The ledger cannot be read.
    """
    refuse_without_ledger(folder)
    if has_ledger(folder):
        with LedgerReader(folder / LEDGER, oldest=1) as ledger:
            # An older ledger is brought up to date first, by the run itself.
            if ledger.version == SCHEMA_VERSION:
                _examine(ledger, folder)


def _examine(ledger: LedgerQueries, folder: Path) -> list[Unsealed]:
    """What lies beside the sealed parts, all of which are whole."""
    inventory = inventory_of(ledger)
    checked = CheckedFiles(folder)
    damaged = differences(folder, inventory, checked)
    if damaged:
        raise OutputDamagedError(
            f"{folder}: sealed parts are missing or damaged:\n  {_listed([str(one) for one in damaged])}\n"
            f"Nothing was changed and no call was made. {_ways_on(folder, 'them')}"
        )
    try:
        found = list(unsealed(folder, inventory, WaitingOutcomes(ledger.waiting_results)))
    except OSError as error:
        raise OutputError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
    unknown = [each.path for each in found if each.why == "unknown"]
    if unknown:
        raise OutputDamagedError(
            f"{folder}: has parts that its ledger does not know, so the ledger is an older copy or another "
            f"one:\n  {_listed(unknown)}\n"
            f"Nothing was changed and no call was made. {_ways_on(folder, 'the latest ledger')}"
        )
    # What is the last writer's file to the byte has the rows that were summed up in it.
    noted = None if isinstance(ledger, Ledger) and ledger.is_as_left else ledger.meta(KEYS)
    if noted and noted != keys_of_ledger(ledger).as_text():
        raise OutputDamagedError(
            f"{folder / LEDGER}: does not have the rows any more that it had when the last run ended. "
            f"Nothing was changed and no call was made. {_ways_on(folder, 'the ledger')}"
        )
    checked.keep()
    return found


async def disagreement(ledger: Ledger, folder: Path, expected: int | None) -> str:
    """What does not agree at the end of a run, for people; empty when all does.

    Every outcome is sealed by then. The keys in parts that an earlier run has not read are read once more,
    about a second for a million.

    Args:
        ledger: The output's.
        folder: The output folder.
        expected: How many rows must have their outcome by now; None when the run has left some.

    Raises:
        OutputError: The ledger cannot be read or written.
    """
    keys = await asyncio.to_thread(_keys_now, ledger)
    inventory, checked = inventory_of(ledger), CheckedFiles(folder)
    damaged = await asyncio.to_thread(differences, folder, inventory, checked)
    if damaged:
        listed = _listed([str(one) for one in damaged])
        return f"{folder}: sealed parts are missing or damaged:\n  {listed}\n{_ways_on(folder, 'them')}"
    # Readers need not read again what was read now.
    checked.keep()
    by_part = await asyncio.to_thread(keys_of_parts, folder, inventory, _noted_parts(ledger))
    parts = reduce(Keys.together, by_part.values(), Keys())
    said = ""
    if parts.count != keys.count:
        said = f"the parts have {parts.count:,} rows, the ledger {keys.count:,}"
    elif parts != keys:
        said = "the parts and the ledger have other rows"
    elif expected is not None and keys.count != expected:
        said = f"{keys.count:,} rows have their outcome, the manifest needs {expected:,}"
    if said:
        return f"{folder}: {said}; `batchsearch verify {in_shell(folder)}` says which, and what to do"
    noted = json.dumps({sha256: of_part.as_text() for sha256, of_part in by_part.items()})
    await ledger.set_meta(_PART_KEYS, noted)
    await ledger.set_meta(KEYS, keys.as_text())
    return ""


def _keys_now(ledger: Ledger) -> Keys:
    """The rows that have their outcome: those of the beginning, which were read, and those of this run.

    Where this run has brought many, or they do not add up, all are read.
    """
    new = ledger.finished_here
    if ledger.began_with and new is not None:
        keys = keys_from(ledger.began_with).added(new)
        if keys.count == ledger.finished_count():
            return keys
    return keys_of_ledger(ledger)


def _noted_parts(ledger: LedgerQueries) -> dict[str, Keys]:
    """The keys of parts that earlier runs have read; empty where that cannot be read."""
    try:
        noted = json.loads(ledger.meta(_PART_KEYS) or "{}")
        return {sha256: keys_from(text) for sha256, text in noted.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _clear(folder: Path, found: Sequence[Unsealed]) -> list[str]:
    """Set aside what an interrupted run has left; where it is now."""
    try:
        for each in found:
            # A temporary file is no part yet, and a staged one that has become current stands there.
            if each.why in {"temporary", "adopted"}:
                (folder / each.path).unlink(missing_ok=True)
        left = [each.path for each in found if each.why == "left" and (folder / each.path).exists()]
        return set_aside(folder, left)
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: what an interrupted run has left cannot be moved: "
            f"{error.strerror or error}"
        ) from error


def _listed(lines: Sequence[str]) -> str:
    more = len(lines) - _MOST_LISTED
    return "\n  ".join([*lines[:_MOST_LISTED], *([f"and {more:,} more"] if more > 0 else [])])


def _ways_on(folder: Path, what: str) -> str:
    return (
        f"Put {what} back from a copy; or let `batchsearch recover {in_shell(folder)}` make the ledger "
        "anew from the parts, so that nothing is asked for twice; or begin anew in another folder "
        "(`--fresh DIR` or another `output.dir`)."
    )
