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

    def __call__(self) -> datetime:
        """The time by the service's clock."""
        return self._machine() + self._skew

    @property
    def skew(self) -> float:
        """Seconds that the service's clock is ahead of this machine's."""
        return self._skew.total_seconds()

    def learn(self, code: str | None, headers: Mapping[str, str]) -> None:
        """Correct the clock by the answer's Date, if the answer refused a time stamp.

        Args:
            code: The answer's error code, None for success.
            headers: The answer's, names in lower case.
        """
        if code is None or not code.startswith(_REFUSED_TIME):
            return
        try:
            theirs = parsedate_to_datetime(headers.get("date", ""))
        except ValueError:
            return
        if theirs.tzinfo is None:
            theirs = theirs.replace(tzinfo=UTC)
        self._skew = theirs - self._machine()
