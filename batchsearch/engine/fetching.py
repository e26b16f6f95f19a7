"""A picture fetched with patience: again after a wait while its source may come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from batchsearch.engine.policy import RetryRules, backoff
from batchsearch.images.outcome import Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchsearch.images.fetch import Fetcher
    from batchsearch.images.outcome import Rejected
    from batchsearch.manifest.rows import ImageReference

FETCH_ATTEMPTS: Final = 4
"""Tries to fetch a picture whose source may come back; then the row ends as unreachable."""
LONGEST_WAIT: Final = 30.0
"""Seconds that a host's `Retry-After` is followed at most: other rows are waiting, too."""


async def fetch_patiently(
    fetcher: Fetcher,
    reference: ImageReference,
    jitter: Callable[[], float],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> bytes | Rejected | Unreachable:
    """One picture's bytes, asked for up to `FETCH_ATTEMPTS` times while failures may pass.

    Args:
        fetcher: Fetches once.
        reference: What to fetch.
        jitter: Random numbers in [0, 1).
        sleep: Waits, seconds.
    """
    for attempt in range(1, FETCH_ATTEMPTS):
        found = await fetcher.fetch(reference)
        if not isinstance(found, Unreachable) or not found.transient:
            return found
        asked = min(found.retry_after or 0.0, LONGEST_WAIT)
        await sleep(max(asked, backoff(attempt, RetryRules(), jitter())))
    return await fetcher.fetch(reference)
