"""Items that take long to make, made in one thread: each of several would keep memory of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_Item = TypeVar("_Item")


async def one_by_one(items: Iterator[_Item]) -> AsyncIterator[_Item]:
    """The items, each made in one thread while the event loop goes on.

    Raises:
        Exception: What making one raises.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, thread_name_prefix="rows")
    try:
        while (found := await loop.run_in_executor(thread, _next, items)) is not None:
            yield found[0]
    finally:
        # An item that is being made when nobody wants it any more is not waited for.
        thread.shutdown(wait=False, cancel_futures=True)


def _next(items: Iterator[_Item]) -> tuple[_Item] | None:
    for item in items:
        return (item,)
    return None
