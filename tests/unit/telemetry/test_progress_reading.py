"""A run's counters, what is read off them at a moment, and how that is said."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsearch.pages.durations import clock_time, duration
from batchsearch.telemetry.histogram import Histogram
from batchsearch.telemetry.reading import Reading, reading_from, reading_of
from batchsearch.telemetry.sliding_count import SlidingCount
from batchsearch.telemetry.stats import Stats
from batchsearch.telemetry.status_words import codes_of, end_of, lines_of, pace_of

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@given(
    gaps=st.lists(st.floats(0, 20), min_size=1, max_size=60),
    later=st.floats(0, 90),
)
def test_a_recent_count_is_right_to_one_step(gaps, later):
    """Everything of the last `seconds` less a sixtieth is counted, nothing older than `seconds`."""
    recent, moments, now = SlidingCount(30), [], 1000.0
    for gap in gaps:
        now += gap
        moments.append(now)
        recent.add(now)
    now += later
    surely = sum(moment > now - 29.5 for moment in moments)
    perhaps = sum(moment > now - 30 for moment in moments)
    assert surely <= recent.count(now) <= perhaps


def test_a_steady_rate_is_read_as_it_is():
    """Ten a second are ten a second, at the start as after a long time; silence lowers it to nothing."""
    recent = SlidingCount(30)
    rates = []
    for number in range(1000):
        recent.add(number / 10)
        if number > 50:
            rates.append(recent.rate(number / 10))
    assert all(rate == pytest.approx(10, rel=0.02) for rate in rates)
    assert recent.rate(100 + 15) == pytest.approx(5, rel=0.1)
    assert recent.rate(100 + 31) == 0


def test_memory_of_a_recent_count_is_bounded():
    """A million events in half a minute take no more than the steps."""
    recent = SlidingCount(30)
    for number in range(200_000):
        recent.add(number / 5_000)
    assert len(recent._steps) <= 61
    assert recent.count(40) == pytest.approx(150_000, rel=0.02)


def test_values_fall_into_their_class():
    """A bound belongs to the class below it; what is above all bounds is counted too."""
    spread = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        spread.add(value)
    assert (spread.cumulative(), spread.total) == ([2, 4, 5], 104.0)


def made_stats(**given):
    """A run of 1,000 rows, 100 of them done in its first 100 seconds with a call each."""
    stats = Stats(total=1000, tier=1.0, **given)
    for second in range(100):
        stats.sent(second)
        stats.answered(0.3, None, denied=False, now=second + 0.3, sent_bytes=1000)
        stats.ok += 1
        stats.finished(None, second + 0.3)
    return stats


def test_answers_are_counted_by_code_and_size():
    """Every answer counts once; denials lately are a share of the answers lately."""
    stats = Stats(calls=4)
    for code, denied in ((None, False), ("DeniedRequest", True), ("DeniedRequest", True), ("X", False)):
        stats.answered(0.2, code, denied=denied, now=10, sent_bytes=7)
    assert stats.answers == Counter({"ok": 1, "DeniedRequest": 2, "X": 1})
    assert (stats.sent_bytes, stats.latencies.cumulative()[-1]) == (28, 4)
    assert stats.denied_share(10) == 0.5
    assert stats.denied_share(60) == 0


def test_the_last_success_is_an_answer_or_a_row():
    """Failures do not move it; a row answered by an earlier run's call does."""
    stats = Stats()
    stats.answered(0.1, None, denied=False, now=5, sent_bytes=1)
    stats.answered(0.1, "InternalError", denied=False, now=6, sent_bytes=1)
    stats.finished("Local.ImageEmpty", 7)
    assert (stats.last_success, stats.rejected) == (5, 1)
    stats.finished(None, 8)
    assert stats.last_success == 8
    stats.kept(9)
    assert (stats.last_success, stats._rows.count(9)) == (8, 3)


def test_how_long_the_rest_takes_follows_the_last_minutes():
    """900 rows at one a second take a quarter of an hour; nobody can say once nothing moves."""
    stats = made_stats()
    assert stats.seconds_left(100) == pytest.approx(900, rel=0.02)
    assert stats.seconds_left(1000) is None
    stats.resumed = 900
    assert stats.seconds_left(1000) == 0


def test_a_reading_has_earlier_runs_in_it():
    """Done, ok, failed and codes are of the manifest, as in the summary; calls are of this run."""
    stats = made_stats(resumed=50, earlier_codes=Counter({"A": 20}))
    stats.failed, stats.codes = 2, Counter({"A": 1, "B": 1})
    reading = reading_of(stats, 100, NOW)
    assert (reading.done, reading.ok, reading.failed, reading.calls) == (152, 130, 22, 100)
    assert list(reading.codes.items()) == [("A", 21), ("B", 1)]
    assert reading.last_success == NOW - timedelta(seconds=0.7)


def test_rows_that_the_window_will_leave_are_foretold():
    """With 900 rows to go at one a second, ten minutes are enough for 600 of them."""
    reading = reading_of(made_stats(ends=NOW + timedelta(seconds=600)), 100, NOW)
    assert reading.left_at_end == pytest.approx(300, abs=20)
    assert reading_of(made_stats(ends=NOW + timedelta(hours=1)), 100, NOW).left_at_end == 0


def test_a_reading_survives_its_file():
    """What is written as JSON is read back as it was, to the rounding."""
    reading = reading_of(made_stats(ends=NOW, resumed=3), 100, NOW)
    again = reading_from(reading.as_dict())
    assert again.as_dict() == reading.as_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"moment": None},
        {"moment": "yesterday"},
        {"moment": "2026-01-01T00:00:00"},
        {"total": "many"},
        {"total": True},
        {"rate": float("nan")},
        {"codes": [1]},
        {"codes": {"A": 1.5}},
    ],
)
def test_a_file_with_nonsense_is_no_reading(change):
    """A wrong type is told as one kind of error, whatever field it is in."""
    with pytest.raises(ValueError):
        reading_from({**Reading(NOW).as_dict(), **change})


def test_what_a_tired_person_needs_is_said():
    """Pace against the tier, denials, last success; failures by code; the end, and what it leaves."""
    reading = Reading(
        NOW,
        total=1000,
        done=400,
        ok=388,
        failed=12,
        codes={"InvalidImage": 9, "B": 1, "C": 1, "D": 1, "E\x1b[2J": 0},
        calls=500,
        denied=6,
        denied_share=0.25,
        rate=4.5,
        mean_rate=4.75,
        tier=5,
        in_flight=3,
        seconds_left=3600,
        ends=NOW + timedelta(seconds=1800),
        last_success=NOW - timedelta(seconds=95),
    )
    pace, failed, end = lines_of(reading, NOW)
    assert pace == (
        "4.50 calls/s of 5, 4.75 on average, 3 in flight, 25.0% denied lately, 6 in all, "
        "last success 1 min 35 s ago"
    )
    assert failed == "failed 12: 9 InvalidImage, 1 B, 1 C, 1 D"
    assert end.startswith("done about ")
    assert "in 1 h 00 min; the run ends at " in end
    assert end.endswith("with about 300 rows left for another night")
    assert "\x1b" not in codes_of(reading.codes, most=9)


def test_nothing_is_foretold_of_a_run_that_stands_still():
    """Neither a time nor a number is made up."""
    assert "no saying when" in end_of(Reading(NOW, total=10, done=1, calls=3), NOW)
    assert "no success yet" in pace_of(Reading(NOW, calls=3), NOW)
    assert end_of(Reading(NOW, total=10, done=10), NOW) == "every row has its outcome"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (65, "1 min 05 s"),
        (3_900, "1 h 05 min"),
        (97_200, "1 d 03 h"),
        (-5, "0 s"),
    ],
)
def test_durations_are_said_in_two_units(seconds, said):
    """The two largest units that say something."""
    assert duration(seconds) == said


def test_a_time_of_another_day_has_its_date():
    """05:00 means today's; of any other day the date is said."""
    assert len(clock_time(NOW, NOW)) == 5
    assert len(clock_time(NOW + timedelta(days=2), NOW)) == 16
