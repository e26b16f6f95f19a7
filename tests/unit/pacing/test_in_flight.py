"""The cap on calls under way."""

from __future__ import annotations

import pytest

from batchsearch.pacing.in_flight import InFlightLimit


def after(limit, latency, answers):
    for _ in range(answers):
        limit.observe(latency)
    return limit.limit()


def test_covers_rate_times_latency():
    """The cap leaves room for rate x latency and a margin, whatever the latency settles at."""
    limit = InFlightLimit(10)
    assert 10 * 0.3 < after(limit, 0.3, 100) <= 3 * 10 * 0.3
    assert 10 * 2.0 < after(limit, 2.0, 200) <= 2 * 10 * 2.0


def test_follows_a_lasting_change_within_a_hundred_answers():
    """When answers become slow for good the cap grows before the rate has long suffered."""
    limit = InFlightLimit(10)
    after(limit, 0.1, 200)
    assert after(limit, 1.0, 100) > 10 * 1.0


def test_one_stalled_call_changes_little():
    """A single answer after half a minute does not open the gates."""
    limit = InFlightLimit(10)
    before = after(limit, 0.3, 100)
    limit.observe(30.0)
    assert limit.limit() <= before + 2


def test_ceiling_bounds_a_service_that_has_become_endlessly_slow():
    """However slow answers are, no more calls pile up than the ceiling."""
    assert after(InFlightLimit(10), 30.0, 500) == 60
    assert after(InFlightLimit(10, ceiling=20), 30.0, 500) == 20


def test_floor_keeps_something_moving():
    """However fast answers are, the cap stays at the floor."""
    assert after(InFlightLimit(1, floor=3), 0.0, 500) == 3


@pytest.mark.parametrize("latency", [-1.0, float("nan"), float("inf")])
def test_impossible_latencies_are_ignored(latency):
    """What cannot be a latency changes nothing."""
    limit = InFlightLimit(10)
    assert after(limit, latency, 10) == InFlightLimit(10).limit()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"qps": 0}, "qps"),
        ({"qps": 1, "margin": 0.9}, "margin"),
        ({"qps": 1, "floor": 0}, "floor"),
        ({"qps": 1, "floor": 5, "ceiling": 4}, "ceiling"),
        ({"qps": 1, "expected": 0}, "expected"),
    ],
)
def test_senseless_settings_are_refused(arguments, says):
    """A setting that could only starve the rate is refused by name."""
    with pytest.raises(ValueError, match=says):
        InFlightLimit(**arguments)
