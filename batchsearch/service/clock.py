"""The service's time, as far as this machine can tell: its own clock, corrected by refused time stamps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REFUSED_TIME: Final = "InvalidTimeStamp"


def _now() -> datetime:
    return datetime.now(UTC)


class ServiceClock:
    """Tells the service's time; all that signs for one account shares it, so that one refusal corrects all.

    Args:
        machine: This machine's wall clock, UTC.
    """

    def __init__(self, machine: Callable[[], datetime] = _now) -> None:
        self._machine = machine
        self._skew = timedelta(0)
        self._heard: tuple[str, datetime] | None = None

    def __call__(self) -> datetime:
        """The time by the service's clock."""
        return self._machine() + self._skew

    @property
    def skew(self) -> float:
        """Seconds that the service's clock is ahead of this machine's."""
        return self._skew.total_seconds()

    @property
    def apart(self) -> float | None:
        """Seconds that the last answer's date was ahead of this machine's clock; None where it had none.

        Dates count whole seconds, so that half a second is nothing.
        """
        if self._heard is None:
            return None
        theirs = _moment(self._heard[0])
        return None if theirs is None else (theirs - self._heard[1]).total_seconds() + 0.5

    def learn(self, code: str | None, headers: Mapping[str, str]) -> None:
        """Correct the clock by the answer's Date, if the answer refused a time stamp.

        Args:
            code: The answer's error code, None for success.
            headers: The answer's, names in lower case.
        """
        self._heard = (headers.get("date", ""), self._machine())
        if code is None or not code.startswith(_REFUSED_TIME):
            return
        theirs = _moment(self._heard[0])
        if theirs is not None:
            self._skew = theirs - self._heard[1]


def _moment(text: str) -> datetime | None:
    """The moment that a `Date` header means; None for what is none."""
    try:
        theirs = parsedate_to_datetime(text)
    except ValueError:
        return None
    return theirs.replace(tzinfo=UTC) if theirs.tzinfo is None else theirs
