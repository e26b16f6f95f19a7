"""Counting for the report: in bounded memory, and right."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.tasks.report.best import Best
from batchsearch.tasks.report.bin_counts import even, fine, round_edges
from batchsearch.tasks.report.charts import histogram_chart, rate_chart
from batchsearch.tasks.report.markdown import plain, span
from batchsearch.tasks.report.spans import MOST_STEPS, Step, Timeline, width_for
from batchsearch.tasks.report.words import written


@given(
    st.lists(st.lists(st.floats(-5, 5) | st.just(float("nan")), max_size=9), max_size=9), st.integers(0, 6)
)
@settings(max_examples=60)
def test_the_best_rows_are_those_of_a_sort(batches, limit):
    """What is kept of a stream is what sorting the whole would put first, earlier rows before equal ones."""
    best = Best(limit)
    for number, batch in enumerate(batches):
        best.offer(
            np.array(batch, dtype=float), lambda rows, number=number: [(number, int(row)) for row in rows]
        )
    places = [
        (value, (number, row)) for number, batch in enumerate(batches) for row, value in enumerate(batch)
    ]
    expected = sorted((each for each in places if each[0] == each[0]), key=lambda each: each[0])
    assert best.rows() == [row for _, row in expected[:limit]]


VALUES = st.lists(st.floats(0.5, 50_000), min_size=1, max_size=200)


@given(VALUES, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
@settings(max_examples=60)
def test_quantiles_are_exact_while_values_are_kept(values, share):
    """A quantile is a value that was counted, and the largest one is the largest."""
    histogram = fine(0.1, 1e7)
    histogram.add(np.array(values))
    exact = sorted(values)[max(1, int(np.ceil(share * len(values) - 1e-9))) - 1]
    assert histogram.is_exact
    assert histogram.quantile(share) == exact


@given(VALUES, st.sampled_from([0.5, 0.9, 0.99, 1.0]))
@settings(max_examples=60)
def test_quantiles_of_many_values_are_right_to_about_a_per_cent(values, share):
    """Where values are too many to be kept, bins tell: within their width, and the largest exactly."""
    histogram = fine(0.1, 1e7)
    histogram.most_kept = 0
    histogram.add(np.array(values))
    exact = sorted(values)[max(1, int(np.ceil(share * len(values) - 1e-9))) - 1]
    assert not histogram.is_exact
    assert histogram.quantile(share) == pytest.approx(exact, rel=0.021)
    assert histogram.quantile(1.0) == max(values)


@given(VALUES, st.booleans())
@settings(max_examples=60)
def test_no_value_moves_between_bins(values, kept):
    """Counts between round numbers are those of the values, whether they are kept or only counted."""
    histogram = fine(0.1, 1e7)
    histogram.most_kept *= kept
    edges = round_edges(min(values), max(values))
    values = np.array([*values, *edges[:-1]])
    histogram.add(values)
    for each in histogram.coarse(edges):
        assert each.count == ((values >= each.start) & (values < each.end)).sum()


@pytest.mark.parametrize("score", [0.58, 0.7, 0.82, 0.94])
def test_a_score_on_an_edge_is_in_the_bin_that_begins_there(score):
    """Edges of even bins are the numbers that people write, to the last bit."""
    histogram = even(0.0, 1.0, 50)
    histogram.add(np.array([score]))
    (found,) = [each for each in histogram.bins() if each.count]
    assert found.start == score


def test_a_median_lies_between_two_values():
    """Between two neighbouring values it is in proportion, as `batchsearch compare` tells it."""
    histogram = even(0.0, 1.0, 50, most_kept=10)
    histogram.add(np.array([0.2, 0.4, 0.6, 0.9]))
    assert histogram.percentile(0.5) == pytest.approx(0.5)
    assert histogram.quantile(0.5) == 0.4


def test_no_value_is_lost_between_histograms():
    """Values outside the edges count at the ends, NaN nowhere; a coarser histogram has the same total."""
    histogram = even(0.0, 1.0, 50)
    histogram.add(np.array([-1.0, 0.0, 0.5, 1.0, 7.0, np.nan]))
    assert sum(each.count for each in histogram.bins()) == histogram.total == 5
    assert (histogram.lowest, histogram.highest) == (-1.0, 7.0)
    latencies = fine(0.1, 1e7)
    latencies.add(np.array([3.0, 40.0, 41.0, 900.0]))
    assert sum(each.count for each in latencies.coarse(round_edges(3.0, 900.0))) == 4
    assert round_edges(3.0, 900.0)[0] <= 3.0


@pytest.mark.parametrize("seconds", [0, 1, 59, 3_600, 86_400, 12 * 86_400, 4_000 * 86_400])
def test_time_is_cut_into_a_bounded_number_of_steps(seconds):
    """Whether a run took a second or years, its chart has no more steps than can be drawn."""
    timeline = Timeline(1_000_000, 1_000_000 + seconds * 1_000_000)
    moments = np.array([1_000_000, 1_000_000 + seconds * 1_000_000])
    timeline.add(moments, np.array([2, 3]), np.array([1, 0]))
    steps = timeline.steps()
    assert len(steps) <= MOST_STEPS
    assert (sum(step.attempts for step in steps), sum(step.denied for step in steps)) == (5, 1)
    assert width_for(seconds) >= 1


def test_a_chart_stays_in_its_box():
    """Bars stand on the bottom line, inside the frame; denied calls stand on the granted ones."""
    start = datetime(2026, 11, 21, tzinfo=UTC)
    steps = [Step(start.replace(second=place), 1, attempts, 2) for place, attempts in enumerate((10, 2, 7))]
    chart = rate_chart(steps, 12.0)
    assert all(chart.left <= bar.x and bar.x + bar.width <= chart.right + 0.1 for bar in chart.bars)
    assert all(chart.top - 0.1 <= bar.y and bar.y + bar.height <= chart.bottom + 0.1 for bar in chart.bars)
    granted, denied = chart.bars[:2]
    assert (granted.series, denied.series) == ("main", "bad")
    assert denied.y + denied.height == pytest.approx(granted.y, abs=0.02)
    assert "6 of them denied" in chart.says


@pytest.mark.parametrize("most", [1, 3, 9, 17, 101])
def test_counts_are_labelled_by_whole_numbers(most):
    """Nobody counts half a pair: the labels beside bars of counts are whole numbers."""
    histogram = even(0.0, 1.0, 5)
    histogram.add(np.full(most, 0.5))
    chart = histogram_chart("x", histogram.bins(), kind="score", what="pairs")
    labels = [float(label.text.replace(",", "")) for label in chart.y_labels]
    assert labels == sorted({round(label) for label in labels})
    assert labels[-1] >= most


def test_nothing_counted_is_no_chart():
    """An empty histogram and a run without calls draw nothing."""
    assert histogram_chart("x", even(0, 1, 5).bins(), kind="score", what="hits") is None
    assert rate_chart([], 5.0) is None


@pytest.mark.parametrize(
    "text", ["a`b|c", "@team", "[x](http://y)", "<img src=x>", "line\nbreak", "\\|", "``"]
)
def test_texts_from_outside_are_no_markdown(text):
    """A text from outside stands in a code span that it cannot leave, on one line, in one cell of a table."""
    shown = span(text)
    assert shown.startswith("`")
    assert shown.endswith("`")
    assert "`" not in shown[1:-1]
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)\|", shown)


def test_a_sentence_mentions_nobody():
    """Outside code spans neither a mention nor an address nor a tag begins."""
    quiet = plain("@team see http://example.invalid <b>")
    assert "@team" not in quiet
    assert "://" not in quiet
    assert "\\<b\\>" in quiet


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (None, "count", "\u2013"),
        (1_234_567, "count", "1,234,567"),
        (88888888, "id", "88888888"),
        (0.0004, "share", "< 0.1 %"),
        (0.9999, "share", "> 99.9 %"),
        (1.0, "share", "100.0 %"),
        (34.567, "ms", "34.6 ms"),
        (2_345.0, "ms", "2.35 s"),
        ("a\x1b[31m", "code", "a\\x1b[31m"),
    ],
)
def test_values_in_words(value, kind, words):
    """Every kind of value is written the same way everywhere; control characters are spelt out."""
    assert written(value, kind) == words
