"""The pacer's slots one by one, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest
from pacing_virtual_time import in_virtual_time, now, pass_time, slots, virtual_runner

from batchsearch.pacing.pacer import MAX_HOLD, Pacer


def pacer_at(qps, **options):
    return Pacer(qps, clock=now, **options)


@pytest.mark.parametrize("tier", [1, 5, 10])
@in_virtual_time
async def test_even_from_the_start(tier):
    """At start there is no burst: calls leave one by one, a tier's interval apart, and no slower."""
    times = await slots(pacer_at(tier), 3 * tier + 1)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 1 / tier - 1e-9
    assert times[-1] - times[0] == pytest.approx(3, abs=1e-4)


@in_virtual_time(lateness=0.001)
async def test_late_timers_lose_no_slots():
    """Timers that wake up to a millisecond late cost less than half a percent of the tier."""
    times = await slots(pacer_at(10), 1001)
    assert times[-1] - times[0] < 100.5
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))


@in_virtual_time(lateness=0.001)
async def test_a_tier_is_used_by_calls_that_leave_late():
    """Of the first second at most one slot is lost when calls leave some milliseconds after their slot."""
    pacer, left = pacer_at(10), []

    async def caller(number):
        slot = await pacer.slot()
        if number % 4 == 0:
            await asyncio.sleep(0.003)
        pacer.departed(slot)
        left.append(now())
        pacer.granted(slot, 0.1)

    await asyncio.gather(*(caller(number) for number in range(25)))
    left.sort()
    windows = [sum(begin <= at < begin + 1 for at in left) for begin in left]
    assert max(windows) <= 10
    assert windows[0] >= 9


@in_virtual_time(lateness=0.001)
async def test_a_high_rate_is_not_held_back_by_timers():
    """At a rate far above what timers can keep, a thousand slots are handed out in well under a second."""
    times = await slots(pacer_at(20_000), 1001)
    assert times[-1] - times[0] < 1.0


@in_virtual_time
async def test_nothing_is_saved_up_while_idle():
    """After a pause calls are as far apart as before: an idle second is gone, not owed."""
    pacer = pacer_at(10)
    await slots(pacer, 5)
    await asyncio.sleep(30)
    times = await slots(pacer, 11)
    assert times[10] - times[0] >= 1.0
    assert times[1] - times[0] >= 0.1 - 1e-9


@in_virtual_time
async def test_first_slot_is_immediate():
    """Nobody waits for a first slot, nor for one after idling."""
    pacer = pacer_at(1)
    begun = now()
    first = await pacer.slot()
    await asyncio.sleep(5)
    again = now()
    assert (first - begun, await pacer.slot() - again) == (0.0, 0.0)


@in_virtual_time
async def test_share_leaves_the_rest():
    """A share of 0.5 uses half the tier and no more."""
    pacer = pacer_at(10, share=0.5)
    times = await slots(pacer, 11)
    assert times[-1] - times[0] == pytest.approx(2.0, abs=1e-4)
    assert (pacer.tier, pacer.ceiling, pacer.rate) == (10, 5.0, 5.0)


@in_virtual_time
async def test_first_come_first_served():
    """Slots go to callers in the order in which they asked."""
    pacer = pacer_at(10)
    served = []

    async def caller(number):
        await pacer.slot()
        served.append(number)

    await asyncio.gather(*(caller(number) for number in range(25)))
    assert served == list(range(25))


@in_virtual_time
async def test_cancelled_waiter_holds_up_nobody():
    """Cancelling waiters, the one in front too, takes no slot from the others and costs no time."""
    pacer = pacer_at(5)
    first = await pacer.slot()
    waiting = [asyncio.ensure_future(pacer.slot()) for _ in range(6)]
    await asyncio.sleep(0.05)
    for place in (0, 2, 3):
        waiting[place].cancel()
    got = await asyncio.gather(*waiting, return_exceptions=True)
    assert pacer.waiting == 0
    assert [at - first for at in got if isinstance(at, float)] == pytest.approx([0.2, 0.4, 0.6], abs=1e-6)


@in_virtual_time
async def test_denial_slows_and_answers_recover():
    """A denial widens the spacing at once; grants bring the tier back, and never more than the tier."""
    pacer = pacer_at(10)
    for _ in range(50):
        pacer.granted(await pacer.slot(), 0.1)
    before = pacer.rate
    pacer.denied(await pacer.slot(), 0.1)
    after = pacer.rate
    for _ in range(400):
        pacer.granted(await pacer.slot(), 0.1)
    assert before == pytest.approx(10)
    assert after < 10
    assert pacer.rate == pytest.approx(10)


@in_virtual_time
async def test_without_adaptation_denials_change_nothing():
    """`adaptive=False` keeps the tier whatever is denied."""
    pacer = pacer_at(10, adaptive=False)
    times = []
    for _ in range(21):
        times.append(await pacer.slot())
        pacer.denied(times[-1], 0.05)
    assert times[-1] - times[0] == pytest.approx(2.0, abs=1e-3)


@in_virtual_time
async def test_retry_after_holds_all_calls():
    """No call leaves before the time that the service asked for, waiting ones included."""
    pacer = pacer_at(10)
    slot = await pacer.slot()
    waiting = asyncio.ensure_future(pacer.slot())
    await asyncio.sleep(0.05)
    pacer.denied(slot, 0.05, retry_after=3.0)
    assert await waiting - slot == pytest.approx(3.05, abs=1e-3)


@pytest.mark.parametrize("hint", [float("inf"), 1e12])
@in_virtual_time
async def test_senseless_retry_after_is_bounded(hint):
    """A hint of years holds calls for a minute: it must not stop a night."""
    pacer = pacer_at(10)
    slot = await pacer.slot()
    pacer.denied(slot, 0.0, retry_after=hint)
    assert await pacer.slot() - slot == pytest.approx(MAX_HOLD, abs=1e-3)


@pytest.mark.parametrize("hint", [float("nan"), -5.0, 0.0])
@in_virtual_time
async def test_meaningless_retry_after_is_ignored(hint):
    """A hint that is no time to wait holds nothing up."""
    pacer = pacer_at(10)
    slot = await pacer.slot()
    pacer.denied(slot, 0.0, retry_after=hint)
    assert await pacer.slot() - slot < 1.0


@in_virtual_time
async def test_window_holds_for_late_departures():
    """A call reported to have left after its slot moves later slots, so that the bytes keep the window."""
    pacer = pacer_at(5)
    left = []
    for number in range(20):
        slot = await pacer.slot()
        pass_time(0.05 if number % 7 == 0 else 0.0)
        pacer.departed(slot)
        left.append(now())
    assert all(later - earlier >= 1.0 for earlier, later in zip(left, left[5:], strict=False))


def test_goes_on_in_another_event_loop():
    """The window holds over the change from one event loop to the next, and nothing warns of it."""
    pacer, times = pacer_at(10), []

    async def work():
        if times:
            pass_time(times[-1] - now())
        times.extend(await slots(pacer, 7))

    for _ in range(3):
        with virtual_runner() as runner:
            runner.run(work())
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
@in_virtual_time
async def test_high_rates_keep_the_window_and_come_close(qps):
    """Above what can be bought calls may leave in small bursts, and still no second holds more than QPS."""
    times = await slots(pacer_at(qps), 2 * qps)
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
