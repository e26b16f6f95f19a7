"""Exchanging all parts of an output at once: for renewed outcomes, wider columns, or fewer parts.

::

    build the next generation ─▶ note it in the ledger ─▶ exchange the folders ─▶ note that ─▶ clean up
     (a kill here: nothing          (from here on a kill is finished by whoever opens the output next)
      has happened)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from batchsearch import crash_points
from batchsearch.engine.digest_set import DigestSet
from batchsearch.manifest.keys import digests_of
from batchsearch.storage.parts.generation import NextGeneration
from batchsearch.storage.parts.part_files import HITS, RESULTS, part_name
from batchsearch.storage.parts.rewrite import (
    changed,
    history_file,
    rewrite,
    row_keys,
    write_history,
)
from batchsearch.storage.sealed_part import STAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.parts.rewrite import Change
    from batchsearch.storage.sealed_part import SealedPart

ROWS_COMPACTED: Final = 200_000
"""Rows that make a compacted part, at least: some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Built:
    """A generation of parts whose files are durable, not yet seen by readers.

    Attributes:
        coming: New parts.
        stays: Parts taken over as they are, by name.
        history: New files of replaced outcomes.
        replaced: How many outcomes are replaced.
    """

    coming: tuple[SealedPart, ...]
    stays: tuple[str, ...]
    history: tuple[SealedPart, ...] = ()
    replaced: int = 0


class Generations:
    """Exchanges the parts of one output; the output is this process's alone.

    Args:
        ledger: Knows the parts.
        folder: The output folder.
        schemas: Columns of `results` and of `hits`.
        log: Where events go.

    Raises:
        OutputError: From every method: a part cannot be read or written, or the ledger refuses.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        schemas: tuple[pa.Schema, pa.Schema],
        log: FilteringBoundLogger,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._schemas = schemas
        self._log = log
        self._next = NextGeneration(folder)

    def staged(self) -> bool:
        """Whether renewed outcomes wait to take their place, sealed or not."""
        return bool(self._ledger.parts(STAGED)) or self._ledger.waiting(replaces=True).rows > 0

    async def bring_in(self) -> int:
        """Let readers see the staged outcomes in place of the ones they replace; how many there were."""
        if not self._ledger.parts(STAGED):
            return 0
        built = await asyncio.to_thread(self._build_renewed)
        await self._switch(built)
        self._log.info("outcomes_renewed", rows=built.replaced)
        return built.replaced

    async def compact(self, rows: int = ROWS_COMPACTED) -> tuple[int, int]:
        """Merge parts that follow one another until each has so many rows; how many parts it was, and is."""
        await self.bring_in()
        before = self._ledger.parts()
        groups = grouped(before, rows)
        if all(len(group) == 1 for group in groups):
            return len(before), len(before)
        await self._switch(await asyncio.to_thread(self._build_compacted, groups))
        return len(before), len(groups)

    async def change(self, others: Collection[str], change: Change) -> None:
        """Write parts anew, by name, with the columns that all are to have, and as the change says."""
        await self._switch(await asyncio.to_thread(self._build_changed, others, change))

    async def _switch(self, built: Built) -> None:
        crash_points.reached("compact_intent")
        await self._ledger.intend(built.coming, built.stays, built.history)
        await _finish(self._ledger, self._folder, self._log)

    def _build_compacted(self, groups: Sequence[Sequence[SealedPart]]) -> Built:
        def merged(group: Sequence[SealedPart], name: str) -> SealedPart | None:
            sources = [self._folder / RESULTS / part.name for part in group]
            return None if len(group) == 1 else rewrite(sources, self._folder, name, self._schemas).part

        return self._built(groups, merged)

    def _build_changed(self, others: Collection[str], change: Change) -> Built:
        def anew(group: Sequence[SealedPart], name: str) -> SealedPart | None:
            part = group[0]
            if part.name not in others:
                return None
            source = self._folder / RESULTS / part.name
            made, has_hits = changed(source, self._folder, name, self._schemas, change)
            if has_hits:
                return made
            self._next.keep_hits(part.name, name)
            return replace(made, hits=part.hits, hits_sha256=part.hits_sha256)

        return self._built([[part] for part in self._ledger.parts()], anew)

    def _built(
        self,
        groups: Iterable[Sequence[SealedPart]],
        made_of: Callable[[Sequence[SealedPart], str], SealedPart | None],
    ) -> Built:
        """A generation with one part for each group; None leaves a group's only part as it is."""
        self._next.begin()
        number = self._ledger.next_part()
        coming: list[SealedPart] = []
        stays: list[str] = []
        for group in groups:
            made = made_of(group, part_name(number + len(coming)))
            if made is None:
                self._next.keep(group[0].name)
                stays.append(group[0].name)
                continue
            first, last = min(part.first_seq for part in group), max(part.last_seq for part in group)
            coming.append(replace(made, first_seq=first, last_seq=last))
        self._next.sync()
        return Built(tuple(coming), tuple(stays))

    def _build_renewed(self) -> Built:
        staged = self._ledger.parts(STAGED)
        places = (self._folder / STAGED / RESULTS / part.name for part in staged)
        renewed = DigestSet(b"".join(digests_of(row_keys(path))) for path in places)
        self._next.begin()
        number = self._ledger.next_part()
        history = history_file(self._folder, part_name(number), self._schemas[0])
        coming: list[SealedPart] = []
        stays: list[str] = []
        replaced = 0
        try:
            for part in self._ledger.parts():
                path = self._folder / RESULTS / part.name
                keys = row_keys(path)
                gone = keys.filter(pa.array(renewed.among(digests_of(keys)))).combine_chunks()
                if not len(gone):
                    self._next.keep(part.name)
                    stays.append(part.name)
                    continue
                name = part_name(number + 1 + len(coming))
                made = rewrite([path], self._folder, name, self._schemas, leave_out=gone, replaced=history)
                replaced += made.replaced
                if made.part.rows:
                    coming.append(replace(made.part, first_seq=part.first_seq, last_seq=part.last_seq))
                else:
                    self._next.drop(name)
            for part in staged:
                self._next.keep(part.name, under=STAGED)
                stays.append(part.name)
        except BaseException:
            history.abandon()
            raise
        written = write_history(history)
        self._next.sync()
        return Built(tuple(coming), tuple(stays), (written,), replaced)


async def finish_exchange(ledger: Ledger, folder: Path, log: FilteringBoundLogger) -> None:
    """Finish an exchange that a kill has interrupted, or remove what was built for one.

    To be called when the sealed parts are known to be whole, and nothing beside them to be another ledger's.

    Raises:
        OutputError: The disk or the ledger refuses.
    """
    if ledger.coming() is not None:
        await _finish(ledger, folder, log)
    else:
        await asyncio.to_thread(NextGeneration(folder).clean)


async def _finish(ledger: Ledger, folder: Path, log: FilteringBoundLogger) -> None:
    """Do what the ledger says is to be done: every step may have been done already."""
    names, coming = ledger.coming(), NextGeneration(folder)
    if names is None:
        return
    in_one_step = await asyncio.to_thread(coming.exchange, names)
    if not in_one_step:
        log.warning("folders_not_exchanged", output=str(folder))
    adopted = [folder / STAGED / table / name for name in ledger.adopted() for table in (RESULTS, HITS)]
    crash_points.reached("compact_switch")
    await ledger.switched()
    await asyncio.to_thread(coming.clean, adopted)


def grouped(parts: Sequence[SealedPart], rows: int) -> list[list[SealedPart]]:
    """Parts that follow one another, in groups of at least so many rows; the last one may have fewer."""
    groups: list[list[SealedPart]] = []
    for part in parts:
        if groups and sum(each.rows for each in groups[-1]) < rows:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups
