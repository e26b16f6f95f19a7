"""Batches of images that are begun in order and finished in order, some of them under way at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Batch = TypeVar("Batch")
Made = TypeVar("Made")


class BatchesAhead(Generic[Batch, Made]):
    """Holds what was begun until it is finished; for one task.

    Args:
        most: Images under way from which on the oldest batch is waited for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: deque[tuple[Batch, int, asyncio.Future[Made] | None]] = deque()

    def __len__(self) -> int:
        return len(self._running)

    @property
    def is_full(self) -> bool:
        """Whether the oldest is to be finished before another is begun."""
        return bool(self._running) and sum(images for _, images, _ in self._running) >= self._most

    def begin(self, batch: Batch, images: int, work: asyncio.Future[Made] | None) -> None:
        """Take a batch whose work has begun; None where there is none to be done."""
        self._running.append((batch, images, work))

    async def finish(self) -> tuple[Batch, Made | None]:
        """The oldest batch, when its work is done; raises what that raises."""
        batch, _, work = self._running[0]
        made = None if work is None else await work
        self._running.popleft()
        return batch, made

    async def drop(self) -> None:
        """Call off what is under way."""
        left = [work for _, _, work in self._running if work is not None]
        self._running.clear()
        for work in left:
            work.cancel()
        await asyncio.gather(*left, return_exceptions=True)
