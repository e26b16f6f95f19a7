"""Counts of values in bins whose edges are known beforehand: adding is cheap, memory does not grow (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_FINE_STEP: Final = 1.02
"""Most ratio of neighbouring edges of a fine logarithmic histogram: what it tells is right to about 1 %."""
_NICE: Final = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
_LEAST: Final = 1e-3
"""Round edges begin here: nobody reads smaller ones."""
MOST_KEPT: Final = 1_000_000
"""Values that are kept, eight bytes each: as many can be told exactly. Of more, the bins tell."""


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
        most_kept: Up to so many values are kept as they are.
        counts: One for each bin.
        total: Values counted.
        lowest: The smallest value, exactly; NaN before the first.
        highest: The largest.
    """

    edges: npt.NDArray[np.float64]
    most_kept: int = 0
    counts: npt.NDArray[np.int64] = field(init=False)
    total: int = 0
    lowest: float = np.nan
    highest: float = np.nan
    _kept: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges) - 1, dtype=np.int64)

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Count values; those that are not finite are left out."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return
        self.counts += _counted(finite, self.edges)
        self.total += len(finite)
        self.lowest = float(np.nanmin([self.lowest, finite.min()]))
        self.highest = float(np.nanmax([self.highest, finite.max()]))
        if self.is_exact:
            self._kept.append(finite)
        else:
            self._kept.clear()

    @property
    def is_exact(self) -> bool:
        """Whether every value is kept, so that quantiles are exact."""
        return self.total <= self.most_kept

    def bins(self) -> list[Bin]:
        """Every bin, empty ones included."""
        return _bins(self.edges, self.counts)

    def quantile(self, share: float) -> float | None:
        """The value that this share (0 to 1) of all values does not exceed.

        Exact while every value is kept, and at both ends; else as near as the bins say.
        """
        if not self.total:
            return None
        rank = max(1, int(np.ceil(share * self.total - 1e-9)))
        if rank >= self.total:
            return self.highest
        if self.is_exact:
            return float(self._values()[rank - 1])
        place = int(np.searchsorted(np.cumsum(self.counts), rank))
        middle = (self.edges[place] + self.edges[place + 1]) / 2
        return float(np.clip(middle, self.lowest, self.highest))

    def percentile(self, share: float) -> float | None:
        """The same, between two neighbouring values in proportion, as `batchsearch compare` tells it."""
        if not self.total or not self.is_exact:
            return self.quantile(share)
        return float(np.quantile(self._values(), share))

    def _values(self) -> npt.NDArray[np.float64]:
        """The values that are kept, in order."""
        self._kept = [np.sort(np.concatenate(self._kept))]
        return self._kept[0]

    def coarse(self, edges: Sequence[float]) -> list[Bin]:
        """The same counts between other, wider edges: exact where every value is kept or edges are shared."""
        wide = np.asarray(edges, dtype=np.float64)
        if self.is_exact and self.total:
            return _bins(wide, _counted(self._values(), wide))
        places = np.clip(np.searchsorted(wide, self.edges[:-1], side="right") - 1, 0, len(wide) - 2)
        counts = np.bincount(places, weights=self.counts, minlength=len(wide) - 1).astype(np.int64)
        return _bins(wide, counts)


def _counted(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    places = np.searchsorted(edges, values, side="right") - 1
    return np.bincount(np.clip(places, 0, len(edges) - 2), minlength=len(edges) - 1)


def _bins(edges: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> list[Bin]:
    ends = zip(edges[:-1], edges[1:], counts, strict=True)
    return [Bin(float(start), float(end), int(count)) for start, end, count in ends]


def even(low: float, high: float, bins: int, *, most_kept: int = 0) -> Histogram:
    """A histogram of bins of equal width, whose edges are exact: 0.58 is below no edge 0.5800…01."""
    return Histogram(low + np.arange(bins + 1) * (high - low) / bins, most_kept)


def fine(low: float, high: float) -> Histogram:
    """A histogram for what spans decades: narrow bins, among whose edges are all the round ones.

    Counts between round edges are exact, however many values there are.
    """
    round_ones = round_edges(low, high)
    edges: list[float] = []
    for start, end in pairwise(round_ones):
        steps = int(np.ceil(np.log(end / start) / np.log(_FINE_STEP)))
        edges += [start, *np.geomspace(start, end, steps + 1)[1:-1]]
    return Histogram(np.array([*edges, round_ones[-1]]), MOST_KEPT)


def round_edges(low: float, high: float) -> list[float]:
    """Round numbers (1, 1.5, 2, 3, 5, 7 and their tens) from just below `low` to just above `high`."""
    low, high = max(low, _LEAST), max(high, _LEAST)
    first, last = int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 1
    numbers = [nice * 10.0**power for power in range(first, last + 1) for nice in _NICE]
    below = max(number for number in numbers if number <= low)
    above = min(number for number in numbers if number > high)
    return [number for number in numbers if below <= number <= above]
