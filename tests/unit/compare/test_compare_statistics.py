"""What is said of many scores together."""

import itertools
import statistics

import pytest

from batchsearch.tasks.compare.statistics import Scores


def taken(values, groups=None, batches=1):
    scores = Scores()
    groups = groups or [None] * len(values)
    size = -(-len(values) // batches)
    for start in range(0, len(values), size):
        part = slice(start, start + size)
        keys = [f"k{number:03}" for number in range(len(values))][part]
        scores.add(
            values[part], keys=keys, primary=keys, secondary=keys, groups=groups[part], same_bytes=0, keep=3
        )
    return scores


VALUES = [0.1, 0.9, None, 0.5, 0.7, 0.3, None, 1.0, 0.0]


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_the_figures_are_the_textbooks(batches):
    """Mean, deviation, median and extremes agree with the standard library, in however many batches."""
    found = taken(VALUES, batches=batches)
    known = [value for value in VALUES if value is not None]
    figures = found.statistics()
    assert (found.compared, found.failed) == (7, 2)
    assert figures["mean"] == pytest.approx(statistics.fmean(known), abs=1e-6)
    assert figures["standard_deviation"] == pytest.approx(statistics.pstdev(known), abs=1e-6)
    assert (figures["min"], figures["p50"], figures["max"]) == (0.0, 0.5, 1.0)


def test_no_score_is_no_figure():
    """Without any score there is no mean to be wrong about."""
    assert Scores().statistics() is None
    assert taken([None, None]).statistics() is None
    assert sum(bar.count for bar in taken([None]).histogram(10)) == 0


def test_the_histogram_holds_every_score_once():
    """The last bar holds 1 itself; what a service sends beyond 0 and 1 falls into the ends."""
    bars = taken([0.0, 0.05, 0.95, 1.0, 1.2, -0.1]).histogram(10)
    assert len(bars) == 10
    assert [bar.count for bar in bars] == [3, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert (bars[0].low, bars[3].low, bars[-1].high) == (0.0, 0.3, 1.0)


@pytest.mark.parametrize("batches", [1, 3, 9])
def test_the_ends_are_the_ends_of_all(batches):
    """The most and the least alike are those of all batches, each in order, ties by name."""
    found = taken(VALUES, batches=batches)
    assert [pair.score for pair in found.most_alike()] == [1.0, 0.9, 0.7]
    assert [pair.score for pair in found.least_alike()] == [0.0, 0.1, 0.3]


def test_each_group_is_summed_up_by_itself():
    """Pairs without a group or a score are in no group's figures."""
    found = taken([0.2, 0.4, 0.9, None], ["a", "a", None, "a"]).groups
    assert list(found) == ["a"]
    assert found["a"].as_dict() == {"count": 2, "mean": 0.3, "min": 0.2, "max": 0.4}


def test_groups_beyond_the_bound_are_counted(monkeypatch):
    """A million groups do not become a million records."""
    monkeypatch.setattr("batchsearch.tasks.compare.statistics.MOST_GROUPS", 2)
    found = taken([0.1, 0.2, 0.3, 0.4], ["a", "b", "c", "a"])
    assert set(found.groups) == {"a", "b"}
    assert found.groups["a"].count == 2
    assert found.other_groups == 1


def test_what_is_said_follows_from_the_scores_whatever_order_they_come_in(monkeypatch):
    """Groups beyond the bound, equal scores at the ends, the last digit of a mean: all by name and value."""
    monkeypatch.setattr("batchsearch.tasks.compare.statistics.MOST_GROUPS", 2)
    pairs = [
        ("k1", "c", 0.123456),
        ("k2", "a", 0.123457),
        ("k3", "b", 0.7),
        ("k4", "a", 0.123456),
        ("k5", "b", 0.7),
        ("k6", "d", 0.7),
    ]
    seen = set()
    for order in itertools.permutations(pairs):
        for size in (1, 4, 6):
            scores = Scores()
            for start in range(0, len(order), size):
                keys, groups, values = zip(*order[start : start + size], strict=True)
                scores.add(
                    values, keys=keys, primary=keys, secondary=keys, groups=groups, same_bytes=0, keep=2
                )
            groups = {name: tuple(found.as_dict().items()) for name, found in sorted(scores.groups.items())}
            ends = [
                tuple(pair.pair_key for pair in end) for end in (scores.most_alike(), scores.least_alike())
            ]
            figures = tuple(scores.statistics().items())
            seen.add((tuple(groups.items()), scores.other_groups, *ends, figures, scores.histogram(5)))
    ((groups, others, most, least, _, _),) = seen
    assert [name for name, _ in groups] == ["a", "b"]
    assert others == 2
    assert (most, least) == (("k3", "k5"), ("k1", "k4"))
