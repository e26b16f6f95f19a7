"""One output folder recovered: its parts put in their places, its ledger made anew from them.

What is killed on the way can be recovered again: the old ledger is put aside first, so that no run begins
over a folder that is half done; what is written anew stands before what it replaces makes room; the new
ledger appears last, whole.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from batchsearch import crash_points
from batchsearch.errors import ConfigError, OutputDamagedError, OutputError
from batchsearch.publish import make_folder, sync_path
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.ledger.rebuilt import write_ledger
from batchsearch.storage.ledger.salvage import Salvage, salvaged
from batchsearch.storage.output_layout import INSIDE, LEDGER, LOCK
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.storage.parts.part_files import part_number
from batchsearch.storage.sealed.inventory import part_folders, parts_in
from batchsearch.storage.sealed.unsealed import SET_ASIDE
from batchsearch.tasks.recover.choosing import chosen
from batchsearch.tasks.recover.entries_of_parts import contents_of, waiting_in
from batchsearch.tasks.recover.finding import Broken, found_history, found_parts
from batchsearch.tasks.recover.placing import Placing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.recover.choosing import Kept
    from batchsearch.tasks.recover.finding import Found

BEFORE: Final = "before-recovery"
"""Folder beside the ledger for those that were there before, by the time of their recovery."""

_MOST_LISTED: Final = 10
_ENDINGS: Final = ("", "-wal", "-shm")


@dataclass(slots=True)
class Recovered:
    """What became of an output folder.

    Attributes:
        folder: It.
        parts: Parts that readers see now.
        rows: Rows in them.
        hits: Hits in them.
        waiting: Outcomes that an earlier ledger had and no part: the next run writes them.
        answers: Requests that need no call any more.
        history: Outcomes that later ones have replaced.
        rewritten: Parts that were written anew, because rows stood elsewhere too or lacked something.
        moved: Parts that stood beside those that readers see.
        set_aside: Files that made room; they are in `set-aside/`.
        lost: Outcomes that nothing holds whole any more: the next run asks for them again.
        damaged: What could not be read.
        from_ledger: What an earlier ledger could still say: `all`, `part` or `nothing`.
    """

    folder: Path
    parts: int = 0
    rows: int = 0
    hits: int = 0
    waiting: int = 0
    answers: int = 0
    history: int = 0
    rewritten: int = 0
    moved: int = 0
    set_aside: list[str] = field(default_factory=list)
    lost: int = 0
    damaged: list[str] = field(default_factory=list)
    from_ledger: str = "nothing"


def outputs_in(folder: Path) -> list[Path]:
    """The output folders that a path means: itself, or those of the runs inside a dedup folder.

    Raises:
        ConfigError: There is none.
    """
    found = [each for each in (folder, *(folder / name for name in INSIDE)) if _is_output(each)]
    if not found:
        raise ConfigError(
            f"{folder}: has neither a ledger ({LEDGER}) nor parts; give the `output.dir` of a job that ran"
        )
    return found


def _is_output(folder: Path) -> bool:
    return (folder / LEDGER).exists() or bool(parts_in(folder)) or _older_ledgers(folder) != []


def recover_folder(folder: Path, *, without_damaged: bool = False) -> Recovered:
    """Make the ledger of an output folder anew from its parts.

    Args:
        folder: The output folder of one run.
        without_damaged: Give up what is damaged: it is set aside, and its rows are asked for again.

    Raises:
        OutputInUseError: A run works there.
        OutputDamagedError: Something is damaged; nothing was changed.
        OutputError: The disk refuses.
    """
    try:
        make_folder((folder / LEDGER).parent)
        with OutputLock(folder / LOCK, "recover"):
            return _Recovery(folder, without_damaged=without_damaged).run()
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: {error.strerror or error}; recover again when that is mended"
        ) from error
    except pa.ArrowException as error:
        raise OutputError(f"{folder}: {reason_of(error)}") from error


def _older_ledgers(folder: Path) -> list[Path]:
    return sorted((folder / LEDGER).parent.glob(f"{BEFORE}/*/{LEDGER.name}"))


class _Recovery:
    def __init__(self, folder: Path, *, without_damaged: bool) -> None:
        self._folder = folder
        self._without = without_damaged
        self._stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self._done = Recovered(folder)
        self._last = max(
            (part_number(Path(name).name) or 0 for name in self._every_name()),
            default=0,
        )

    def _every_name(self) -> Iterator[str]:
        for below in (*part_folders(), SET_ASIDE):
            for path in (self._folder / below).rglob("part-*"):
                yield path.name.removesuffix(".tmp")

    def run(self) -> Recovered:
        done, before = self._done, self._ledger_before()
        earlier = salvaged(before) if before is not None else Salvage(whole=False)
        if earlier.rows or earlier.named:
            done.from_ledger = "all" if earlier.whole else "part"
        self._last = max([self._last, *(part_number(part.name) or 0 for part in earlier.parts)])
        found, broken = self._against_seals(*found_parts(self._folder), earlier)
        kept = chosen([(part.number, part.rows) for part in found], [_usable(part) for part in found])
        history, broken_history = found_history(self._folder)
        self._refuse_loss(found, kept, broken, earlier)
        done.damaged += [str(one) for one in broken_history]
        self._put_ledger_aside()
        crash_points.reached("recover_begun")
        placing = Placing(self._folder, self._last, self._stamp)
        parts = placing.settle(found, kept)
        histories = placing.keep_earlier(found, kept, history)
        crash_points.reached("recover_settled")
        done.set_aside = placing.clear(parts, histories)
        crash_points.reached("recover_cleared")
        contents, counted = contents_of(self._folder, parts, histories, earlier, placing.last)
        write_ledger(self._folder / LEDGER, contents)
        done.parts, done.rows = len(parts), sum(part.rows for part in parts)
        done.hits = sum(part.hits for part in parts)
        done.moved, done.rewritten = placing.moved, placing.rewritten
        done.waiting, done.answers = counted.waiting, counted.answers
        done.history = sum(part.rows for part in histories)
        return done

    # -- looking -------------------------------------------------------------------------------------

    def _ledger_before(self) -> Path | None:
        """The ledger that says most: the one in its place, or the last one that a recovery has put aside."""
        place = self._folder / LEDGER
        if place.exists() and place.stat().st_size:
            return place
        older = _older_ledgers(self._folder)
        return older[-1] if older else None

    def _against_seals(
        self, found: list[Found], broken: list[Broken], earlier: Salvage
    ) -> tuple[list[Found], list[Broken]]:
        """Parts that an earlier ledger has sealed, but not with this content, are damaged."""
        if not earlier.whole:
            return found, broken
        seals = {part.name: (part.results_sha256, part.hits_sha256) for part in earlier.parts}
        sound = []
        for part in found:
            sealed = seals.get(part.name)
            changed = [
                path
                for path, now, then in zip(
                    (part.results, part.hits), part.sha256, sealed or part.sha256, strict=True
                )
                if path is not None and now != then
            ]
            if changed:
                broken += [Broken(path, "is not what was sealed") for path in changed if path is not None]
            else:
                sound.append(part)
        return sound, broken

    def _refuse_loss(
        self, found: list[Found], kept: list[Kept], broken: list[Broken], earlier: Salvage
    ) -> None:
        """Refuse what would make calls again, unless that was asked for."""
        lost = sum(int(each.lost.sum()) for each in kept)
        there = {
            row.tobytes()
            for part, each in zip(found, kept, strict=True)
            for row in part.rows["digest"][each.latest]
        }
        there |= waiting_in(earlier)
        gone = sum(digest not in there for digest in earlier.rows)
        lost = max(lost, gone)
        # A ledger that was read whole and misses nothing says that what is broken is not needed.
        needed = lost or (broken and not (earlier.whole and earlier.rows and not gone))
        lines = [str(one) for one in broken]
        self._done.damaged = lines
        self._done.lost = lost
        if not needed or self._without:
            return
        count = f"{lost:,} outcomes" if lost else "their outcomes"
        more = len(lines) - _MOST_LISTED
        shown = [*lines[:_MOST_LISTED], *([f"and {more:,} more"] if more > 0 else [])]
        listed = "\n  ".join(shown) or "rows that the ledger has are in no part"
        raise OutputDamagedError(
            f"{self._folder}: not everything is there, nothing was changed:\n  {listed}\n"
            f"Put the files back from a copy and recover again. Without a copy, `batchsearch recover "
            f"{self._folder} --without-damaged` sets them aside, and the next run asks for {count} again."
        )

    def _put_ledger_aside(self) -> None:
        place = self._folder / LEDGER
        there = [place.with_name(place.name + ending) for ending in _ENDINGS]
        if not any(path.exists() for path in there):
            return
        room = place.parent / BEFORE / self._stamp
        make_folder(room)
        # The log goes first: a database without its log is an older one, a log without its database is none.
        for path in there:
            if path.exists():
                path.rename(room / path.name)
        sync_path(room)
        sync_path(place.parent)


def _usable(part: Found) -> NDArray[np.bool_]:
    usable = np.ones(len(part.rows), bool)
    usable[part.lacking] = False
    return usable
