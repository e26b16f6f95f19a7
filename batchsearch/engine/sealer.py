"""Turns pending outcomes into sealed parts: when there are enough of them, often enough, and at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from batchsearch.ledger.records import Part
from batchsearch.output.parts import part_name

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from structlog.typing import FilteringBoundLogger as Logger

    from batchsearch.ledger.records import PendingRow
    from batchsearch.ledger.store import Ledger
    from batchsearch.output.parts import PartWriter, WrittenPart

BYTES_PER_PART: Final = 256 * 1024 * 1024
"""Payload that makes a part, however few rows: results, hits and carried columns as the ledger keeps them."""


class Sealer:
    """Writes and seals parts of one output, one at a time.

    What waits, and which part is the next, is asked of the ledger every time. After a failure nothing is
    written any more: the error comes out of `run`, or of `finish` when `run` was cancelled before it could.

    Args:
        ledger: Where outcomes wait.
        writer: Writes the files.
        rows_per_part: Outcomes that make a part.
        seconds: A part is sealed at least this often while outcomes wait.
        log: Where `part_sealed` goes.
        bytes_per_part: Payload that makes a part.
    """

    def __init__(
        self,
        ledger: Ledger,
        writer: PartWriter,
        *,
        rows_per_part: int,
        seconds: float,
        log: Logger,
        bytes_per_part: int = BYTES_PER_PART,
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._rows_per_part = rows_per_part
        self._bytes_per_part = bytes_per_part
        self._seconds = seconds
        self._log = log
        self._enough = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._failure: Exception | None = None
        self.added()

    def added(self) -> None:
        """An outcome was committed."""
        if self._is_enough():
            self._enough.set()

    def _is_enough(self) -> bool:
        waiting = self._ledger.waiting
        return waiting.rows >= self._rows_per_part or waiting.payload >= self._bytes_per_part

    async def run(self) -> None:
        """Seal parts until cancelled; a part that is being written then is finished in the background.

        Raises:
            OutputError: When a part cannot be written or sealed.
        """
        while True:
            try:
                async with asyncio.timeout(self._seconds):
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
            while self._ledger.waiting.rows:
                await self._seal_one()
            if at_least_one and not await asyncio.to_thread(self._ledger.parts):
                await self._seal_one()

    async def _seal_what_waits(self) -> None:
        """Seal what waits now: every full part, and one that is not when nothing else waits."""
        async with self._one_at_a_time:
            self._raise_failure()
            if self._ledger.waiting.rows:
                await self._seal_one()
            # Rows go on coming meanwhile: only what fills a part is worth another one.
            while self._is_enough():
                await self._seal_one()
            self._enough.clear()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _seal_one(self) -> None:
        try:
            part = await asyncio.to_thread(self._write)
            await self._ledger.seal(part)
        except Exception as error:
            self._failure = error
            raise
        self._log.debug("part_sealed", part=part.name, rows=part.rows, hits=part.hits)

    def _write(self) -> Part:
        last_seq = 0

        def chunks() -> Iterator[list[PendingRow]]:
            nonlocal last_seq
            for chunk in self._ledger.pending(self._rows_per_part, most_bytes=self._bytes_per_part):
                last_seq = chunk[-1].seq
                yield chunk

        written: WrittenPart = self._writer.write(part_name(len(self._ledger.parts()) + 1), chunks())
        return Part(
            name=written.name,
            last_seq=last_seq,
            rows=written.rows,
            hits=written.hits,
            results_sha256=written.results_sha256,
            hits_sha256=written.hits_sha256,
        )


async def _through(sealing: Coroutine[Any, Any, None]) -> None:
    """Await sealing that goes on when its caller is cancelled: a thread in the middle of a file cannot stop.

    Whoever seals next waits for it, and has its error.
    """
    task = asyncio.create_task(sealing)
    task.add_done_callback(_take_error)
    await asyncio.wait([task])
    task.result()


def _take_error(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
