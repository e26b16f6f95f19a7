"""How far apart calls should leave, learned from which ones are denied (pure: no clock, no I/O, no chance).

The service grants QPS calls a second, but what it calls a second is documented nowhere, and the network
shifts every arrival by some milliseconds. Even spacing at exactly the tier is perfect against fixed
windows or a deep token bucket; against a sliding log, or a bucket of one, the same jitter gets up to half
of all calls denied, and a little more space between calls would get nearly all of them granted. How much
more depends on jitter and way of counting together, and can only be learned.

**What is believed.** Let the *margin* m be the extra spacing, as a fraction of the tier's own interval.
Whatever counts the calls and whatever shifts them, denials become rarer as m grows, so the belief is over
curves of one family:

    p(m) = rare + a x exp(-m / s)        probability that a call sent with margin m is denied

`a` says how bad it is at the tier itself (a deep bucket: next to nothing; a sliding log that counts denials:
half of all), `s` how much space it takes to get away from it: the jitter of the network measured in what
the service counts by, or, when somebody else uses the same instance, about the share that they take.
Fifty-two combinations of `a` and `s`, and one curve without denials, each carry a weight.

**What is learned.** Every answer multiplies each weight by the probability that its curve gave to what
happened (Bayes). Spacing changes while answers are still under way, so an answer counts for the margin
that its call really left with, measured twice: against the call before it, and over the last QPS calls,
since one kind of service looks at the gap and the other at the second. A denial counts for the smaller
of the two, a grant for the larger: each says the least that it can mean.

**What is forgotten.** Networks change and other users come and go. As if the world were made anew once in a
thousand slots, a little of every weight is given back to the starting mixture as time passes. A curve
ruled out long ago is thus never quite gone, and a few contrary answers bring it back: recovery takes
tens of answers, not as long as the lesson took.

**What is decided.** Once a second, and at once after a denial, the margin with the highest expected worth:

    worth(m) = (1 - price x p(m)) / (1 + m)        granted calls less what denials cost, per slot

A denied call costs its slot (1) and counts as a mistake (1 more); the rest of the price is what it is likely
to have cost someone else on the same instance, so that where nothing is lost by giving way, it gives way.

The margin starts at zero, is never negative (the tier is never exceeded), and ends at about a tenth of the
tier: even where everything is denied, a call now and then finds out when that ends. Nothing is drawn by
chance, so equal events give equal spacing.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import deque
from functools import cache
from itertools import pairwise
from operator import mul
from typing import Final, NamedTuple

MARGINS: Final[tuple[float, ...]] = (0.0, *(0.001 * 1.25**step for step in range(42)))
"""Margins to choose from: none, and then from a thousandth to 9.4 in steps of a quarter."""

_AT_THE_TIER: Final = (0.05, 0.15, 0.5, 1.0)
"""`a`: how many calls are denied without any margin, beyond the rare ones."""

_SCALES: Final[tuple[float, ...]] = tuple(0.001 * 2.0**step for step in range(13))
"""`s`: the margin that lets a third of those denials remain; 0.001 to 4.1."""

_RARE: Final = 0.002
"""Denials that no margin prevents: flow control has its own bad moments."""

_NO_DENIALS: Final = 0.2
"""Weight, in the starting mixture, of the curve without denials; the others share the rest equally."""

_CONFIDENCE: Final = 0.995
"""Extra weight of that curve before the first answer: the tier was bought, so it is tried first."""

_PRICE: Final = 2.5
"""What a denial costs, in granted calls."""

_CHANGES_PER_SLOT: Final = 1 / 1000
"""How often the world is reckoned to change, per slot of the tier."""

_LONGEST_STEP: Final = 0.1
"""Most of the belief given back between two answers, however long the pause was."""

_DECIDE_EVERY: Final = 1.0
"""Seconds between decisions while nothing is denied."""

_MOST_LOOKED_BACK: Final = 64
_MOST_OPEN: Final = 4096
"""Departures remembered while their answers are awaited; calls that never get one are forgotten first."""

_BOUNDS: Final = tuple((low + high) / 2 for low, high in pairwise(MARGINS))


class _Curves(NamedTuple):
    """The family of curves as tables, margins by curves."""

    start: tuple[float, ...]
    denied: tuple[tuple[float, ...], ...]
    granted: tuple[tuple[float, ...], ...]
    worth: tuple[tuple[float, ...], ...]


@cache
def _curves() -> _Curves:
    pairs = [(a, s) for a in _AT_THE_TIER for s in _SCALES]
    denied = tuple(
        (_RARE, *(min(0.98, _RARE + a * math.exp(-margin / s)) for a, s in pairs)) for margin in MARGINS
    )
    return _Curves(
        start=(_NO_DENIALS, *((1 - _NO_DENIALS) / len(pairs) for _ in pairs)),
        denied=denied,
        granted=tuple(tuple(1 - p for p in row) for row in denied),
        worth=tuple(
            tuple((1 - _PRICE * p) / (1 + margin) for p in row)
            for margin, row in zip(MARGINS, denied, strict=True)
        ),
    )


class SpacingController:
    """Says how far apart calls should leave; told of every departure and every answer.

    Times are seconds of one monotonic clock and may be reported late and out of order, as answers come.

    Args:
        shortest: Seconds between calls at the most that is allowed (tier times share).
    """

    __slots__ = (
        "_answered_at",
        "_curves",
        "_decided_at",
        "_left",
        "_level",
        "_open",
        "_shortest",
        "_weights",
    )

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._curves = _curves()
        self._weights = [(1 - _CONFIDENCE) * weight for weight in self._curves.start]
        self._weights[0] += _CONFIDENCE
        self._level = 0
        self._answered_at: float | None = None
        self._decided_at = -math.inf
        looked_back = min(_MOST_LOOKED_BACK, math.ceil(1 / shortest - 1e-9))
        self._left: deque[float] = deque(maxlen=looked_back + 1)
        self._open: dict[float, tuple[int, int]] = {}

    @property
    def margin(self) -> float:
        """Extra spacing now, as a fraction of `shortest`; 0 is the tier."""
        return MARGINS[self._level]

    @property
    def interval(self) -> float:
        """Seconds between two departures now; never below `shortest`."""
        return self._shortest * (1 + MARGINS[self._level])

    @property
    def expected_denials(self) -> float:
        """Probability that a call sent with the present margin is denied, as believed now."""
        return math.fsum(map(mul, self._weights, self._curves.denied[self._level]))

    def departed(self, at: float) -> None:
        """A call leaves at `at`; its answer will name it by this time."""
        left = self._left
        gap = second = MARGINS[-1]
        if left:
            gap = (at - left[-1]) / self._shortest - 1
        left.append(at)
        if len(left) == left.maxlen:
            second = (at - left[0]) / ((len(left) - 1) * self._shortest) - 1
        self._open[at] = bisect(_BOUNDS, min(gap, second)), bisect(_BOUNDS, max(gap, second))
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        if at >= self._decided_at + _DECIDE_EVERY:
            self._decided_at = at
            self._level = self._best()

    def granted(self, slot_at: float, now: float) -> None:
        """The call that left at `slot_at` was answered, at `now`, and not denied."""
        _, level = self._open.pop(slot_at, (self._level, self._level))
        self._learn(self._curves.granted[level], now)

    def denied(self, slot_at: float, now: float) -> None:
        """The call that left at `slot_at` was denied, at `now`: the spacing grows or stays, at once."""
        level, _ = self._open.pop(slot_at, (self._level, self._level))
        self._learn(self._curves.denied[level], now)
        # Denials that no margin seems to help against must not argue for less of it.
        self._level = max(self._level, self._best())

    def _learn(self, likelihood: tuple[float, ...], now: float) -> None:
        weights = list(map(mul, self._weights, likelihood))
        changed = 0.0
        if self._answered_at is not None and now > self._answered_at:
            changed = min(_LONGEST_STEP, (now - self._answered_at) / self._shortest * _CHANGES_PER_SLOT)
        self._answered_at = now if self._answered_at is None else max(now, self._answered_at)
        kept = (1 - changed) / sum(weights)
        self._weights = [
            kept * weight + changed * start for weight, start in zip(weights, self._curves.start, strict=True)
        ]

    def _best(self) -> int:
        """Place of the margin with the highest expected worth; the smallest of equals."""
        weights = self._weights
        worths = [sum(map(mul, weights, row)) for row in self._curves.worth]
        return worths.index(max(worths))
