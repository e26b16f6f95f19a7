"""What many scores say together: their mean and spread, a histogram, each group by itself (pure)."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
MOST_GROUPS: Final = 10_000
"""Groups that are summed up one by one: those whose names come first."""

_WHOLE: Final = 2**60
"""A score of 1 as a whole number: sums of whole numbers are the same in any order."""

DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram: scores from `low` to below `high`; the last one holds its upper end too."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Extreme:
    """A pair at one end of the scores."""

    pair_key: str
    primary: str | None
    secondary: str | None
    score: float


@dataclass(slots=True)
class GroupScores:
    """The scores of one group so far.

    Attributes:
        count: Pairs with a score.
        lowest: The lowest of them.
        highest: The highest of them.
    """

    count: int = 0
    lowest: float = math.inf
    highest: float = -math.inf
    _sum: int = 0

    @property
    def mean(self) -> float:
        """The mean of its scores, whatever order they came in."""
        return self._sum / (self.count * _WHOLE) if self.count else 0.0

    def add(self, score: float) -> None:
        """Take one score more."""
        self.count += 1
        self._sum += int(score * _WHOLE)
        self.lowest = min(self.lowest, score)
        self.highest = max(self.highest, score)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, scores to six digits."""
        return {
            "count": self.count,
            "mean": round(self.mean, DIGITS),
            "min": round(self.lowest, DIGITS),
            "max": round(self.highest, DIGITS),
        }


@dataclass(slots=True)
class Scores:
    """All scores of a comparison: eight bytes each, and a record for each of the first groups by name.

    What it says follows from the scores alone, whatever order they come in.

    Attributes:
        compared: Pairs with a score.
        failed: Pairs that ended with a code.
        same_bytes: Pairs of two files with the same bytes.
        groups: By group; those whose names come first.
        other_groups: Scores of groups beyond `MOST_GROUPS`.
    """

    compared: int = 0
    failed: int = 0
    same_bytes: int = 0
    groups: dict[str, GroupScores] = field(default_factory=dict)
    other_groups: int = 0
    _names: list[str] = field(default_factory=list)
    _blocks: list[NDArray[np.float64]] = field(default_factory=list)
    _ends: dict[bool, list[Extreme]] = field(default_factory=lambda: {True: [], False: []})

    def add(
        self,
        scores: Sequence[float | None],
        *,
        keys: Sequence[str],
        primary: Sequence[str | None],
        secondary: Sequence[str | None],
        groups: Sequence[str | None],
        same_bytes: int,
        keep: int = 10,
    ) -> None:
        """Take a batch of pairs.

        Args:
            scores: None where the pair has a code instead.
            keys: Names of the pairs.
            primary: Names of the first images.
            secondary: Names of the second images.
            groups: Their groups, None for none.
            same_bytes: How many are of two files with the same bytes.
            keep: How many of the most and of the least alike pairs are remembered.
        """
        values = np.array([math.nan if score is None else score for score in scores], dtype=np.float64)
        known = ~np.isnan(values)
        self._blocks.append(values[known])
        self.compared += int(known.sum())
        self.failed += int((~known).sum())
        self.same_bytes += same_bytes
        for group, score in zip(groups, scores, strict=True):
            if group is not None and score is not None:
                self._add_to_group(group, score)
        places = np.flatnonzero(known)
        for highest in (False, True):
            sign = -1 if highest else 1
            signed = sign * values
            # Of many that are equal those count whose names come first, not those that were answered first.
            last = np.partition(signed[places], keep - 1)[keep - 1] if len(places) > keep else math.inf
            ranked = sorted((float(signed[at]), keys[at], int(at)) for at in places[signed[places] <= last])
            found = [
                Extreme(key, primary[at], secondary[at], sign * score) for score, key, at in ranked[:keep]
            ]
            ends = sorted([*self._ends[highest], *found], key=partial(_end_order, sign))
            self._ends[highest] = ends[:keep]

    def _add_to_group(self, group: str, score: float) -> None:
        found = self.groups.get(group)
        if found is None:
            if len(self._names) >= MOST_GROUPS:
                if group > self._names[-1]:
                    self.other_groups += 1
                    return
                # It can never come back: from now on all that are kept come before it.
                self.other_groups += self.groups.pop(self._names.pop()).count
            insort(self._names, group)
            found = self.groups[group] = GroupScores()
        found.add(score)

    def most_alike(self) -> tuple[Extreme, ...]:
        """The pairs with the highest scores, highest first."""
        return tuple(self._ends[True])

    def least_alike(self) -> tuple[Extreme, ...]:
        """The pairs with the lowest scores, lowest first."""
        return tuple(self._ends[False])

    def statistics(self) -> dict[str, float] | None:
        """Mean, standard deviation, extremes and percentiles, to six digits; None without any score."""
        values = self._values()
        if not len(values):
            return None
        found = {
            "mean": values.mean(),
            "standard_deviation": values.std(),
            "min": values.min(),
            **{f"p{share:02}": np.percentile(values, share) for share in PERCENTILES},
            "max": values.max(),
        }
        return {name: round(float(value), DIGITS) for name, value in found.items()}

    def histogram(self, bins: int) -> tuple[Bar, ...]:
        """How many scores fall into each of `bins` equal parts of 0 to 1; those outside, into the ends."""
        counts, edges = np.histogram(np.clip(self._values(), 0.0, 1.0), bins=bins, range=(0.0, 1.0))
        ends = [round(float(edge), DIGITS) for edge in edges]
        return tuple(
            Bar(low, high, int(count)) for low, high, count in zip(ends, ends[1:], counts, strict=False)
        )

    def _values(self) -> NDArray[np.float64]:
        # In order: sums of the same numbers differ in their last digits by the order.
        return np.sort(np.concatenate(self._blocks)) if self._blocks else np.empty(0)


def _end_order(sign: int, each: Extreme) -> tuple[float, str]:
    return sign * each.score, each.pair_key
