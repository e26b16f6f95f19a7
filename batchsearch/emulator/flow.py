"""How many calls an instance grants in a second, and how it counts one.

The vendor sells queries per second and says no more: neither the window nor the burst rule is documented.
So the way of counting is a choice here:

* `token_bucket` (the default): a bucket that holds QPS tokens and gains QPS a second. It is the most usual
  way in front of a service, forgives the jitter of a network, and still punishes a client that is too fast
  for longer;
* `token_bucket_one`: a bucket of a single token: calls must be evenly spaced;
* `fixed_window`: QPS calls from each full second to the next;
* `sliding_log`: QPS granted calls within any second;
* `sliding_log_denials`: the same, but denied calls count too, so that hammering keeps the door shut.

Everything is pure: the clock is an argument, and nothing waits. For a rate under one call a second, and for
one that is no whole number, "a second" is the time in which the whole part of the rate (at least one call)
is due.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Budget = Literal["query", "add", "delete", "update", "other"]
BUDGETS: Final[tuple[Budget, ...]] = get_args(Budget)
Counting = Literal["token_bucket", "token_bucket_one", "fixed_window", "sliding_log", "sliding_log_denials"]
COUNTINGS: Final[tuple[Counting, ...]] = get_args(Counting)

SMALL_CAPACITY: Final = 100_000
"""Instances of this many images or fewer may add one a second; larger ones five."""

# Rounding of clock differences must not turn an evenly paced client away.
_TOLERANCE: Final = 1e-6


def documented_rates(query: float, capacity: int) -> dict[Budget, float]:
    """Calls per second of each budget, by the vendor's limits.

    Args:
        query: Purchased queries per second.
        capacity: Purchased number of images.
    """
    add = 1.0 if capacity <= SMALL_CAPACITY else 5.0
    return {"query": query, "add": add, "delete": 20.0, "update": 20.0, "other": 1.0}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may pass.

    Attributes:
        granted: It may.
        retry_after: Seconds after which the next call would be granted if none came before; 0 when granted.
    """

    granted: bool
    retry_after: float = 0.0


class Unlimited:
    """Grants everything: a budget whose rate is infinite."""

    def judge(self, now: float) -> Verdict:  # noqa: ARG002 - as every counter has it
        """Grant a call at `now`, seconds of a clock that never goes back."""
        return Verdict(granted=True)


class TokenBucket:
    """Holds up to `size` tokens, gains `rate` a second, spends one on each granted call."""

    def __init__(self, rate: float, size: float) -> None:
        self._rate, self._size = rate, max(1.0, size)
        self._tokens = self._size
        self._at = -math.inf

    def judge(self, now: float) -> Verdict:
        """Spend a token if there is one."""
        now = max(now, self._at)
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens >= 1.0 - _TOLERANCE:
            self._tokens = max(0.0, self._tokens - 1.0)
            return Verdict(granted=True)
        return Verdict(granted=False, retry_after=(1.0 - self._tokens) / self._rate)


class FixedWindow:
    """Grants the first `count` calls of each window; windows follow each other from `phase` on."""

    def __init__(self, count: int, seconds: float, *, phase: float = 0.0) -> None:
        self._count, self._seconds, self._phase = count, seconds, phase
        self._window = -math.inf
        self._used = 0

    def judge(self, now: float) -> Verdict:
        """Grant while the window has calls left."""
        window = math.floor((now - self._phase) / self._seconds + _TOLERANCE)
        if window > self._window:
            self._window, self._used = window, 0
        if self._used < self._count:
            self._used += 1
            return Verdict(granted=True)
        end = self._phase + (self._window + 1) * self._seconds
        return Verdict(granted=False, retry_after=max(0.0, end - now))


class SlidingLog:
    """Grants a call when fewer than `count` were counted in the window before it."""

    def __init__(self, count: int, seconds: float, *, count_denials: bool) -> None:
        self._count, self._seconds, self._count_denials = count, seconds, count_denials
        # The last `count` counted calls decide; more need not be kept.
        self._times: deque[float] = deque(maxlen=count)

    def judge(self, now: float) -> Verdict:
        """Grant when the window before `now` has room."""
        now = max(now, self._times[-1]) if self._times else now
        full = len(self._times) == self._count
        granted = not full or now - self._times[0] >= self._seconds - _TOLERANCE
        if granted or self._count_denials:
            self._times.append(now)
        if granted:
            return Verdict(granted=True)
        return Verdict(granted=False, retry_after=max(0.0, self._times[0] + self._seconds - now))


Counter: TypeAlias = Unlimited | TokenBucket | FixedWindow | SlidingLog
"""Counts the calls of one budget."""


def counter_for(rate: float, counting: Counting) -> Counter:
    """A counter of `rate` calls per second, starting as if no call had ever been made.

    Raises:
        ValueError: the rate is not above 0, or there is no such way of counting.
    """
    if not rate > 0:
        raise ValueError(f"a rate of {rate:g} calls per second grants nothing: give one above 0")
    if math.isinf(rate):
        return Unlimited()
    count = max(1, math.floor(rate))
    seconds = count / rate
    match counting:
        case "token_bucket":
            return TokenBucket(rate, rate)
        case "token_bucket_one":
            return TokenBucket(rate, 1.0)
        case "fixed_window":
            return FixedWindow(count, seconds)
        case "sliding_log":
            return SlidingLog(count, seconds, count_denials=False)
        case "sliding_log_denials":
            return SlidingLog(count, seconds, count_denials=True)
        case _:
            raise ValueError(f"{counting!r} is no way of counting: choose one of {', '.join(COUNTINGS)}")


class FlowControl:
    """The budgets of one instance; each is counted apart."""

    def __init__(self, rates: Mapping[Budget, float], counting: Counting) -> None:
        self.rates: Mapping[Budget, float] = MappingProxyType(dict(rates))
        self._counters = {budget: counter_for(rate, counting) for budget, rate in rates.items()}

    def judge(self, budget: Budget, now: float) -> Verdict:
        """Grant or deny a call of `budget` at `now`, monotonic seconds."""
        return self._counters[budget].judge(now)
