"""Whether the service and the network answer: a broken one is asked less and less, never hammered (pure).

A budget of failures, shared by the whole run: a failure of the service or the network costs one, a success
earns a part of one back, and time earns a little. While it lasts, calls go on at the tier. When it is spent
the run pauses: one call at a time goes out as a probe, at the pace at which time refills the budget, until
successes have filled it again. A service that fails one call in five is not slowed; one that is dead is
asked every ten seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class HealthRules:
    """How much failure is borne.

    Attributes:
        budget: Failures in a row that are borne at full pace.
        earned: What one success earns back.
        refill: What each second earns back while paused.
        longest: An outage that lasts for so long is given up, seconds.
    """

    budget: float = 20.0
    earned: float = 0.25
    refill: float = 0.1
    longest: float = math.inf


_PROBE: Final = 1.0


class Health:
    """The budget of one run; told of answers, asked when the next call may leave.

    Args:
        rules: How much failure is borne.
    """

    def __init__(self, rules: HealthRules | None = None) -> None:
        self._rules = rules or HealthRules()
        self._left = self._rules.budget
        self._refilled_at = 0.0
        self._since: float | None = None
        self._spent = False
        self._answered_at: float | None = None
        self._failed_at = 0.0

    def answered(self, now: float) -> None:
        """A call was answered at `now` as calls should be, be it with a refusal."""
        self._answered_at = now
        self._left = min(self._rules.budget, self._left + self._rules.earned)
        self._since = None
        self._spent = False

    def failed(self, now: float) -> None:
        """The service or the network failed at `now`, seconds of a steady clock."""
        self._refill(now)
        self._left = max(0.0, self._left - 1.0)
        self._spent = self._spent or self._left < _PROBE
        self._failed_at = now
        if self._since is None:
            self._since = now

    @property
    def paused(self) -> bool:
        """Whether the budget is spent and nothing was answered since: one probe at a time may be out."""
        return self._spent

    def answered_since(self, moment: float) -> bool:
        """Whether any call was answered as it should be after `moment`."""
        return self._answered_at is not None and self._answered_at > moment

    def wait(self, now: float) -> float:
        """Seconds until a call may leave; 0 while the budget lasts."""
        self._refill(now)
        if self._left >= _PROBE:
            return 0.0
        return (_PROBE - self._left) / self._rules.refill

    def until_end(self, now: float) -> float | None:
        """Seconds until an outage has lasted as long as one may; None while there is none."""
        silent = self.silent_for(now)
        return max(0.0, self._rules.longest - silent) if silent else None

    def until_probe(self, now: float) -> float:
        """Seconds until a call may leave; the last one of an outage leaves when its time is over."""
        pause, left = self.wait(now), self.until_end(now)
        return pause if left is None else min(pause, left)

    @property
    def is_given_up(self) -> bool:
        """Whether nothing but failures came for too long; to be asked after each of them."""
        return self.outage >= self._rules.longest

    def silent_for(self, now: float) -> float:
        """Seconds since the first failure after the last good answer; 0 when the last answer was good."""
        return 0.0 if self._since is None else now - self._since

    @property
    def outage(self) -> float:
        """Seconds over which nothing but failures came, first to latest, however few they were.

        Time in which nothing was tried says nothing.
        """
        return self._failed_at - self._since if self._since is not None else 0.0

    def _refill(self, now: float) -> None:
        if self._left < self._rules.budget and now > self._refilled_at:
            # Time alone brings back no more than one probe: the rest has to be earned.
            gained = self._left + (now - self._refilled_at) * self._rules.refill
            self._left = max(self._left, min(_PROBE, gained))
        self._refilled_at = now
