"""Turns pending outcomes into sealed parts: when there are enough of them, often enough, and at the end."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from batchsearch import crash_points
from batchsearch.descriptors import Shortage, is_exhausted
from batchsearch.errors import OutputError
from batchsearch.storage.parts.part_files import PartWriter, part_name
from batchsearch.storage.parts.results_and_hits import hits_schema, own_results_schema, results_schema
from batchsearch.storage.remote.answer_journal import take_error
from batchsearch.storage.sealed_part import STAGED

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger as Logger

    from batchsearch.engine.parts.exchange import Generations
    from batchsearch.storage.ledger.entries import PendingRow
    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.sealed_part import SealedPart

BYTES_PER_PART: Final = 256 * 1024 * 1024
"""Payload that makes a part, however few rows: results, hits and carried columns as the ledger keeps them."""


@dataclass(frozen=True, slots=True)
class Writers:
    """Who writes parts.

    Attributes:
        current: Those that readers see.
        staged: Those of outcomes that replace earlier ones, out of readers' sight.
    """

    current: PartWriter
    staged: PartWriter

    @classmethod
    def of(cls, folder: Path, operation: str, carried: pa.Schema) -> Self:
        """Writers of an output folder's parts.

        Args:
            folder: The output folder.
            operation: Operation called.
            carried: The manifest's own columns.
        """
        results, own = results_schema(operation, carried), own_results_schema(operation)
        return cls._both(folder, results, own, hits_schema(), carried)

    @classmethod
    def reading(cls, folder: Path, schemas: tuple[pa.Schema, pa.Schema]) -> Self:
        """Writers of parts that are there already, whose columns are known from their files."""
        return cls._both(folder, schemas[0], schemas[0], schemas[1], pa.schema([]))

    @classmethod
    def _both(
        cls, folder: Path, results: pa.Schema, own: pa.Schema, hits: pa.Schema, carried: pa.Schema
    ) -> Self:
        current, staged = (
            PartWriter(
                place,
                results_schema=results,
                own_schema=own,
                hits_schema=hits,
                passthrough_schema=carried,
            )
            for place in (folder, folder / STAGED)
        )
        return cls(current, staged)

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: They cannot be made.
        """
        self.current.prepare()
        self.staged.prepare()


@dataclass(eq=False)
class Sealer:
    """Writes and seals parts of one output, one at a time.

    Outcomes that replace earlier ones have parts of their own, staged out of readers' sight; at the end they
    take the others' place, all at once. What waits, and which part is the next, is asked of the ledger every
    time. After a failure nothing is written any more: the error comes out of `run`, or of `finish` when `run`
    was cancelled before it could.

    Attributes:
        ledger: Where outcomes wait.
        writers: Write the files.
        generations: Brings the staged ones in.
        rows_per_part: Outcomes that make a part.
        seconds: A part is sealed at least this often while outcomes wait.
        log: Where `part_sealed` goes.
        bytes_per_part: Payload that makes a part.
    """

    ledger: Ledger
    writers: Writers
    generations: Generations
    _: KW_ONLY
    rows_per_part: int
    seconds: float
    log: Logger
    bytes_per_part: int = BYTES_PER_PART
    _failure: Exception | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._enough = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self.added()

    def added(self) -> None:
        """An outcome was committed."""
        if self._is_enough():
            self._enough.set()

    def _is_enough(self) -> bool:
        return self._fills_a_part(replaces=False) or self._fills_a_part(replaces=True)

    def _fills_a_part(self, *, replaces: bool) -> bool:
        waiting = self.ledger.waiting(replaces=replaces)
        return waiting.rows >= self.rows_per_part or waiting.payload >= self.bytes_per_part

    async def run(self) -> None:
        """Seal parts until cancelled; a part that is being written then is finished in the background.

        Raises:
            OutputError: When a part cannot be written or sealed.
        """
        while True:
            try:
                async with asyncio.timeout(self.seconds):
                    await self._enough.wait()
            except TimeoutError:
                pass
            await _through(self._seal_what_waits())

    async def finish(self, *, at_least_one: bool = False) -> None:
        """Seal everything that waits.

        Args:
            at_least_one: When there is no part at all, seal one without rows, so that readers find the
                columns; for a run that has no row left to do.

        Raises:
            OutputError: When a part cannot be written or sealed, or could not be before.
        """
        await _through(self._seal_all(at_least_one=at_least_one))

    async def _seal_all(self, *, at_least_one: bool) -> None:
        async with self._one_at_a_time:
            self._raise_failure()
            for replaces in (False, True):
                while self.ledger.waiting(replaces=replaces).rows:
                    await self._seal_one(replaces=replaces)
            await self._bring_in()
            if at_least_one and not await asyncio.to_thread(self.ledger.parts):
                await self._seal_one()

    async def _bring_in(self) -> None:
        try:
            await self.generations.bring_in()
        except Exception as error:
            self._failure = error
            raise

    async def _seal_what_waits(self) -> None:
        """Seal what waits now: every full part, and one that is not when nothing else waits."""
        async with self._one_at_a_time:
            self._raise_failure()
            for replaces in (False, True):
                if self.ledger.waiting(replaces=replaces).rows:
                    await self._seal_one(replaces=replaces)
                # Rows go on coming meanwhile: only what fills a part is worth another one.
                while self._fills_a_part(replaces=replaces):
                    await self._seal_one(replaces=replaces)
            self._enough.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _seal_one(self, *, replaces: bool = False) -> None:
        try:
            part = await self._written(replaces)
            crash_points.reached("part_seal_before")
            await self.ledger.seal(part, replaces=replaces)
            crash_points.reached("part_seal_after")
        except Exception as error:
            self._failure = error
            raise
        self.log.debug("part_sealed", part=part.name, rows=part.rows, hits=part.hits)

    async def _written(self, replaces: bool) -> SealedPart:
        """Write a part; while there are no file descriptors left that is tried again."""
        shortage = Shortage(asyncio.sleep)
        while True:
            try:
                return await asyncio.to_thread(self._write, replaces)
            except OutputError as error:
                if not is_exhausted(error):
                    raise
            await shortage.wait()

    def _write(self, replaces: bool) -> SealedPart:
        first_seq = last_seq = 0

        def chunks() -> Iterator[list[PendingRow]]:
            nonlocal first_seq, last_seq
            for chunk in self.ledger.pending(
                self.rows_per_part, replaces=replaces, most_bytes=self.bytes_per_part
            ):
                first_seq, last_seq = first_seq or chunk[0].seq, chunk[-1].seq
                yield chunk

        name = part_name(self.ledger.next_part())
        writer = self.writers.staged if replaces else self.writers.current
        before = writer.left_out
        written = writer.write(name, chunks())
        if writer.left_out > before:
            self.log.warning("fields_left_out", part=name, fields=writer.left_out - before)
        return replace(written, first_seq=first_seq, last_seq=last_seq)


async def _through(sealing: Coroutine[Any, Any, None]) -> None:
    """Await sealing that goes on when its caller is cancelled: a thread in the middle of a file cannot stop.

    Whoever seals next waits for it, and has its error.
    """
    task = asyncio.create_task(sealing)
    task.add_done_callback(take_error)
    await asyncio.wait([task])
    task.result()
