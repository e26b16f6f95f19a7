"""What the console has cost: each call of the session counted where it leaves, and a wall in front of it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.console.wording import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.engine.retry.asking import SlotGiver

State = Literal["idle", "waiting", "sent"]
_WINDOW: Final = 1.0


class CallLimitError(Exception):
    """The session has made as many calls as it may."""


@dataclass(slots=True)
class Meter:
    """Counts the calls of a session.

    Attributes:
        limit: Most calls of the session; None for no limit.
        calls: Calls that have left.
        denied: How many of them were denied for coming too fast.
        repeated: How many of them repeated one before.
        state: What the call under way does.
        since: When it began to do so, monotonic.
        clock: Monotonic seconds.
    """

    limit: int | None = None
    calls: int = 0
    denied: int = 0
    repeated: int = 0
    state: State = "idle"
    since: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _left: deque[float] = field(default_factory=deque)

    def enter(self, state: State) -> None:
        """The call under way goes on to something else."""
        self.state, self.since = state, self.clock()

    def departed(self) -> None:
        """A call leaves."""
        self.calls += 1
        self._left.append(self.clock())
        self.enter("sent")

    @property
    def is_full(self) -> bool:
        """Whether no call is left."""
        return self.limit is not None and self.calls >= self.limit

    @property
    def last_second(self) -> int:
        """Calls that left within the last second."""
        now = self.clock()
        while self._left and now - self._left[0] >= _WINDOW:
            self._left.popleft()
        return len(self._left)

    def wait(self, rate: float) -> float:
        """Seconds until the next call of this session could leave, others left aside.

        Args:
            rate: Calls per second.
        """
        if not self._left or rate == float("inf"):
            return 0.0
        return max(0.0, self._left[-1] + 1 / rate - self.clock())

    def as_dict(self, rate: float) -> dict[str, Any]:
        """For the page."""
        return {
            "calls": self.calls,
            "denied": self.denied,
            "repeated": self.repeated,
            "limit": self.limit,
            "last_second": self.last_second,
            "wait": round(self.wait(rate), 2),
            "state": self.state,
            "waited": round(self.clock() - self.since, 1) if self.state != "idle" else 0.0,
        }


class MeteredPacer:
    """A pacer that counts on a meter what leaves, and grants nothing behind its wall.

    Args:
        pacer: Grants the slots.
        meter: Counts.
    """

    def __init__(self, pacer: SlotGiver, meter: Meter) -> None:
        self._pacer = pacer
        self._meter = meter
        self._calls = 0

    async def slot(self) -> float:
        """As the pacer's; raises CallLimitError behind the wall."""
        if self._meter.is_full:
            raise CallLimitError(say("session.may_make", limit=self._meter.limit))
        self._meter.enter("waiting")
        return await self._pacer.slot()

    def departed(self, slot_at: float) -> None:
        """As the pacer's, counted."""
        self._calls += 1
        self._meter.repeated += self._calls > 1
        self._meter.departed()
        self._pacer.departed(slot_at)

    def granted(self, slot_at: float, latency: float) -> None:
        """As the pacer's."""
        self._pacer.granted(slot_at, latency)

    def denied(self, slot_at: float, latency: float, retry_after: float | None = None) -> None:
        """As the pacer's, counted."""
        self._meter.denied += 1
        self._pacer.denied(slot_at, latency, retry_after)
