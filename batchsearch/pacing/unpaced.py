"""Slots where no rate is to be kept: the instance is this process's own, and its cores decide."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from batchsearch.pacing.pacer import MAX_HOLD

if TYPE_CHECKING:
    from collections.abc import Callable


class Unpaced:
    """Hands out a slot to whoever asks; takes the place of a `Pacer`.

    Only a denial that says for how long is waited out, as an instance may be told to practise denials.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hold_until = -math.inf

    @property
    def tier(self) -> float:
        """Endless: no rate was bought."""
        return math.inf

    @property
    def ceiling(self) -> float:
        """Endless."""
        return math.inf

    @property
    def rate(self) -> float:
        """Endless."""
        return math.inf

    async def slot(self) -> float:
        """The monotonic time of a slot that may be used now."""
        delay = self._hold_until - self._clock()
        if delay > 0:
            await asyncio.sleep(delay)
        return self._clock()

    async def close(self) -> None:
        """Nothing is held open."""

    def departed(self, slot_at: float) -> None:
        """Nothing is learned from it."""

    def granted(self, slot_at: float, latency: float) -> None:
        """Nothing is learned from it."""

    def denied(self, slot_at: float, latency: float, retry_after: float | None = None) -> None:  # noqa: ARG002 - a pacer's signature
        """Let nobody go before the time that the denial names, `MAX_HOLD` at most."""
        if retry_after is not None and retry_after > 0:
            self._hold_until = max(self._hold_until, self._clock() + min(retry_after, MAX_HOLD))
