"""How values are spread, counted in classes with fixed bounds (pure)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

LATENCY_BOUNDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Upper bounds of the classes of latencies, seconds: finest where the service usually answers."""


@dataclass(slots=True)
class Histogram:
    """Counts of values by class.

    Attributes:
        bounds: Upper bound of each class, itself included, rising; one more class takes what is above.
        counts: Values in each class; one more than there are bounds.
        total: Sum of all values.
    """

    bounds: tuple[float, ...] = LATENCY_BOUNDS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Begins with nothing in any class."""
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """How many values are not above each bound, then how many there are at all."""
        running, found = 0, []
        for count in self.counts:
            running += count
            found.append(running)
        return found
