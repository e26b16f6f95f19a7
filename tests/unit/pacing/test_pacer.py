"""The pacer's slots one by one, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest
from pacing_virtual_time import virtual_runner

from batchsearch.pacing.pacer import MAX_HOLD, Pacer


@pytest.fixture
def runner():
    with virtual_runner() as made:
        yield made


def pacer_on(runner, qps, **options):
    return Pacer(qps, clock=runner.get_loop().time, **options)


async def slots(pacer, count):
    return [await pacer.slot() for _ in range(count)]


@pytest.mark.parametrize("tier", [1, 5, 10])
def test_even_from_the_start(runner, tier):
    """At start there is no burst: calls leave one by one, a tier's interval apart, and no slower."""
    times = runner.run(slots(pacer_on(runner, tier), 3 * tier + 1))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 1 / tier - 1e-9
    assert times[-1] - times[0] == pytest.approx(3, abs=1e-4)


def test_late_timers_lose_no_slots():
    """Timers that wake up to a millisecond late cost less than half a percent of the tier."""
    with virtual_runner(0.001, 3) as late:
        times = late.run(slots(pacer_on(late, 10), 1001))
    assert times[-1] - times[0] < 100.5
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))


def test_a_tier_is_used_by_calls_that_leave_late():
    """Of the first second at most one slot is lost when calls leave some milliseconds after their slot."""

    async def caller(pacer, number, left):
        slot = await pacer.slot()
        if number % 4 == 0:
            await asyncio.sleep(0.003)
        pacer.departed(slot)
        left.append(asyncio.get_running_loop().time())
        pacer.granted(slot, 0.1)

    async def crowd(runner):
        pacer, left = pacer_on(runner, 10), []
        await asyncio.gather(*(caller(pacer, number, left) for number in range(25)))
        return sorted(left)

    with virtual_runner(0.001, 3) as late:
        left = late.run(crowd(late))
    windows = [sum(begin <= at < begin + 1 for at in left) for begin in left]
    assert max(windows) <= 10
    assert windows[0] >= 9


def test_a_high_rate_is_not_held_back_by_timers():
    """At a rate far above what timers can keep, a thousand slots are handed out in well under a second."""
    with virtual_runner(0.001, 3) as late:
        times = late.run(slots(pacer_on(late, 20_000), 1001))
    assert times[-1] - times[0] < 1.0


def test_nothing_is_saved_up_while_idle(runner):
    """After a pause calls are as far apart as before: an idle second is gone, not owed."""

    async def work():
        pacer = pacer_on(runner, 10)
        await slots(pacer, 5)
        await asyncio.sleep(30)
        return await slots(pacer, 11)

    times = runner.run(work())
    assert times[10] - times[0] >= 1.0
    assert times[1] - times[0] >= 0.1 - 1e-9


def test_first_slot_is_immediate(runner):
    """Nobody waits for a first slot, nor for one after idling."""

    async def work():
        pacer = pacer_on(runner, 1)
        begun = runner.get_loop().time()
        first = await pacer.slot()
        await asyncio.sleep(5)
        again = runner.get_loop().time()
        return first - begun, await pacer.slot() - again

    assert runner.run(work()) == (0.0, 0.0)


def test_share_leaves_the_rest(runner):
    """A share of 0.5 uses half the tier and no more."""
    pacer = pacer_on(runner, 10, share=0.5)
    times = runner.run(slots(pacer, 11))
    assert times[-1] - times[0] == pytest.approx(2.0, abs=1e-4)
    assert (pacer.tier, pacer.ceiling, pacer.rate) == (10, 5.0, 5.0)


def test_first_come_first_served(runner):
    """Slots go to callers in the order in which they asked."""

    async def work():
        pacer = pacer_on(runner, 10)
        served = []

        async def caller(number):
            await pacer.slot()
            served.append(number)

        await asyncio.gather(*(caller(number) for number in range(25)))
        return served

    assert runner.run(work()) == list(range(25))


def test_cancelled_waiter_holds_up_nobody(runner):
    """Cancelling waiters, the one in front too, takes no slot from the others and costs no time."""

    async def work():
        pacer = pacer_on(runner, 5)
        first = await pacer.slot()
        waiting = [asyncio.ensure_future(pacer.slot()) for _ in range(6)]
        await asyncio.sleep(0.05)
        for place in (0, 2, 3):
            waiting[place].cancel()
        got = await asyncio.gather(*waiting, return_exceptions=True)
        return pacer.waiting, [at - first for at in got if isinstance(at, float)]

    left, times = runner.run(work())
    assert left == 0
    assert times == pytest.approx([0.2, 0.4, 0.6], abs=1e-6)


def test_denial_slows_and_answers_recover(runner):
    """A denial widens the spacing at once; grants bring the tier back, and never more than the tier."""

    async def work():
        pacer = pacer_on(runner, 10)
        for _ in range(50):
            pacer.granted(await pacer.slot(), 0.1)
        before = pacer.rate
        pacer.denied(await pacer.slot(), 0.1)
        after = pacer.rate
        for _ in range(400):
            pacer.granted(await pacer.slot(), 0.1)
        return before, after, pacer.rate

    before, after, recovered = runner.run(work())
    assert before == pytest.approx(10)
    assert after < 10
    assert recovered == pytest.approx(10)


def test_without_adaptation_denials_change_nothing(runner):
    """`adaptive=False` keeps the tier whatever is denied."""

    async def work():
        pacer = pacer_on(runner, 10, adaptive=False)
        times = []
        for _ in range(21):
            times.append(await pacer.slot())
            pacer.denied(times[-1], 0.05)
        return times[-1] - times[0]

    assert runner.run(work()) == pytest.approx(2.0, abs=1e-3)


def test_retry_after_holds_all_calls(runner):
    """No call leaves before the time that the service asked for, waiting ones included."""

    async def work():
        pacer = pacer_on(runner, 10)
        slot = await pacer.slot()
        waiting = asyncio.ensure_future(pacer.slot())
        await asyncio.sleep(0.05)
        pacer.denied(slot, 0.05, retry_after=3.0)
        return await waiting - slot

    assert runner.run(work()) == pytest.approx(3.05, abs=1e-3)


@pytest.mark.parametrize("hint", [float("inf"), 1e12])
def test_senseless_retry_after_is_bounded(runner, hint):
    """A hint of years holds calls for a minute: it must not stop a night."""

    async def work():
        pacer = pacer_on(runner, 10)
        slot = await pacer.slot()
        pacer.denied(slot, 0.0, retry_after=hint)
        return await pacer.slot() - slot

    assert runner.run(work()) == pytest.approx(MAX_HOLD, abs=1e-3)


@pytest.mark.parametrize("hint", [float("nan"), -5.0, 0.0])
def test_meaningless_retry_after_is_ignored(runner, hint):
    """A hint that is no time to wait holds nothing up."""

    async def work():
        pacer = pacer_on(runner, 10)
        slot = await pacer.slot()
        pacer.denied(slot, 0.0, retry_after=hint)
        return await pacer.slot() - slot

    assert runner.run(work()) < 1.0


def test_window_holds_for_late_departures(runner):
    """A call reported to have left after its slot moves later slots, so that the bytes keep the window."""

    async def work():
        pacer = pacer_on(runner, 5)
        left = []
        for number in range(20):
            slot = await pacer.slot()
            runner.get_loop().pass_time(0.05 if number % 7 == 0 else 0.0)
            pacer.departed(slot)
            left.append(runner.get_loop().time())
        return left

    left = runner.run(work())
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[5:], strict=False))


def test_goes_on_in_another_event_loop():
    """The window holds over the change from one event loop to the next, and nothing warns of it."""
    loops = []

    def clock():
        return loops[-1].time()

    pacer = Pacer(10, clock=clock)
    times = []
    for _ in range(3):
        with virtual_runner() as runner:
            loops.append(runner.get_loop())
            if times:
                loops[-1].pass_time(times[-1] - loops[-1].time())
            times += runner.run(slots(pacer, 7))
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))
    assert min(later - earlier for earlier, later in pairwise(times)) >= 0.1 - 1e-9


def test_caller_of_a_closed_loop_is_passed_over():
    """A waiter whose event loop was closed under it does not block those of other loops."""
    pacer = Pacer(50)
    gone = asyncio.new_event_loop()

    async def stand_in_line():
        await pacer.slot()
        stuck = [gone.create_task(pacer.slot()) for _ in range(3)]
        await asyncio.sleep(0)
        return stuck

    stuck = gone.run_until_complete(stand_in_line())
    gone.close()
    assert pacer.waiting > 0
    assert asyncio.run(asyncio.wait_for(pacer.slot(), 5)) > 0
    assert pacer.waiting == 0
    for task in stuck:
        task.get_coro().close()
        task._log_destroy_pending = False


def test_threads_share_one_rate():
    """Event loops of several threads that use one pacer together keep its rate."""
    pacer = Pacer(40)
    times = []

    def work():
        times.extend(asyncio.run(slots(pacer, 10)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert len(times) == 30
    # A machine that is busy makes a call leave late, and the next one on time.
    assert all(at - times[0] >= number / 40 - 0.003 for number, at in enumerate(times))


@pytest.mark.parametrize("qps", [60, 1000, 5000])
def test_high_rates_keep_the_window_and_come_close(runner, qps):
    """Above what can be bought calls may leave in small bursts, and still no second holds more than QPS."""
    times = runner.run(slots(pacer_on(runner, qps), 2 * qps))
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in zip(times, times[qps:], strict=False))
    assert 2 * qps / (times[-1] - times[0]) > 0.95 * qps


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"qps": 0}, "qps must be above zero"),
        ({"qps": float("nan")}, "qps must be above zero"),
        ({"qps": float("inf")}, "qps must be above zero"),
        ({"qps": 5, "share": 0}, "share must be above 0"),
        ({"qps": 5, "share": 1.5}, "share must be above 0"),
    ],
)
def test_senseless_rates_are_refused(arguments, says):
    """A rate or share that no pacer can keep is refused when it is made."""
    with pytest.raises(ValueError, match=says):
        Pacer(**arguments)
