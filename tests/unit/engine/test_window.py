"""The nightly window, over midnight and over changes of clocks."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from batchsearch.engine.job.window import Limits, Window, limits_of, next_time

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Window(time(22), time(6), BERLIN)
DAY = Window(time(9), time(17), ZoneInfo("UTC"))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-11-21T23:00", "2026-11-21T21:00", "2026-11-22T05:00"),
        ("2026-11-22T03:00", "2026-11-21T21:00", "2026-11-22T05:00"),
        ("2026-11-22T05:00", "2026-11-22T21:00", "2026-11-23T05:00"),
        ("2026-11-22T12:00", "2026-11-22T21:00", "2026-11-23T05:00"),
        # The night in which clocks go forward has seven hours.
        ("2026-03-28T22:00", "2026-03-28T21:00", "2026-03-29T04:00"),
    ],
)
def test_a_window_over_midnight(now, opens, closes):
    """It opens in the evening and closes in the morning, in local time."""
    assert NIGHT.opens(at(now)) == at(opens)
    assert NIGHT.closes(at(now)) == at(closes)


@pytest.mark.parametrize(
    ("start", "end"), [(time(2), time(3)), (time(2, 30), time(3)), (time(2, 50), time(3, 10))]
)
def test_a_night_whose_clocks_go_over_the_window_has_none(start, end):
    """A window of no length is not waited for: the next night's counts, and it closes after it opens."""
    window = Window(start, end, BERLIN)
    noon = at("2026-03-28T12:00")
    assert window.opens(noon) == datetime.combine(at("2026-03-30").date(), start, BERLIN)
    assert window.closes(noon) == datetime.combine(at("2026-03-30").date(), end, BERLIN)


def test_a_window_within_a_day():
    """Before it opens it is ahead; inside, it has opened; after, it is tomorrow's."""
    assert DAY.opens(at("2026-11-21T08:00")) == at("2026-11-21T09:00")
    assert DAY.opens(at("2026-11-21T12:00")) == at("2026-11-21T09:00")
    assert DAY.opens(at("2026-11-21T18:00")) == at("2026-11-22T09:00")


def test_hours_of_a_window():
    """Eight hours over midnight, eight by day, and a whole day when both ends are the same."""
    assert (NIGHT.hours, DAY.hours) == (8, 8)
    assert Window(time(6), time(6), BERLIN).hours == 24


def test_the_nearest_deadline_counts():
    """A deadline inside the window ends the run before the window closes."""
    now = at("2026-11-21T23:00")
    until = next_time(time(2), now, BERLIN)
    assert limits_of(NIGHT, until, 7, now) == Limits(None, at("2026-11-22T01:00"), 7)
    assert limits_of(NIGHT, None, None, at("2026-11-21T20:00")).opens == at("2026-11-21T21:00")
    assert limits_of(None, None, None, now) == Limits()
