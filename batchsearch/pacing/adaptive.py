"""How far apart calls should leave, learned from which ones are denied (pure: no clock, no I/O, no chance).

The service grants QPS calls a second, but what it calls a second is documented nowhere, and the network
shifts every arrival by some milliseconds. Even spacing at exactly the tier is perfect against fixed
windows or a deep token bucket; against a sliding log, or a bucket of one, the same jitter gets up to half
of all calls denied, and a little more space between calls would get nearly all of them granted. How much
more depends on jitter, way of counting and who else uses the instance, and can only be learned.

**What is believed.** Two things at once, each with a weight for every possibility: how denials depend on the
*margin*, the extra spacing (`curves`), and whether this is a *time* in which the curve decides at all or one
in which no spacing helps (`times`). So two minutes of denials don't make the curve forgotten: when the first
call is granted again, calls leave as they did before.

**What is learned.** Every answer multiplies each weight by the probability that it gave to what happened
(Bayes), to a power a little below one: no curve is quite true (beside a competitor a sliding log makes a
saw), and answers that are believed wholly soon make the least wrong curve a certainty. Spacing changes while
answers are still under way, so an answer counts for the margin that its call really left with, measured
twice: against the call before it, and over the last calls (at most QPS of them, within little more than a
second), since one kind of service looks at the gap and the other at the second. A grant counts for nearly the
larger of the two, the least that it can mean; a denial for what lies a third of the way up from the smaller.
A grant that comes late, after news of a later call, says nothing about which time it is.

**What is forgotten.** Networks change and other users come and go. As if the world were made anew once in a
thousand slots, a little of every curve's weight is given back to the starting mixture as time passes, as far
as this is a time in which there is something to learn.

**What is decided.** Once a second, and at once after a denial, the margin with the highest expected worth:

    worth(m) = (1 - price x p(m)) / (1 + m)        granted calls less what denials cost, per slot

A bad time argues for calls some tenths of a second (at ten a second) to some seconds (at one) apart, the
seldomer the longer it may last, so that its end is soon found out.

**What is tried.** Where calls are far apart, nothing is learned about closer ones. So a smaller margin is
tried, for some seconds' worth of calls (the first of them still meet the second before) and with a rest after
them, where the curves under which it would be better, by what it would bring over the next calls, outweigh
what it probably costs. At the start, when a find pays longest, more is tried.

The margin starts at zero, is never negative (the tier is never exceeded), and ends at about a tenth of the
tier. Nothing is drawn by chance, so equal events give equal spacing.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.pacing.curves import MARGINS, all_curves, worth_of
from batchsearch.pacing.times import BAD_TIMES, DENIED, GOOD_TIMES, TIMES, passed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MARGINS", "SpacingController"]

_GOOD: Final = len(GOOD_TIMES)

_CONFIDENCE: Final = 0.995
"""Extra weight of the curve without denials before the first answer: the tier was bought, so it is tried
first."""

_TRUST: Final = 0.85
"""Power of the probabilities by which answers are learned from: one for curves of which one is true."""

_DENIED_ANYWAY: Final = DENIED**_TRUST
_GRANTED_ANYWAY: Final = (1 - DENIED) ** _TRUST

_CHANGES_PER_SLOT: Final = 1 / 1000
"""How often the world is reckoned to change, per slot of the tier."""

_LONGEST_STEP: Final = 0.1
"""Most of the belief given back between two answers, however long the pause was."""

_DECIDE_EVERY: Final = 1.0
"""Seconds between decisions while nothing is denied."""

_LOOKED_BACK: Final = 1.3
_MOST_LOOKED_BACK: Final = 64
"""Seconds, and calls, over which the margin is measured besides the last gap."""

_GRANT_MEANS: Final = 0.9
_DENIAL_MEANS: Final = 0.35
"""What an answer counts for: 0 is the smaller of the two margins measured, 1 the larger."""

_HOPE: Final = 3.0
"""Calls over which a smaller margin, if it proves right, is expected to pay."""

_HOPE_AT_FIRST: Final = 6.0
_FIRST_ANSWERS: Final = 100.0
"""How many times as many at the start, and after how many answers a third of that is left."""

_TRIAL_CALLS: Final = 6.0
_TRIAL_SECONDS: Final = 1.5
"""Length of a trial: so many calls, and what the tier allows in so many seconds."""

_REST_SLOTS: Final = 15.0
_REST_SECONDS: Final = 2.0
"""Pause after a trial: so many slots of the tier and so many seconds."""

_SLOWEST_PROBE: Final = 1.0
"""A bad time argues for at least this margin."""

_TOGETHER: Final = 0.02
_MOST_TOGETHER: Final = 64
"""Grants that come within so many seconds are learned from at once, at most so many, where more calls leave
in a second than can be bought: then learning from each would cost as much as the call."""

_MOST_OPEN: Final = 4096
"""Departures remembered while their answers are awaited; calls that never get one are forgotten first."""

_BOUNDS: Final = tuple((low + high) / 2 for low, high in pairwise(MARGINS))


def _level(margin: float) -> int:
    """Place of the margin nearest to this one."""
    return bisect(_BOUNDS, margin)


def _worth_in_bad_times(shortest: float) -> Floats:
    """Worth of every margin in each bad time: none is wider than that time's probes are apart."""
    margins = np.array(MARGINS)
    columns = []
    for time in BAD_TIMES:
        probe = max(_SLOWEST_PROBE, math.sqrt(time.patience / shortest) - 1)
        columns.append(worth_of(time.denied, np.minimum(margins, probe)))
    return np.array(columns).T


class SpacingController:
    """Says how far apart calls should leave; told of every departure and every answer.

    Times are seconds of one monotonic clock and may be reported late and out of order, as answers come.

    Args:
        shortest: Seconds between calls at the most that is allowed (tier times share).
    """

    __slots__ = (
        "_answered_at",
        "_answers",
        "_curves",
        "_decided_at",
        "_heard_of",
        "_if_denied",
        "_if_granted",
        "_in_bad_times",
        "_late",
        "_left",
        "_level",
        "_open",
        "_rest_until",
        "_shortest",
        "_timely",
        "_together",
        "_together_answers",
        "_together_until",
        "_trial",
        "_trial_calls",
        "_weights",
    )

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._curves = all_curves(max(1, round(1 / shortest)))
        self._if_denied, self._if_granted = self._curves.denied**_TRUST, self._curves.granted**_TRUST
        self._in_bad_times = _worth_in_bad_times(shortest)
        # Rows are times, columns curves.
        self._weights = np.zeros((TIMES, len(self._curves.start)))
        self._weights[0] = (1 - _CONFIDENCE) * self._curves.start
        self._weights[0, 0] += _CONFIDENCE
        self._level = 0
        self._trial = 0
        self._answers = 0
        self._trial_calls = round(_TRIAL_CALLS + _TRIAL_SECONDS / shortest)
        self._rest_until = -math.inf
        self._answered_at: float | None = None
        self._heard_of = -math.inf
        self._decided_at = -math.inf
        looked_back = min(_MOST_LOOKED_BACK, math.ceil(1 / shortest - 1e-9))
        self._left: deque[float] = deque(maxlen=looked_back + 1)
        self._open: dict[float, tuple[int, int]] = {}
        # Grants not learned from yet: how many at each margin, those that say which time it is and others.
        self._timely: Counter[int] = Counter()
        self._late: Counter[int] = Counter()
        self._together = _TOGETHER if shortest < _TOGETHER else 0.0
        self._together_until = -math.inf
        self._together_answers = 0

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
        self._catch_up(-math.inf)
        good, bad = self._weights[:_GOOD].sum(axis=0), self._weights[_GOOD:].sum(axis=1)
        # Sums of floats may pass 1 by their rounding.
        return min(1.0, float(self._curves.denied[self._level] @ good + DENIED @ bad))

    def departed(self, at: float) -> None:
        """A call leaves at `at`; its answer will name it by this time."""
        gap, second = self._measured(at)
        self._left.append(at)
        less, more = min(gap, second), max(gap, second)
        self._open[at] = (
            _level(less + _DENIAL_MEANS * (more - less)),
            _level(less + _GRANT_MEANS * (more - less)),
        )
        if len(self._open) > _MOST_OPEN:
            del self._open[next(iter(self._open))]
        trial_ended = False
        if self._trial:
            self._trial -= 1
            if not self._trial:
                trial_ended = True
                self._rest_until = at + _REST_SLOTS * self._shortest + _REST_SECONDS
        if trial_ended or at >= self._decided_at + _DECIDE_EVERY:
            self._decide(at)

    def granted(self, slot_at: float, now: float) -> None:
        """The call that left at `slot_at` was answered, at `now`, and not denied."""
        _, level = self._open.pop(slot_at, (self._level, self._level))
        self._answers += 1
        (self._timely if slot_at >= self._heard_of else self._late)[level] += 1
        self._heard_of = max(self._heard_of, slot_at)
        if now >= self._together_until or self._answers >= self._together_answers:
            self._together_until = now + self._together
            self._together_answers = self._answers + _MOST_TOGETHER
            self._catch_up(now)

    def denied(self, slot_at: float, now: float) -> None:
        """The call that left at `slot_at` was denied, at `now`: the spacing grows or stays, at once."""
        level, _ = self._open.pop(slot_at, (self._level, self._level))
        self._answers += 1
        self._catch_up(now)
        self._learn(self._if_denied[level], _DENIED_ANYWAY, says_when=True)
        self._heard_of = max(self._heard_of, slot_at)
        # Denials that no margin seems to help against must not argue for less of it.
        best, hopeful = self._best()
        self._level = max(self._level, hopeful if self._trial else best)

    def _measured(self, at: float) -> tuple[float, float]:
        """Margins of a call that leaves now: against the last one, and over the last ones."""
        left = self._left
        if not left:
            return MARGINS[-1], MARGINS[-1]
        gap = (at - left[-1]) / self._shortest - 1
        while len(left) > 1 and at - left[0] > _LOOKED_BACK + 1.5 * self._shortest:
            left.popleft()
        if len(left) < left.maxlen and at - left[0] <= 0.9 * _LOOKED_BACK:  # type: ignore[operator]  # it has one
            return gap, gap
        return gap, (at - left[0]) / (len(left) * self._shortest) - 1

    def _catch_up(self, now: float) -> None:
        """Let the belief grow older, and learn from the grants that wait."""
        if self._answered_at is not None and now > self._answered_at:
            self._weights = self._older(now - self._answered_at)
        self._answered_at = now if self._answered_at is None else max(now, self._answered_at)
        for waiting, says_when in ((self._timely, True), (self._late, False)):
            if waiting:
                by_curve = math.prod(self._if_granted[level] ** count for level, count in waiting.items())
                by_time = _GRANTED_ANYWAY ** sum(waiting.values())
                self._learn(by_curve, by_time, says_when=says_when)
                waiting.clear()

    def _learn(self, by_curve: Floats, by_time: Floats, *, says_when: bool) -> None:
        good, bad = self._weights[:_GOOD], self._weights[_GOOD:]
        learned = good * by_curve
        if says_when:
            bad = bad * by_time[:, None]
        else:
            learned *= good.sum() / learned.sum()
        together = np.concatenate((learned, bad))
        self._weights = together / together.sum()

    def _older(self, seconds: float) -> Floats:
        weights = passed(self._weights, seconds)
        forgotten = min(_LONGEST_STEP, seconds / self._shortest * _CHANGES_PER_SLOT)
        forgotten *= float(weights[:_GOOD].sum())
        anew = weights.sum(axis=1, keepdims=True) * self._curves.start
        older: Floats = (1 - forgotten) * weights + forgotten * anew
        return older

    def _decide(self, at: float) -> None:
        self._decided_at = at
        self._level, hopeful = self._best()
        if hopeful >= self._level:
            return
        if not self._trial and at >= self._rest_until:
            self._trial = self._trial_calls
        if self._trial:
            self._level = hopeful

    def _best(self) -> tuple[int, int]:
        """Places of two margins: of the highest expected worth, and the one that is worth a trial."""
        good = self._weights[:_GOOD].sum(axis=0)
        worth = self._curves.worth
        expected = worth @ good + self._in_bad_times @ self._weights[_GOOD:].sum(axis=1)
        best = int(expected.argmax())
        gain = np.maximum(worth[:best] - worth[best], 0.0) @ good
        hope = _HOPE * (1 + (_HOPE_AT_FIRST - 1) * math.exp(-self._answers / _FIRST_ANSWERS))
        hopeful = np.append(expected[:best] + hope * gain, expected[best])
        return best, int(hopeful.argmax())
