"""Flow control as it may be, and the network before it, in virtual time with fixed seeds.

Nothing here knows how a client decides when to send, and no client may look in here: a client is told of
its own departures, and of each call only whether it was denied, when the answer has come back: 50 to
300 ms after sending, so that several calls are under way and answers overtake each other.

The ways of counting are those that services are known to use; which one Image Search uses is documented
nowhere. Every one of them is asked in order of arrival, which is not the order of sending.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol


class FixedWindow:
    """At most `qps` are granted in each second of the service's own clock."""

    def __init__(self, qps: int, phase: float) -> None:
        self._qps = qps
        self._phase = phase
        self._window = -1
        self._granted = 0

    def admits(self, at: float) -> bool:
        window = math.floor(at + self._phase)
        if window != self._window:
            self._window, self._granted = window, 0
        if self._granted >= self._qps:
            return False
        self._granted += 1
        return True


class SlidingLog:
    """At most `qps` are granted within any second; denied calls are forgotten."""

    counts_denials = False

    def __init__(self, qps: int, _phase: float) -> None:
        self._qps = qps
        self._log: deque[float] = deque()

    def admits(self, at: float) -> bool:
        while self._log and self._log[0] <= at - 1.0:
            self._log.popleft()
        granted = len(self._log) < self._qps
        if granted or self.counts_denials:
            self._log.append(at)
        return granted


class SlidingLogOfAll(SlidingLog):
    """A call is granted if fewer than `qps` arrived within the second before it, denied ones included."""

    counts_denials = True


class TokenBucket:
    """Tokens come in at `qps` a second and are kept up to `size`; a granted call takes one."""

    def __init__(self, qps: int, size: int) -> None:
        self._qps = qps
        self._size = size
        self._tokens = float(size)
        self._at = 0.0

    def admits(self, at: float) -> bool:
        self._tokens = min(self._size, self._tokens + (at - self._at) * self._qps)
        self._at = at
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True


COUNTINGS: Final = MappingProxyType(
    {
        "fixed window": FixedWindow,
        "sliding log": SlidingLog,
        "sliding log of all": SlidingLogOfAll,
        "bucket of QPS": lambda qps, _phase: TokenBucket(qps, qps),
        "bucket of one": lambda qps, _phase: TokenBucket(qps, 1),
    }
)

JITTERS: Final = MappingProxyType(
    {
        # A call is under way for a constant time and this much more. `scale` is the standard deviation of
        # the first two; the third is bounded by it.
        "normal": lambda chance, scale: max(0.0, chance.gauss(4 * scale, scale)),
        "exponential": lambda chance, scale: chance.expovariate(1 / scale),
        "uniform": lambda chance, scale: chance.uniform(0.0, scale),
    }
)


@dataclass(frozen=True)
class Cell:
    """One combination of tier (calls/s), way of counting, and jitter of arrivals (seconds and shape)."""

    tier: int
    counting: str
    jitter: float
    shape: str = "normal"


@dataclass(frozen=True)
class Rival:
    """Somebody else on the same instance, whose calls know of no denial.

    Attributes:
        rate: Calls per second.
        until: When they stop, seconds.
        bursts: Seconds of calling, and from the start of one burst to that of the next; None: all the time.
        poisson: Calls come independently of each other; otherwise nearly evenly.
    """

    rate: float
    until: float = math.inf
    bursts: tuple[float, float] | None = None
    poisson: bool = False


@dataclass(frozen=True)
class Closed:
    """A time in which the service denies every call, and counts none.

    Attributes:
        since: Start, seconds.
        seconds: Length.
        every: Seconds from one start to the next; endless when it happens once.
    """

    since: float
    seconds: float
    every: float = math.inf

    def at(self, at: float) -> bool:
        """Whether the service is closed at a time."""
        into = at - self.since
        return into >= 0 and (into if self.every == math.inf else into % self.every) < self.seconds


@dataclass
class Tally:
    """What became of the calls that left in the counted time."""

    granted: int = 0
    denied: int = 0

    def count(self, granted: bool) -> None:
        if granted:
            self.granted += 1
        else:
            self.denied += 1


class Client(Protocol):
    """What is measured."""

    def due(self, last: float) -> float:
        """When the next call leaves, if the last one left at `last`; asked again when that time has come."""

    def departed(self, at: float) -> None:
        """A call leaves at `at`."""

    def answered(self, slot_at: float, now: float, granted: bool) -> None:
        """The call that left at `slot_at` was answered."""


class _Network:
    """Ways there and back; a denial costs the service no work.

    Each way has its own chance, so that a call's way there does not depend on which answers came before.
    """

    def __init__(self, cell: Cell, name: str) -> None:
        self._there = random.Random(f"there {name}")
        self._back = random.Random(f"back {name}")
        self._scale = cell.jitter
        self._draw = JITTERS[cell.shape]

    def there(self) -> float:
        return 0.010 + self._draw(self._there, self._scale)

    def back(self, granted: bool) -> float:
        work = 0.030 + self._back.lognormvariate(math.log(0.08), 0.6) if granted else 0.005
        return work + 0.010 + self._draw(self._back, self._scale)


class Simulation:
    """One client with endless work against one cell.

    Args:
        cell: The service and the network.
        client: What is measured.
        seed: Decides phase, arrivals and answers; equal seeds are the same world for every client.
        seconds: Length.
        count_from: Calls that left before are not tallied: the time of learning.
        rival: Somebody else on the instance.
        closed: When the service denies everything.
        grants: Calls that the service grants in so many seconds; the tier's in one when None.
        grants_from: Since when it does; before, the tier's.
        grants_until: Until when it does; from then on the tier's again.
        work: Seconds of work and seconds of pause, alternating; endless work when None.
    """

    def __init__(
        self,
        cell: Cell,
        client: Client,
        seed: int,
        *,
        seconds: float,
        count_from: float = 0.0,
        rival: Rival | None = None,
        closed: Closed | None = None,
        grants: tuple[int, float] | None = None,
        grants_from: float = 0.0,
        grants_until: float = math.inf,
        work: tuple[float, float] | None = None,
    ) -> None:
        name = f"{seed}/{cell.tier}/{cell.counting}/{cell.jitter}/{cell.shape}"
        self._chance = random.Random(f"world {name}")
        phase = self._chance.random()
        self._flow = COUNTINGS[cell.counting](cell.tier, phase)
        count, self._second = grants or (cell.tier, 1.0)
        self._other_flow = COUNTINGS[cell.counting](count, phase)
        self._other = (grants_from, grants_until) if grants else (math.inf, math.inf)
        self._mine = _Network(cell, f"mine {name}")
        self._theirs = _Network(cell, f"theirs {name}")
        self._client = client
        self._seconds = seconds
        self._count_from = count_from
        self._rival = rival
        self._rival_phase = random.Random(f"phase {name}").random()
        self._closed = closed
        self._work = work
        self._last = -math.inf
        self._serial = itertools.count()
        self._events: list = []
        self.mine = Tally()
        self.theirs = Tally()

    def run(self) -> Simulation:
        """Plays everything; the tallies are filled afterwards."""
        self._at(self._chance.random(), self._depart)
        if self._rival is not None:
            self._at(self._chance.random(), self._rival_departs)
        events, pop = self._events, heapq.heappop
        while events:
            at, _, what, about = pop(events)
            what(at, *about)
        return self

    def run_evenly(self, interval: float) -> Simulation:
        """Plays a client that calls every so many seconds and hears nothing: the same tally, sooner.

        Only for a client that is alone and has endless work.
        """
        at, calls = self._chance.random(), []
        while at < self._seconds:
            calls.append((at + self._mine.there(), at))
            at += interval
        for arrival, at in sorted(calls):
            granted = self._admits(arrival)
            if at >= self._count_from:
                self.mine.count(granted)
        return self

    def _at(self, at: float, what, *about) -> None:
        heapq.heappush(self._events, (at, next(self._serial), what, about))

    def _depart(self, at: float) -> None:
        due = self._awake(self._client.due(self._last))
        if due > at:
            self._at(due, self._depart)
        elif at < self._seconds:
            self._client.departed(at)
            self._last = at
            self._at(at + self._mine.there(), self._arrive, at)
            self._at(max(at, self._client.due(at)), self._depart)

    def _arrive(self, at: float, slot_at: float) -> None:
        granted = self._admits(at)
        if slot_at >= self._count_from:
            self.mine.count(granted)
        self._at(at + self._mine.back(granted), self._answer, slot_at, granted)

    def _answer(self, at: float, slot_at: float, granted: bool) -> None:
        self._client.answered(slot_at, at, granted)

    def _admits(self, at: float) -> bool:
        if self._closed is not None and self._closed.at(at):
            return False
        begins, ends = self._other
        if begins <= at < ends:
            return self._other_flow.admits(at / self._second)
        return self._flow.admits(at)

    def _rival_departs(self, at: float) -> None:
        rival = self._rival
        if at >= min(self._seconds, rival.until):
            return
        if rival.bursts is not None:
            calling, every = rival.bursts
            into = (at + self._rival_phase * every) % every
            if into >= calling:
                # A little late: by rounding the next burst might else begin never.
                self._at(at + every - into + 1e-6, self._rival_departs)
                return
        self._at(at + self._theirs.there(), self._rival_arrives, at)
        # A tenth either way: two exact clocks would stay in one phase for ever, which none do.
        apart = self._chance.expovariate(1) if rival.poisson else self._chance.uniform(0.9, 1.1)
        self._at(at + apart / rival.rate, self._rival_departs)

    def _rival_arrives(self, at: float, slot_at: float) -> None:
        granted = self._admits(at)
        if slot_at >= self._count_from:
            self.theirs.count(granted)

    def _awake(self, at: float) -> float:
        if self._work is None or at < 0:
            return at
        working, pause = self._work
        into = at % (working + pause)
        return at if into <= working else at - into + working + pause
