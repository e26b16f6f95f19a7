"""Counts of values in bins whose edges are known beforehand: adding is cheap, memory does not grow (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_FINE_STEP: Final = 1.02
"""Ratio of neighbouring edges of a fine logarithmic histogram: percentiles are right to about 1 %."""
_NICE: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values lie from `start` up to, not including, `end`; the last bin includes its end."""

    start: float
    end: float
    count: int


@dataclass(slots=True)
class Histogram:
    """Counts between given edges; what lies outside is counted in the first or the last bin.

    Attributes:
        edges: Rising; one more than there are bins.
        counts: One for each bin.
        total: Values counted.
        lowest: The smallest value, exactly; NaN before the first.
        highest: The largest.
    """

    edges: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64] = field(init=False)
    total: int = 0
    lowest: float = np.nan
    highest: float = np.nan

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges) - 1, dtype=np.int64)

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Count values; those that are not finite are left out."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return
        inside = np.clip(finite, self.edges[0], self.edges[-1])
        self.counts += np.histogram(inside, bins=self.edges)[0]
        self.total += len(finite)
        self.lowest = float(np.nanmin([self.lowest, finite.min()]))
        self.highest = float(np.nanmax([self.highest, finite.max()]))

    def bins(self) -> list[Bin]:
        """Every bin, empty ones included."""
        return [
            Bin(float(start), float(end), int(count))
            for start, end, count in zip(self.edges[:-1], self.edges[1:], self.counts, strict=True)
        ]

    def quantile(self, share: float) -> float | None:
        """The value that this share (0 to 1) of all values does not exceed, as near as the bins say."""
        if not self.total:
            return None
        place = int(np.searchsorted(np.cumsum(self.counts), max(1.0, share * self.total)))
        place = min(place, len(self.counts) - 1)
        middle = (self.edges[place] + self.edges[place + 1]) / 2
        return float(np.clip(middle, self.lowest, self.highest))

    def coarse(self, edges: Sequence[float]) -> list[Bin]:
        """The same counts between other, wider edges: each fine bin goes where its middle lies."""
        middles = (self.edges[:-1] + self.edges[1:]) / 2
        inside = np.clip(middles, edges[0], edges[-1])
        counts = np.histogram(inside, bins=np.asarray(edges), weights=self.counts)[0]
        return [
            Bin(float(start), float(end), int(count))
            for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]


def even(low: float, high: float, bins: int) -> Histogram:
    """A histogram of bins of equal width."""
    return Histogram(np.linspace(low, high, bins + 1))


def fine(low: float, high: float) -> Histogram:
    """A histogram whose bins are each two per cent wide, for percentiles of what spans decades."""
    steps = int(np.ceil(np.log(high / low) / np.log(_FINE_STEP)))
    return Histogram(np.geomspace(low, high, steps + 1))


def round_edges(low: float, high: float) -> list[float]:
    """Round numbers (1, 1.5, 2, 3, 5, 7 and their tens) from just below `low` to just above `high`."""
    low, high = max(low, 1e-9), max(high, 1e-9)
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1
    numbers = [nice * 10.0**power for power in range(first, last + 1) for nice in _NICE]
    below = max((number for number in numbers if number <= low), default=numbers[0])
    above = min(number for number in numbers if number > high)
    return [number for number in numbers if below <= number <= above]
