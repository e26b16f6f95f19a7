"""Counts over time in a bounded number of equal steps, whether a run took seconds or weeks (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_STEPS: Final = 160
_WIDTHS: Final = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200, 86_400),
)
"""Widths of a step that people read easily, seconds; beyond them whole days."""
_MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """What was counted from `start` (UTC) for `seconds`."""

    start: datetime
    seconds: int
    attempts: int
    denied: int

    @property
    def granted_rate(self) -> float:
        """Calls a second that flow control let pass."""
        return (self.attempts - self.denied) / self.seconds

    @property
    def denied_rate(self) -> float:
        """Calls a second that it refused."""
        return self.denied / self.seconds


def width_for(seconds: float) -> int:
    """The narrowest readable width of a step with which so long a time has at most `MOST_STEPS`, seconds."""
    wanted = seconds / (MOST_STEPS - 1)
    return next((width for width in _WIDTHS if width >= wanted), 86_400 * int(np.ceil(wanted / 86_400)))


@dataclass(slots=True)
class Timeline:
    """Counters over time.

    Attributes:
        first: The first moment that is counted, microseconds since 1970.
        last: The last.
    """

    first: int
    last: int
    _width: int = field(init=False)
    _attempts: npt.NDArray[np.int64] = field(init=False)
    _denied: npt.NDArray[np.int64] = field(init=False)
    _start: int = field(init=False)

    def __post_init__(self) -> None:
        self._width = width_for((self.last - self.first) / _MICROSECONDS)
        self._start = self.first // _MICROSECONDS // self._width * self._width
        steps = (self.last // _MICROSECONDS - self._start) // self._width + 1
        self._attempts = np.zeros(steps, dtype=np.int64)
        self._denied = np.zeros(steps, dtype=np.int64)

    def add(
        self,
        moments: npt.NDArray[np.int64],
        attempts: npt.NDArray[np.int64],
        denied: npt.NDArray[np.int64],
    ) -> None:
        """Count calls at moments (microseconds since 1970); moments outside count at the nearest end."""
        steps = (moments // _MICROSECONDS - self._start) // self._width
        steps = np.clip(steps, 0, len(self._attempts) - 1)
        self._attempts += np.bincount(steps, weights=attempts, minlength=len(self._attempts)).astype(np.int64)
        self._denied += np.bincount(steps, weights=denied, minlength=len(self._denied)).astype(np.int64)

    def steps(self) -> list[Step]:
        """Every step from the first to the last, idle ones included."""
        return [
            Step(
                datetime.fromtimestamp(self._start + place * self._width, UTC),
                self._width,
                int(self._attempts[place]),
                int(self._denied[place]),
            )
            for place in range(len(self._attempts))
        ]
