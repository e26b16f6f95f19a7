"""What the pacer keeps whatever happens: random histories in virtual time."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from pacing_virtual_time import virtual_runner

from batchsearch.pacing.pacer import Pacer

steps = st.lists(
    st.one_of(
        st.tuples(st.just("callers"), st.integers(1, 15)),
        st.tuples(st.just("idle"), st.floats(0, 5)),
        st.tuples(st.just("cancel"), st.integers(0, 14)),
        st.tuples(st.just("deny"), st.sampled_from([None, None, 0.3, 2.0])),
        st.tuples(st.just("grant"), st.none()),
        st.tuples(st.just("block"), st.floats(0, 0.3)),
    ),
    max_size=25,
)


class History:
    """Plays steps against one pacer and keeps what happened."""

    def __init__(self, pacer, loop, delays):
        self.pacer, self.loop, self.delays = pacer, loop, delays
        self.came = 0
        self.waiting = {}
        self.slots, self.left, self.served = [], [], []
        self.cancelled = set()
        self.unanswered = []
        self.slowest = 0.0

    async def caller(self, number):
        slot = await self.pacer.slot()
        self.slowest = max(self.slowest, 1 / self.pacer.rate)
        self.served.append(number)
        self.slots.append(slot)
        self.unanswered.append(slot)
        await asyncio.sleep(self.delays[number % len(self.delays)])  # on its way out
        self.pacer.departed(slot)
        self.left.append(self.loop.time())

    async def play(self, actions):
        for what, value in actions:
            if what == "callers":
                for _ in range(value):
                    self.waiting[self.came] = asyncio.ensure_future(self.caller(self.came))
                    self.came += 1
            elif what == "idle":
                await asyncio.sleep(value)
            elif what == "block":
                self.loop.pass_time(value)
            elif what == "cancel":
                still = [number for number in self.waiting if not self.waiting[number].done()]
                still = [number for number in still if number not in self.served]
                if still:
                    number = still[value % len(still)]
                    self.waiting[number].cancel()
                    self.cancelled.add(number)
            elif self.unanswered:
                slot = self.unanswered.pop(0)
                latency = self.loop.time() - slot
                if what == "deny":
                    self.pacer.denied(slot, latency, value)
                else:
                    self.pacer.granted(slot, latency)
        begun = self.loop.time()
        queued = sum(not task.done() for task in self.waiting.values())
        await asyncio.gather(*self.waiting.values(), return_exceptions=True)
        return queued, self.loop.time() - begun


def played(tier, share, actions, delays, timers):
    with virtual_runner(*timers) as runner:
        loop = runner.get_loop()
        pacer = Pacer(tier, share=share, clock=loop.time)
        history = History(pacer, loop, delays)
        queued, took = runner.run(history.play(actions))
        return history, queued, took


@settings(max_examples=150, deadline=None)
@given(
    tier=st.sampled_from([1, 2, 5, 10]),
    share=st.sampled_from([1.0, 0.8, 0.5]),
    actions=steps,
    delays=st.lists(st.sampled_from([0.0, 0.0, 0.02, 0.3]), min_size=1, max_size=4),
    timers=st.tuples(st.sampled_from([0.0, 0.001, 0.05]), st.integers(0, 1000)),  # how late, and a seed
)
def test_never_above_the_tier_and_never_stuck(tier, share, actions, delays, timers):
    """No half-open second holds more than the tier, of slots or of departures; everyone is served in turn."""
    history, queued, took = played(tier, share, actions, delays, timers)
    for times in (history.slots, sorted(history.left)):
        assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[tier:], strict=False))
    assert history.served == sorted(history.served)
    assert set(history.served) | history.cancelled == set(range(history.came))
    assert history.pacer.waiting == 0
    # the longest hint of the steps, a full window, and the queue at the slowest spacing that it has had
    assert took <= 2.0 + 1.4 + (queued + 1) * (
        max(history.slowest, 1 / (tier * share)) + 3 * timers[0] + 0.35
    )


@settings(max_examples=40, deadline=None)
@given(counts=st.lists(st.integers(1, 12), min_size=2, max_size=5), tier=st.sampled_from([1, 5, 10]))
def test_window_holds_over_event_loops(counts, tier):
    """One pacer used in one event loop after another keeps the window over the changes."""
    loops = []

    def clock():
        return loops[-1].time()

    pacer = Pacer(tier, clock=clock)
    times = []

    async def some(count):
        return await asyncio.gather(*(pacer.slot() for _ in range(count)))

    for count in counts:
        with virtual_runner() as runner:
            loops.append(runner.get_loop())
            if times:
                loops[-1].pass_time(times[-1] - loops[-1].time())
            times += runner.run(some(count))
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[tier:], strict=False))
