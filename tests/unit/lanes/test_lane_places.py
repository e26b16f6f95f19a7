"""Where lanes go, and what they come to together."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.tasks.lanes.followed_lane import FollowedLane
from batchsearch.tasks.lanes.lane_order import LaneEnd, LaneReading
from batchsearch.tasks.lanes.lane_places import placed, shares
from batchsearch.tasks.lanes.lanes_together import gone_on, summed_up, together
from batchsearch.telemetry.stats import COUNTERS, Stats
from batchsearch.telemetry.summary import Summary

WORKERS = ("tcp://10.0.0.1:1", "tcp://10.0.0.1:2", "tcp://10.0.0.2:1")


def test_lanes_are_spread_over_workers_and_machines():
    """The worker with the fewest lanes, on the machine with the fewest."""
    assert placed("ab", {}, WORKERS, {}) == {"a": WORKERS[0], "b": WORKERS[2]}
    assert placed("c", {"a": WORKERS[0], "b": WORKERS[2]}, WORKERS, {}) == {"c": WORKERS[1]}


def test_a_lane_keeps_away_from_a_worker_that_failed_it():
    """Unless there is no other."""
    assert placed("a", {"b": WORKERS[1]}, WORKERS[:2], {"a": {WORKERS[0]}}) == {"a": WORKERS[1]}
    assert placed("a", {}, WORKERS[:1], {"a": {WORKERS[0]}}) == {"a": WORKERS[0]}
    assert placed("a", {}, (), {}) == {}


@given(st.integers(1, 40), st.integers(1, 40))
def test_no_worker_has_two_lanes_more_than_another(lanes, workers):
    """However many there are of both."""
    names = [f"tcp://10.0.{n % 3}.1:{n}" for n in range(workers)]
    found = placed([f"i{n}" for n in range(lanes)], {}, names, {})
    assert len(found) == lanes
    counts = Counter(found.values())
    assert max(counts.values()) - min(counts[name] for name in names) <= 1


@given(st.integers(1, 1000), st.integers(1, 50))
def test_shares_add_up(most, lanes):
    """All calls that are allowed, and none more."""
    assert sum(shares(most, lanes)) == most
    assert len(shares(most, lanes)) == lanes
    assert shares(None, lanes) == [None] * lanes


def summary(**values):
    counted = dict.fromkeys(
        ("others", "resumed", "failed", "calls", "denied", "retries", "coalesced", "reused", "hits"), 0
    )
    plain = {"exit_code": 0, "run_id": "r", "operation": "SearchImageByPic", "instance": "a", "codes": {}}
    counted |= {"rows": 10, "done": 10, "ok": 10, "seconds": 1.0, "calls_per_second": 5.0, "tier": 10.0}
    return Summary(**{**plain, **counted, "results": "r", "hits_folder": "h", **values})


@pytest.mark.parametrize(
    ("codes", "unfinished", "expected"),
    [
        ((0, 0), {}, 0),
        ((0, 4), {}, 4),
        ((4, 5), {}, 5),
        ((6, 5), {}, 6),
        ((0, 0), {"c": "stopped"}, 4),
        ((3, 0), {}, 0),
    ],
)
def test_the_whole_ends_as_its_gravest_lane(load, codes, unfinished, expected):
    """Damaged before ended before unfinished; failures are counted over all of it."""
    settings = load([{"id": "1", "image": "a.jpg"}])
    lanes = {name: summary(exit_code=code) for name, code in zip("ab", codes, strict=True)}
    assert summed_up(settings, lanes, unfinished, run_id="w", seconds=1.0).exit_code == expected


def test_failures_count_over_the_whole(load):
    """One lane with many failures is no failed job where the whole has few, and the other way round."""
    settings = load([{"id": "1", "image": "a.jpg"}], max_failed="10%")
    few = {"a": summary(failed=2, ok=8, exit_code=3, codes={"X": 2}), "b": summary(rows=90, done=90, ok=90)}
    assert summed_up(settings, few, {}, run_id="w", seconds=1.0).exit_code == 0
    many = {"a": summary(failed=9, ok=1, codes={"X": 9}), "b": summary(failed=2, ok=8, codes={"Y": 2})}
    found = summed_up(settings, many, {}, run_id="w", seconds=1.0)
    assert (found.exit_code, found.codes, found.failed) == (3, {"X": 9, "Y": 2}, 11)
    assert (found.rows, found.calls_per_second) == (20, 10.0)


def test_a_lane_that_was_lost_counts_as_it_was_last_heard_of(load):
    """Its rows are not missing from the whole because nobody heard its end."""
    settings = load([{"id": "1", "image": "a.jpg"}])
    heard = {
        "a": LaneReading({"total": 99}),
        "b": LaneReading({"total": 20, "resumed": 3, "ok": 4, "failed": 1, "calls": 5}, {"X": 1}, {"Y": 1}),
    }
    found = summed_up(settings, {"a": summary()}, {"b": "lost"}, run_id="w", seconds=1.0, readings=heard)
    assert (found.exit_code, found.message) == (4, "b: lost")
    assert (found.rows, found.done, found.ok, found.failed, found.calls) == (30, 18, 16, 2, 5)
    assert found.codes == {"X": 1, "Y": 1}


def test_messages_name_whose_they_are(load):
    """A reason of some is told with their names, one of all without."""
    settings = load([{"id": "1", "image": "a.jpg"}])

    def said(**messages):
        lanes = {name: summary(message=text) for name, text in messages.items()}
        return summed_up(settings, lanes, {}, run_id="w", seconds=1.0).message

    assert said(a="SIGINT", b="SIGINT") == "SIGINT"
    assert said(a="out of money", b="") == "a: out of money"
    assert said(a="x", b="x", c="y") == "a, b: x; c: y"


def test_counters_of_lanes_add_up(load):
    """Rates, rows and shares of the whole are those of its lanes together."""
    settings = load([{"id": "1", "image": "a.jpg"}])
    one = LaneReading({"total": 10, "ok": 4, "calls": 5}, {"X": 1}, {}, {}, 3.0, 1.0, 0.5, 3.0, 7.0)
    two = LaneReading({"total": 20, "resumed": 9}, {}, {"Y": 2}, {"h": "down"}, 1.0, 2.0, 0.0, None, 2.0)
    stats = together([one, two], settings, None, now=100.0)
    assert (stats.total, stats.done, stats.calls) == (30, 13, 5)
    assert dict(stats.all_codes) == {"X": 1, "Y": 2}
    assert (stats.rate(0), stats.row_rate(0), stats.denied_share(0)) == (4.0, 3.0, 0.375)
    assert (stats.last_success, stats.mean_rate(), stats.troubles) == (98.0, 3.0, {"h": "down"})


def moved_twice():
    """A lane on its third worker, with rows of an earlier run and of both workers before it."""
    first = LaneReading({"total": 50, "resumed": 10, "ok": 6, "failed": 1, "calls": 9}, {"X": 1}, {"Y": 2})
    second = LaneReading({"total": 50, "resumed": 18, "ok": 4, "calls": 6, "denied": 2}, {}, {"X": 2, "Y": 2})
    third = LaneReading(
        {"total": 50, "resumed": 24, "ok": 9, "failed": 2, "calls": 12}, {"Y": 2}, {"X": 2, "Y": 2}
    )
    return [first, second], third


def test_a_lane_that_moved_counts_as_one_run():
    """What earlier workers did in this run is no earlier run's: rows are exact, calls as last heard of."""
    before, last = moved_twice()
    found = gone_on(last, before)
    assert (found.done, found.counts["resumed"], found.counts["ok"], found.counts["failed"]) == (
        35,
        10,
        21,
        4,
    )
    assert (found.counts["calls"], found.counts["denied"]) == (27, 2)
    assert (dict(found.codes), dict(found.earlier_codes)) == ({"X": 2, "Y": 2}, {"Y": 2})
    assert gone_on(last, []) is last


def test_the_summary_of_a_lane_that_moved_is_of_the_whole_run(load):
    """It resumes what the first worker found finished, and has the calls of all of them."""
    settings = load([{"id": "1", "image": "a.jpg"}])
    before, _ = moved_twice()
    lanes = {"a": summary(rows=50, done=50, ok=46, failed=4, resumed=24, calls=12), "b": summary()}
    found = summed_up(settings, lanes, {}, run_id="w", seconds=1.0, before={"a": before, "b": []})
    assert (found.done, found.resumed) == (50 + 10, 10 + lanes["b"].resumed)
    assert (found.calls, found.denied) == (12 + 9 + 6 + lanes["b"].calls, 2)


def test_a_followed_lane_shows_what_its_workers_counted():
    """Between two workers nothing is on its way; a worker that has summed up is taken at its word."""
    lane = FollowedLane("a", None, None)
    assert lane.shown is None
    lane.reading = LaneReading({"total": 9, "resumed": 1, "ok": 2, "calls": 2, "in_flight": 4}, rate=3.0)
    lane.leave(None)
    assert (lane.shown.done, lane.shown.counts["in_flight"], lane.shown.rate) == (3, 0, 0.0)
    lane.reading = LaneReading({"total": 9, "resumed": 4, "ok": 1, "calls": 1})
    lane.leave(LaneEnd("t", {"resumed": 4, "calls": 3, "codes": {}}, moves=True))
    assert (lane.shown.counts["calls"], lane.shown.counts["resumed"], lane.shown.done) == (5, 1, 5)


def test_a_lane_that_a_lease_keeps_out_does_not_move_in_vain():
    """However many workers go while it waits; what has begun and gets no further does."""
    lane = FollowedLane("a", None, None, reading=LaneReading({"total": 9, "ok": 2}))
    lane.leave(None)
    assert (lane.in_vain, lane.done_before) == (0, 2)
    lane.leave(None)
    assert lane.in_vain == 1
    lane.refused_since = 5.0
    for _ in range(9):
        lane.leave(None)
    assert (lane.in_vain, lane.refused_since) == (1, 5.0)
    lane.reading = LaneReading({"total": 9, "resumed": 2})
    lane.leave(None)
    assert (lane.in_vain, lane.refused_since) == (2, None)
    lane.refused_since = 9.0
    lane.leave(LaneEnd("t", error=(8, "the disk is full"), moves=True))
    assert (lane.in_vain, lane.refused_since) == (3, None)
    lane.reading = LaneReading({"total": 9, "resumed": 2, "ok": 1})
    lane.leave(None)
    assert (lane.in_vain, lane.done_before) == (0, 3)


@pytest.mark.parametrize("name", COUNTERS)
def test_every_counter_adds_up_over_lanes(load, name):
    """A counter of a run is one of the whole job, whichever it is."""
    settings = load([{"id": "1", "image": "a.jpg"}])
    lanes = [LaneReading.of(Stats(**{name: count}), 0.0) for count in (1, 2)]
    assert getattr(together(lanes, settings, None, now=0.0), name) == 3
