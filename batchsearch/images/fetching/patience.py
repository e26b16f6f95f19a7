"""An image read with patience: again after a wait while its source, or this machine, may come back.

A host or a store that fails is asked a few times. What this machine lacks (file descriptors, the folder of
the images) is waited out for as long as an outage is, and then ends the run: no image is charged with it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from batchsearch.backoff import backoff
from batchsearch.descriptors import PATIENCE, Shortage, is_exhausted
from batchsearch.images.outcome import Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchsearch.images.fetching.fetch import Fetcher
    from batchsearch.images.outcome import Rejected
    from batchsearch.manifest.rows import ImageReference

FETCH_ATTEMPTS: Final = 4
"""Tries to fetch an image whose source may come back; then the row ends as unreachable."""
LONGEST_WAIT: Final = 30.0
"""Seconds that a host's `Retry-After` is followed at most: other rows are waiting, too."""

Made = TypeVar("Made")


class LackError(Exception):
    """This machine lacks what is needed to read an image."""

    def __init__(self, found: Unreachable) -> None:
        self.found = found
        super().__init__(found.message)


def read_here(fetcher: Fetcher, reference: ImageReference) -> bytes | Rejected | Unreachable:
    """One image's bytes where that needs no network; for a worker thread.

    Raises:
        LackError: This machine cannot read anything just now; see `made_patiently`.
    """
    found = fetcher.read(reference)
    if isinstance(found, Unreachable) and found.here is not None:
        raise LackError(found)
    return found


async def made_patiently(
    attempt: Callable[[], Awaitable[Made]],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    patience: float = PATIENCE,
) -> Made:
    """What an attempt makes, repeated while this machine lacks what it needs.

    Args:
        attempt: May be made again.
        sleep: Waits, seconds.
        patience: Seconds until that is given up.

    Raises:
        MachineError: It has lasted for too long.
    """
    shortage = Shortage(sleep, patience=patience)
    while True:
        try:
            return await attempt()
        except LackError as lack:
            if lack.found.here == "root":
                await shortage.wait(f"{lack.found.message} Run the same command again")
                continue
        except OSError as problem:
            if not is_exhausted(problem):
                raise
        await shortage.wait()


async def fetch_patiently(
    fetcher: Fetcher,
    reference: ImageReference,
    jitter: Callable[[], float],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    patience: float = PATIENCE,
) -> bytes | Rejected | Unreachable:
    """One image's bytes, asked for up to `FETCH_ATTEMPTS` times while failures may pass.

    Args:
        fetcher: Fetches once.
        reference: What to fetch.
        jitter: Random numbers in [0, 1).
        sleep: Waits, seconds.
        patience: Seconds that a want of this machine is waited out; it counts as no attempt.

    Raises:
        MachineError: Such a want has lasted for too long.
    """
    try:
        begun: bytes | Rejected | Unreachable | None = await fetcher.fetch(reference)
    except OSError as problem:
        if not is_exhausted(problem):
            raise
        begun = None
    if begun is not None and not isinstance(begun, Unreachable):
        return begun

    async def fetched() -> bytes | Rejected | Unreachable:
        nonlocal begun
        found = await fetcher.fetch(reference) if begun is None else begun
        begun = None
        if isinstance(found, Unreachable) and found.here is not None:
            raise LackError(found)
        return found

    for attempt in range(1, FETCH_ATTEMPTS):
        found = await made_patiently(fetched, sleep=sleep, patience=patience)
        if not isinstance(found, Unreachable) or not found.transient:
            return found
        asked = min(found.retry_after or 0.0, LONGEST_WAIT)
        await sleep(max(asked, backoff(attempt, jitter())))
    return await made_patiently(fetched, sleep=sleep, patience=patience)
