"""A few tasks that do many items' work, each the next item that nobody has: no task is made for one alone."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Made = TypeVar("Made")


class Crew(Generic[Item, Made]):
    """Works on batches of items in the order in which they are begun; an asynchronous context manager.

    What is not done when the context ends is called off.

    Args:
        work: What is done with an item. Its error ends the item's batch.
        most: Items that are worked on at a time.
    """

    def __init__(self, work: Callable[[Item], Awaitable[Made]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[tuple[_Batch[Made], int, Item]] = deque()
        self._hands: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._waiting.clear()
        left = list(self._hands)
        for hand in left:
            hand.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def begin(self, items: Sequence[Item]) -> asyncio.Future[list[Made]]:
        """Take a batch; what is made of its items, in their order, or the first error.

        Who cancels it calls off those of its items that nobody has begun.
        """
        whole: asyncio.Future[list[Made]] = asyncio.get_running_loop().create_future()
        if not items:
            whole.set_result([])
            return whole
        batch: _Batch[Made] = _Batch(whole, len(items))
        self._waiting.extend((batch, place, item) for place, item in enumerate(items))
        # A hand is there as long as it works: none of them is idle.
        for _ in range(min(len(self._waiting), self._most - len(self._hands))):
            self._hands.add(asyncio.create_task(self._lend()))
        return whole

    async def _lend(self) -> None:
        """One hand: works until nothing is waiting."""
        try:
            while self._waiting:
                batch, place, item = self._waiting.popleft()
                if not batch.whole.done():
                    await self._do(batch, place, item)
        finally:
            # At once: whoever begins a batch next counts the hands.
            if (hand := asyncio.current_task()) is not None:
                self._hands.discard(hand)

    async def _do(self, batch: _Batch[Made], place: int, item: Item) -> None:
        try:
            made = await self._work(item)
        except asyncio.CancelledError:
            batch.whole.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever waits for the batch gets it
            batch.fail(error)
        else:
            batch.take(place, made)


class _Batch(Generic[Made]):
    """What is made of some items so far."""

    def __init__(self, whole: asyncio.Future[list[Made]], items: int) -> None:
        self.whole = whole
        self._made: dict[int, Made] = {}
        self._items = items

    def take(self, place: int, made: Made) -> None:
        self._made[place] = made
        if len(self._made) == self._items and not self.whole.done():
            self.whole.set_result([self._made[each] for each in range(self._items)])

    def fail(self, error: Exception) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)
