"""When a run may call: the nightly window, a deadline, a most number of calls (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from batchsearch.config.model import WindowSettings


class CallsLeft:
    """How many calls a run may still make, all its instance workers together.

    Args:
        most: Calls of the whole run; None for no bound.
    """

    def __init__(self, most: int | None) -> None:
        self.most = most
        self._left = most

    def take(self) -> bool:
        """Whether one more may be made; if so, it is counted."""
        if self._left is None:
            return True
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """One that was counted is not made."""
        if self._left is not None:
            self._left += 1


@dataclass(frozen=True, slots=True)
class Window:
    """A time of day in which calls may be made; it may span midnight.

    Attributes:
        start: When it opens, local time.
        end: When it closes, local time.
        zone: Whose local time.
    """

    start: time
    end: time
    zone: ZoneInfo

    def opens(self, now: datetime) -> datetime:
        """When the window that holds `now`, or else the next one, opens; UTC."""
        return self._before(self.closes(now))

    def closes(self, now: datetime) -> datetime:
        """When the window that holds `now`, or else the next one, closes; UTC.

        Args:
            now: An aware time.
        """
        closes = next_time(self.end, now, self.zone)
        while self._before(closes) >= closes:
            # Clocks go forward over all of it: that night has no window, the next one counts.
            closes = next_time(self.end, closes, self.zone)
        return closes

    def _before(self, closes: datetime) -> datetime:
        """When the window that closes then has opened, as the clocks show it."""
        day = closes.astimezone(self.zone).date() - timedelta(days=self.start >= self.end)
        return datetime.combine(day, self.start, self.zone).astimezone(UTC)

    @property
    def hours(self) -> float:
        """How long it is, hours, on a day without a change of clocks."""
        start = timedelta(hours=self.start.hour, minutes=self.start.minute, seconds=self.start.second)
        end = timedelta(hours=self.end.hour, minutes=self.end.minute, seconds=self.end.second)
        return ((end - start) % timedelta(days=1) or timedelta(days=1)) / timedelta(hours=1)


def window_of(settings: WindowSettings | None) -> Window | None:
    """The window that a job file describes."""
    if settings is None:
        return None
    return Window(time.fromisoformat(settings.start), time.fromisoformat(settings.end), ZoneInfo(settings.tz))


def next_time(moment: time, now: datetime, zone: ZoneInfo) -> datetime:
    """The next time, after `now`, at which clocks in `zone` show `moment`; UTC."""
    day = now.astimezone(zone).date()
    for ahead in range(3):
        found = datetime.combine(day + timedelta(days=ahead), moment, zone).astimezone(UTC)
        if found > now:
            return found
    raise AssertionError("one of three days in a row has the time of day still to come")


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a run before its rows do.

    Attributes:
        opens: Calls may be made from then on; None: at once.
        deadline: Nothing is sent from then on; None: no deadline.
        max_calls: Most calls of this run; None: as many as it takes.
    """

    opens: datetime | None = None
    deadline: datetime | None = None
    max_calls: int | None = None


def limits_of(window: Window | None, until: datetime | None, max_calls: int | None, now: datetime) -> Limits:
    """The limits of a run that starts `now`; the nearest of several deadlines counts."""
    opens = None
    deadlines = [until] if until is not None else []
    if window is not None:
        opening = window.opens(now)
        opens = opening if opening > now else None
        deadlines.append(window.closes(now))
    return Limits(opens, min(deadlines, default=None), max_calls)
