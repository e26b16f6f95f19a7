"""A broken service is asked less and less, and a mended one at full pace again."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from batchsearch.engine.retry.health import Health, HealthRules


@given(outcomes=st.lists(st.booleans(), max_size=200))
def test_one_failure_in_five_never_pauses(outcomes):
    """As long as four answers come between two failures, calls go on at the tier."""
    health, now, good = Health(), 0.0, 4
    for fails in outcomes:
        now += 0.1
        if fails and good >= 4:
            health.failed(now)
            good = 0
        else:
            health.answered(now)
            good += 1
        assert health.wait(now) == 0.0


@given(failures=st.integers(21, 400))
def test_a_dead_service_is_asked_every_ten_seconds(failures):
    """After the budget is spent each further call waits for time to earn it."""
    health, now = Health(), 0.0
    calls = []
    for _ in range(failures):
        now += health.wait(now)
        calls.append(now)
        now += 0.05
        health.failed(now)
    assert calls[19] <= 1.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(calls[20:])]
    assert all(9.9 <= gap <= 10.2 for gap in gaps)
    assert health.silent_for(now) >= now - 0.1
    assert now - 0.2 <= health.outage <= now


def test_successes_fill_the_budget_again():
    """A mended service gets back to full pace within a few answers, to the whole budget within eighty."""
    rules = HealthRules()
    health, now = Health(rules), 0.0
    for _ in range(30):
        health.failed(now)
    assert health.paused
    now += health.wait(now)
    for _ in range(80):
        health.answered(now)
    assert health.wait(now) == 0.0
    for _ in range(int(rules.budget) - 1):
        health.failed(now)
    assert not health.paused
    assert health.silent_for(now + 5) == 5


def test_it_is_known_whether_anything_was_answered_since():
    """What failed while nothing else was answered says nothing about the row."""
    health = Health()
    assert not health.answered_since(0.0)
    health.answered(5.0)
    assert health.answered_since(4.0)
    assert not health.answered_since(5.0)


@given(seconds=st.floats(0.5, 5_000), failures=st.integers(2, 19))
def test_an_outage_begins_with_its_first_failure(seconds, failures):
    """However few calls there were to fail: one row left is enough, and one good answer ends it."""
    health = Health()
    for number in range(failures):
        health.failed(10.0 + seconds * number / (failures - 1))
    assert not health.paused
    assert abs(health.outage - seconds) < 1e-6
    health.answered(10.0 + seconds)
    assert health.outage == 0.0


def test_time_in_which_nothing_was_tried_is_no_outage():
    """One failure and a long pause after it say nothing about the service."""
    health = Health()
    health.failed(1.0)
    assert health.silent_for(2_000.0) > 1_000
    assert health.outage == 0.0
