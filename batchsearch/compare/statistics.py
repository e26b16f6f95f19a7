"""What many scores say together: their mean and spread, a histogram, each group by itself (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PERCENTILES: Final = (1, 5, 25, 50, 75, 95, 99)
MOST_GROUPS: Final = 10_000
"""Groups that are summed up one by one: the first ones met."""
_DIGITS: Final = 6


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
        mean: Their mean.
        lowest: The lowest of them.
        highest: The highest of them.
    """

    count: int = 0
    mean: float = 0.0
    lowest: float = math.inf
    highest: float = -math.inf

    def add(self, score: float) -> None:
        """Take one score more."""
        self.count += 1
        self.mean += (score - self.mean) / self.count
        self.lowest = min(self.lowest, score)
        self.highest = max(self.highest, score)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, scores to six digits."""
        return {
            "count": self.count,
            "mean": round(self.mean, _DIGITS),
            "min": round(self.lowest, _DIGITS),
            "max": round(self.highest, _DIGITS),
        }


@dataclass(slots=True)
class Scores:
    """All scores of a comparison: eight bytes each, and a record for each of the first groups.

    Attributes:
        compared: Pairs with a score.
        failed: Pairs that ended with a code.
        same_bytes: Pairs of two files with the same bytes.
        groups: By group, in the order met.
        other_groups: Scores of groups beyond `MOST_GROUPS`.
    """

    compared: int = 0
    failed: int = 0
    same_bytes: int = 0
    groups: dict[str, GroupScores] = field(default_factory=dict)
    other_groups: int = 0
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
            primary: Names of the first pictures.
            secondary: Names of the second pictures.
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
        order = places[np.argsort(values[places], kind="stable")]
        for highest, chosen in ((False, order[:keep]), (True, order[::-1][:keep])):
            found = [Extreme(keys[at], primary[at], secondary[at], float(values[at])) for at in chosen]
            sign = -1 if highest else 1
            ends = sorted([*self._ends[highest], *found], key=lambda each: (sign * each.score, each.pair_key))
            self._ends[highest] = ends[:keep]

    def _add_to_group(self, group: str, score: float) -> None:
        found = self.groups.get(group)
        if found is None:
            if len(self.groups) >= MOST_GROUPS:
                self.other_groups += 1
                return
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
        return {name: round(float(value), _DIGITS) for name, value in found.items()}

    def histogram(self, bins: int) -> tuple[Bar, ...]:
        """How many scores fall into each of `bins` equal parts of 0 to 1; those outside, into the ends."""
        counts, edges = np.histogram(np.clip(self._values(), 0.0, 1.0), bins=bins, range=(0.0, 1.0))
        ends = [round(float(edge), _DIGITS) for edge in edges]
        return tuple(
            Bar(low, high, int(count)) for low, high, count in zip(ends, ends[1:], counts, strict=False)
        )

    def _values(self) -> NDArray[np.float64]:
        return np.concatenate(self._blocks) if self._blocks else np.empty(0)
