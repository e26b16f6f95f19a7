"""Turns pending outcomes into sealed parts: when there are enough of them, often enough, and at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from batchsearch.ledger.records import Part
from batchsearch.output.parts import part_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import FilteringBoundLogger as Logger

    from batchsearch.ledger.records import PendingRow
    from batchsearch.ledger.store import Ledger
    from batchsearch.output.parts import PartWriter, WrittenPart


class Sealer:
    """Writes and seals parts of one output.

    Args:
        ledger: Where outcomes wait.
        writer: Writes the files.
        rows_per_part: Outcomes that make a part.
        seconds: A part is sealed at least this often while outcomes wait.
        log: Where `part_sealed` goes.
    """

    def __init__(
        self, ledger: Ledger, writer: PartWriter, *, rows_per_part: int, seconds: float, log: Logger
    ) -> None:
        self._ledger = ledger
        self._writer = writer
        self._rows_per_part = rows_per_part
        self._seconds = seconds
        self._log = log
        self._pending = ledger.pending_count()
        self._parts = len(ledger.parts())
        self._enough = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        if self._pending >= rows_per_part:
            self._enough.set()

    def added(self) -> None:
        """An outcome was committed."""
        self._pending += 1
        if self._pending >= self._rows_per_part:
            self._enough.set()

    async def run(self) -> None:
        """Seal parts until cancelled.

        Raises:
            OutputError: When a part cannot be written or sealed.
        """
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._enough.wait()
            except TimeoutError:
                pass
            await asyncio.shield(self._seal(all_of_them=not self._enough.is_set()))

    async def finish(self) -> None:
        """Seal everything that waits.

        Raises:
            OutputError: When a part cannot be written or sealed.
        """
        # A run that was stopped may have committed outcomes that nobody was left to count.
        self._pending = self._ledger.pending_count()
        await self._seal(all_of_them=True)

    async def _seal(self, *, all_of_them: bool) -> None:
        async with self._one_at_a_time:
            while self._pending >= (1 if all_of_them else self._rows_per_part):
                part = await asyncio.to_thread(self._write)
                await self._ledger.seal(part)
                self._parts += 1
                self._pending -= part.rows
                self._log.debug("part_sealed", part=part.name, rows=part.rows, hits=part.hits)
        if self._pending < self._rows_per_part:
            self._enough.clear()

    def _write(self) -> Part:
        last_seq = 0

        def chunks() -> Iterator[list[PendingRow]]:
            nonlocal last_seq
            for chunk in self._ledger.pending(self._rows_per_part):
                last_seq = chunk[-1].seq
                yield chunk

        written: WrittenPart = self._writer.write(part_name(self._parts + 1), chunks())
        return Part(
            name=written.name,
            last_seq=last_seq,
            rows=written.rows,
            hits=written.hits,
            results_sha256=written.results_sha256,
            hits_sha256=written.hits_sha256,
        )
