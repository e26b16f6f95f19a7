"""Flow control: each way of counting a second, with a given clock."""

from __future__ import annotations

import math

import pytest

from batchsearch.emulator.flow import COUNTINGS, FlowControl, counter_for, documented_rates


def granted(counter, times) -> list[bool]:
    return [counter.judge(time).granted for time in times]


def even(rate: float, seconds: float, *, start: float = 1000.0) -> list[float]:
    return [start + number / rate for number in range(int(rate * seconds))]


@pytest.mark.parametrize("counting", COUNTINGS)
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.5, 5.0, 10.0])
def test_evenly_spaced_calls_at_the_rate_are_all_granted(counting, rate):
    """A client that keeps exactly to the rate is never denied, however seconds are counted."""
    assert all(granted(counter_for(rate, counting), even(rate, 30)))


@pytest.mark.parametrize("counting", COUNTINGS)
def test_a_client_at_twice_the_rate_is_denied_about_half_its_calls_or_more(counting):
    """Too fast for long gets at most the rate, plus one burst at the start."""
    verdicts = granted(counter_for(5.0, counting), even(10.0, 60))
    assert sum(verdicts) <= 5 * 60 + 5
    assert sum(verdicts) >= (5 if counting == "sliding_log_denials" else 5 * 60 - 5)


def test_a_fixed_window_grants_anew_at_each_full_second():
    """Calls at the end of one window and at the start of the next count apart."""
    counter = counter_for(2.0, "fixed_window")
    assert granted(counter, [9.8, 9.9, 9.99, 10.0, 10.01, 10.02]) == [True, True, False, True, True, False]


def test_a_sliding_log_grants_at_most_the_rate_in_any_second():
    """No window of a second, wherever it starts, holds more granted calls than the rate."""
    counter = counter_for(2.0, "sliding_log")
    assert granted(counter, [9.8, 9.9, 10.0, 10.79, 10.8, 10.89, 10.9]) == [
        True, True, False, False, True, False, True,
    ]  # fmt: skip


def test_counted_denials_keep_the_door_shut():
    """Where denied calls count, hammering is never granted again; a pause of a second is."""
    counter = counter_for(1.0, "sliding_log_denials")
    assert granted(counter, [0.0, 0.9, 1.8, 2.7]) == [True, False, False, False]
    assert counter.judge(3.7).granted


def test_a_token_bucket_grants_a_burst_after_idling_and_then_the_rate():
    """A full bucket grants the rate's number at once, then one for each token gained."""
    counter = counter_for(5.0, "token_bucket")
    assert granted(counter, [100.0] * 7) == [True] * 5 + [False] * 2
    assert granted(counter, [100.1, 100.2, 100.3]) == [False, True, False]


def test_a_bucket_of_one_wants_even_spacing():
    """With a single token two calls at once are one too many, even after idling."""
    counter = counter_for(5.0, "token_bucket_one")
    assert granted(counter, [100.0, 100.0, 100.2, 200.0, 200.1, 200.2]) == [
        True, False, True, True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("counting", ["token_bucket", "token_bucket_one", "fixed_window", "sliding_log"])
def test_waiting_as_long_as_told_is_enough(counting):
    """After a denial, a call made when the verdict says is granted."""
    counter = counter_for(5.0, counting)
    now, denied = 50.0, 0
    for _ in range(50):
        verdict = counter.judge(now)
        if not verdict.granted:
            denied += 1
            assert 0 < verdict.retry_after <= 1.0
            now += verdict.retry_after + 1e-6
            assert counter.judge(now).granted
    assert denied > 0


def test_a_lifted_limit_grants_everything():
    """An infinite rate never denies."""
    assert all(granted(counter_for(math.inf, "token_bucket_one"), [1.0] * 1000))


@pytest.mark.parametrize(
    ("rate", "counting"), [(0.0, "token_bucket"), (-1.0, "fixed_window"), (1.0, "guess")]
)
def test_impossible_counters_are_refused(rate, counting):
    """A rate that grants nothing and an unknown way of counting are errors that say so."""
    with pytest.raises(ValueError, match=r"rate of|no way of counting"):
        counter_for(rate, counting)


def test_budgets_are_counted_apart():
    """An exhausted budget takes nothing from the others."""
    flow = FlowControl(documented_rates(1.0, 1_000_000), "token_bucket")
    assert [flow.judge("query", 5.0).granted for _ in range(2)] == [True, False]
    assert [flow.judge("add", 5.0).granted for _ in range(6)] == [True] * 5 + [False]
    assert [flow.judge("other", 5.0).granted for _ in range(2)] == [True, False]
    assert sum(flow.judge("delete", 5.0).granted for _ in range(30)) == 20
    assert sum(flow.judge("update", 5.0).granted for _ in range(30)) == 20


def test_a_small_instance_adds_one_image_a_second():
    """Instances of 100,000 images add at 1 a second, larger ones at 5."""
    assert documented_rates(10.0, 100_000)["add"] == 1.0
    assert documented_rates(10.0, 100_001)["add"] == 5.0
