"""How often something happened lately, in memory that does not grow with how often (pure)."""

from __future__ import annotations

from collections import deque

_STEPS = 60


class SlidingCount:
    """Counts what happened within the last `seconds`, to a sixtieth of that time.

    Args:
        seconds: How far back.
    """

    __slots__ = ("_first", "_step", "_steps", "_sum")

    def __init__(self, seconds: float) -> None:
        self._step = seconds / _STEPS
        self._steps: deque[list[int]] = deque()  # number of the step, count
        self._first: float | None = None
        self._sum = 0

    def add(self, now: float, amount: int = 1) -> None:
        """Counts `amount` at `now`, seconds of any steady clock."""
        self._first = now if self._first is None else self._first
        number = self._forget(now)
        if self._steps and self._steps[-1][0] == number:
            self._steps[-1][1] += amount
        else:
            self._steps.append([number, amount])
        self._sum += amount

    def count(self, now: float) -> int:
        """How much was counted within that time."""
        self._forget(now)
        return self._sum

    def rate(self, now: float) -> float:
        """How much a second, over that time or since the first; 0 when nothing was counted."""
        number = self._forget(now)
        if self._first is None or not self._sum:
            return 0.0
        began = max(self._first, (number - _STEPS + 1) * self._step)
        return self._sum / max(now - began, 1.0)

    def _forget(self, now: float) -> int:
        """Drops the steps that are too old; the number of the present one."""
        number = int(now // self._step)
        while self._steps and self._steps[0][0] <= number - _STEPS:
            self._sum -= self._steps.popleft()[1]
        return number
