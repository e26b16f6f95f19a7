"""Slots: the right to make one call now, handed out first come first served, never above the tier.

Three things decide when the next call may leave, and the latest of them wins:

- **the token bucket**, `aiolimiter.AsyncLimiter(1, 1/qps)`: one token, so nothing is saved up before the
  start or while idle (its period is two milliseconds shorter, so that a late timer is not lost for good);
- **the even spacing**: the tier's own, or wider where denials have taught so (`adaptive`);
- **the window**: the call that is QPS places back must have left a full second ago. It holds where even
  spacing alone would not: when a call leaves some milliseconds after its slot (see `Pacer.departed`), when
  float rounding would decide, and when the pacer moves from one event loop to another.

Waiting callers stand in one queue. Only the one in front has a timer, so a thousand waiters cost nothing
while they wait; whoever is cancelled steps out and the next one moves up.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from batchsearch.pacing.adaptive import SpacingController

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW: Final = 1.0 + 1e-6
"""What is kept as one second: a microsecond longer, so that float rounding never decides."""

_EVEN_UP_TO: Final = 50.0
"""Calls per second up to which they are spaced one by one. Event loop timers wake up to a millisecond
late; at the tiers that can be bought this costs half a percent, at 1,000 a second it would halve the rate."""

_SLIP: Final = 0.002
"""Seconds that a slot may be late without moving the ones after it: timers wake a millisecond late, which
over a night at tier 10 would lose one slot in a hundred. The window is kept all the same."""

_BURST_SECONDS: Final = 0.005
"""Above that, calls may leave in bursts of so many seconds' worth, and the rate is lowered by as much:
bucket size plus refill in one second together are still no more than QPS."""

MAX_HOLD: Final = 60.0
"""Longest pause taken from the service's own hint, seconds: a nonsensical hint must not stop a night."""


class _Ticket:
    """One place in the queue; `turn` is done when the caller has come to the front."""

    __slots__ = ("loop", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.turn: asyncio.Future[None] | None = None

    def call_up(self) -> bool:
        """Tells the caller that it is in front; False if its event loop is gone and it will never come."""
        if self.loop.is_closed():
            return False
        if self.turn is not None:
            try:
                self.loop.call_soon_threadsafe(_finish, self.turn)
            except RuntimeError:  # closed since
                return False
        return True


def _finish(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


class Pacer:
    """Hands out slots at no more than the tier, slower while the service denies calls.

    In any half-open window of one second no more than `ceil(qps x share)` slots are handed out: at start,
    after idling, after a denial, whatever is cancelled, and over all event loops and threads that use the
    same pacer. (Several processes need a shared one.)

    Args:
        qps: Purchased queries per second of the instance.
        share: Part of it that this pacer may use, above 0 and at most 1; the rest is left to others.
        adaptive: Whether denials widen the spacing. Without it the pacer keeps the tier exactly.
        clock: Monotonic seconds.

    Raises:
        ValueError: `qps` is not above zero or `share` is not above 0 and at most 1.
    """

    def __init__(
        self,
        qps: float,
        *,
        share: float = 1.0,
        adaptive: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (qps > 0 and math.isfinite(qps)):
            raise ValueError(f"qps must be above zero, not {qps!r}")
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {share!r}")
        self._tier = qps
        self._ceiling = qps * share
        self._clock = clock
        # 10 x 0.7 is 7.000000000000001, which must not become 8.
        self._calls = math.ceil(self._ceiling - 1e-9)
        if self._ceiling <= _EVEN_UP_TO:
            self._burst = 1
            self._shortest = 1 / self._ceiling
            self._slip = min(_SLIP, self._shortest / 10)
            self._left: deque[list[float]] = deque(maxlen=self._calls)  # slot, departure
        else:
            self._burst = 1 + math.ceil(self._ceiling * _BURST_SECONDS)
            self._shortest = 1 / (self._ceiling - self._burst)
            self._slip = 0.0
            self._left = deque(maxlen=0)
        self._controller = SpacingController(self._shortest) if adaptive else None
        self._even = -math.inf  # place of the latest slot in the even schedule
        self._hold_until = -math.inf
        self._lock = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._limiter: AsyncLimiter | None = None
        self._limiter_loop: asyncio.AbstractEventLoop | None = None

    @property
    def tier(self) -> float:
        """Purchased queries per second."""
        return self._tier

    @property
    def ceiling(self) -> float:
        """Most calls per second this pacer ever allows: tier times share."""
        return self._ceiling

    @property
    def rate(self) -> float:
        """Calls per second allowed now; never above `ceiling`."""
        return min(self._ceiling, 1 / self._interval())

    @property
    def waiting(self) -> int:
        """Callers standing in the queue for a slot."""
        return len(self._queue)

    async def slot(self) -> float:
        """Returns when one call may leave, now; callers are served in the order they came.

        Cancelling a waiting caller takes no slot and holds up nobody.

        Returns:
            The monotonic time of the slot, which names it in `departed`, `granted` and `denied`.
        """
        loop = asyncio.get_running_loop()
        ticket = _Ticket(loop)
        with self._lock:
            self._drop_gone()
            if self._queue:
                ticket.turn = loop.create_future()
            self._queue.append(ticket)
        try:
            if ticket.turn is not None:
                await ticket.turn
            return await self._serve(loop)
        finally:
            with self._lock:
                self._step_out(ticket)

    async def close(self) -> None:
        """Lets go of what the pacer holds open: nothing, unless its rate is shared."""

    def departed(self, slot_at: float) -> None:
        """Reports that the call of the slot `slot_at` leaves only now; optional.

        Reported right before the bytes go out, it makes the one-second window hold for the bytes and not
        only for the slots.
        """
        now = self._clock()
        with self._lock:
            for place in self._left:
                if place[0] == slot_at:
                    place[1] = max(place[1], now)

    def granted(self, slot_at: float, latency: float) -> None:
        """Reports that the call of the slot `slot_at` was answered after `latency` s and not denied."""
        if self._controller is not None:
            with self._lock:
                self._controller.granted(slot_at, slot_at + latency)

    def denied(self, slot_at: float, latency: float, retry_after: float | None = None) -> None:
        """Reports that the call of the slot `slot_at` was denied for coming too fast.

        Args:
            slot_at: What `slot` returned.
            latency: Seconds from slot to answer.
            retry_after: Seconds the service asked to wait, if it did: no call leaves before, though never
                longer than `MAX_HOLD`.
        """
        now = self._clock()
        with self._lock:
            if retry_after is not None and retry_after > 0:
                self._hold_until = max(self._hold_until, now + min(retry_after, MAX_HOLD))
            if self._controller is not None:
                self._controller.denied(slot_at, slot_at + latency)

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> float:
        """Waits, in front of the queue, until a slot is due, and takes it."""
        while True:
            delay = self._earliest() - self._clock()
            if delay <= 0:
                break
            await asyncio.sleep(delay)  # a denial may have moved the time on meanwhile: look again
        await self._limiter_of(loop).acquire()
        with self._lock:
            return self._take()

    def _interval(self) -> float:
        return self._shortest if self._controller is None else self._controller.interval

    def _earliest(self) -> float:
        """When the next slot may be taken, by the clock; may move while somebody waits for it."""
        with self._lock:
            even = self._even + (2 - self._burst) * self._interval()
            earliest = max(even, self._hold_until)
            if self._left and len(self._left) == self._left.maxlen:
                earliest = max(earliest, self._left[0][1] + _WINDOW)
            return earliest

    def _take(self) -> float:
        now = self._clock()
        even = self._even + self._interval()
        self._even = even if now <= even + self._slip else now
        self._left.append([now, now])
        if self._controller is not None:
            self._controller.departed(now)
        return now

    def _limiter_of(self, loop: asyncio.AbstractEventLoop) -> AsyncLimiter:
        """The token bucket of this event loop: aiolimiter's belongs to the one it was first used in.

        A new loop starts with a full bucket, which is safe: the window and the spacing go on from the
        last slot of the old one.
        """
        with self._lock:
            if self._limiter is None or self._limiter_loop is not loop:
                self._limiter = AsyncLimiter(self._burst, self._burst * self._shortest - self._slip)
                self._limiter_loop = loop
            return self._limiter

    def _step_out(self, ticket: _Ticket) -> None:
        in_front = bool(self._queue) and self._queue[0] is ticket
        if in_front:
            self._queue.popleft()
            while self._queue and not self._queue[0].call_up():
                self._queue.popleft()
        elif ticket in self._queue:
            self._queue.remove(ticket)

    def _drop_gone(self) -> None:
        """Forgets callers in front whose event loop was closed under them."""
        while self._queue and self._queue[0].loop.is_closed():
            self._queue.popleft()
            if self._queue:
                self._queue[0].call_up()
