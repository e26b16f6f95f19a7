"""What the controller keeps for any history of answers, and that it earns its keep in simulation."""

from __future__ import annotations

from itertools import product

import pacing as benchmark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.pacing.adaptive import MARGINS, SpacingController

histories = st.lists(
    st.tuples(
        st.sampled_from(["granted", "denied", "lost"]),
        st.sampled_from([0.0, 0.0, 0.0, 0.01, 1.0, 60.0]),  # idling before the call
        st.floats(0, 2),  # seconds until the answer
    ),
    max_size=120,
)


def play(shortest, history):
    """Plays a history; yields the controller after every event. Answers come when they are due."""
    controller = SpacingController(shortest)
    at, coming = 0.0, []
    for what, idle, latency in history:
        at += controller.interval + idle
        for due, slot, denied in sorted(answer for answer in coming if answer[0] <= at):
            (controller.denied if denied else controller.granted)(slot, due)
            yield controller
        coming = [answer for answer in coming if answer[0] > at]
        controller.departed(at)
        if what != "lost":
            coming.append((at + latency, at, what == "denied"))
        yield controller


@settings(max_examples=80, deadline=None)
@given(tier=st.sampled_from([1, 4, 5, 10]), history=histories)
def test_never_faster_than_the_tier_never_slower_than_a_tenth(tier, history):
    """Whatever is answered, lost or late, the interval stays between the tier's and some ten times that."""
    for controller in play(1 / tier, history):
        assert 1 / tier <= controller.interval <= (1 + MARGINS[-1]) / tier
        assert 0 <= controller.expected_denials <= 1


@settings(max_examples=25, deadline=None)
@given(tier=st.sampled_from([1, 5, 10]), history=histories)
def test_recovers_within_three_hundred_slots(tier, history):
    """Once denials stop, the rate is within 3 % of the tier after the time of three hundred slots."""
    controller = SpacingController(1 / tier)
    for controller in play(1 / tier, history):  # noqa: B007, the last state is what counts
        pass
    begun = at = 10_000.0
    while at < begun + 300 / tier:
        at += controller.interval
        controller.departed(at)
        controller.granted(at, at + 0.2)
    assert controller.margin <= 0.03


@settings(max_examples=40, deadline=None)
@given(tier=st.sampled_from([1, 5, 10]), history=histories)
def test_denial_never_brings_calls_closer(tier, history):
    """At the moment of a denial the spacing grows or stays."""
    controller = SpacingController(1 / tier)
    for controller in play(1 / tier, history):  # noqa: B007, the last state is what counts
        pass
    before = controller.margin
    controller.departed(20_000.0)
    decided = controller.margin
    controller.denied(20_000.0, 20_000.1)
    assert controller.margin >= min(before, decided)
    assert controller.margin >= decided


CELLS = [
    (1, "sliding log of all", 0.080),
    (5, "fixed window", 0.020),
    (5, "sliding log", 0.080),
    (10, "bucket of QPS", 0.020),
    (10, "bucket of one", 0.002),
    (10, "sliding log of all", 0.020),
]


@pytest.mark.parametrize("what", CELLS)
def test_close_to_the_best_constant_rate(what, monkeypatch):
    """In simulated services it reaches 95 % of what the best constant rate, known in hindsight, would."""
    monkeypatch.setattr(benchmark, "SEEDS", (11, 12))
    monkeypatch.setattr(benchmark, "STRETCHES", (1, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1, 1.15, 1.2, 1.25))
    cell = benchmark.Cell(*what)
    best = max(
        benchmark.utility(cell, lambda tier, stretch=stretch: benchmark.Even(stretch / tier))
        for stretch in benchmark.STRETCHES
    )
    assert benchmark.utility(cell, benchmark.Adaptive) >= 0.95 * best


@pytest.mark.parametrize("shape", benchmark.simulation.JITTERS)
def test_a_client_that_hears_nothing_is_simulated_alike_in_both_ways(shape):
    """The shorter way to play a constant rate gives exactly the tally of the longer one."""
    cell = benchmark.Cell(10, "sliding log", 0.080, shape)
    for trouble in (
        {},
        {"closed": benchmark.outage(11)},
        {"grants": (5, 1.0)},
        {"grants": (5, 1.0), "grants_from": 90.0},
    ):
        world = {"seconds": 150.0, "count_from": 60.0, **trouble}
        slow, quick = (benchmark.Simulation(cell, benchmark.Even(0.11), 11, **world) for _ in range(2))
        assert quick.run_evenly(0.11).mine == slow.run().mine
        assert quick.mine.granted > 0


# Three plain cells with each trouble, and the three cells and troubles that are hardest to learn.
TROUBLED = [
    *product([(1, "sliding log"), (5, "bucket of QPS"), (10, "fixed window")], benchmark.TROUBLES),
    ((5, "sliding log"), "competitor at random"),
    ((10, "bucket of one"), "competitor at random"),
    ((10, "sliding log of all"), "half of the tier"),
]


@pytest.mark.parametrize(("what", "trouble"), TROUBLED)
def test_close_to_the_best_constant_rate_with_troubles(what, trouble, monkeypatch):
    """Beside others, at half the tier and after an outage it reaches 80 % of it too, on average."""
    hard = (what, trouble) in TROUBLED[-3:]
    monkeypatch.setattr(benchmark, "SEEDS", tuple(range(51, 67)))
    monkeypatch.setattr(benchmark, "SEEDS_OF", {1: 8, 5: 16 if hard else 2, 10: 4 if hard else 2})
    monkeypatch.setattr(benchmark, "TROUBLED_STRETCHES", (1, 1.05, 1.1, 1.2, 1.45, 2, 2.1, 2.2))
    cell = benchmark.Cell(*what, 0.020)
    best, _ = benchmark.best_troubled(cell, trouble)
    assert benchmark.troubled(cell, benchmark.Adaptive, trouble) >= 0.80 * best


@settings(max_examples=25, deadline=None)
@given(tier=st.sampled_from([1, 5, 10]), history=histories, latency=st.floats(0.01, 1.0))
def test_is_back_half_a_minute_after_an_outage(tier, history, latency):
    """Whatever came before, 30 s after two minutes of total denial calls leave as close as 30 s before."""

    def go_on(until, *, denied):
        nonlocal at
        while at < until:
            at += controller.interval
            controller.departed(at)
            (controller.denied if denied else controller.granted)(at, at + latency)

    controller = SpacingController(1 / tier)
    for controller in play(1 / tier, history):  # noqa: B007, the last state is what counts
        pass
    at = 10_000.0
    go_on(10_400.0, denied=False)
    before = controller.interval
    go_on(10_520.0, denied=True)
    go_on(10_550.0, denied=False)
    assert controller.interval <= before / 0.95


@pytest.mark.parametrize("counting", ["fixed window", "sliding log", "bucket of QPS"])
def test_leaves_a_competitor_its_half(counting, monkeypatch):
    """Beside a competitor that takes half the tier it gives way: the competitor keeps 85 % of its half."""
    monkeypatch.setattr(benchmark, "SEEDS", (11, 12))
    shares = benchmark.shared(benchmark.Cell(10, counting, 0.020), benchmark.Adaptive)
    assert shares["kept"] >= 0.85
    assert shares["ours"] >= 0.40
