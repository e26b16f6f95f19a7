"""Values as people read them (pure): the page and the Markdown write every kind of value the same way."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.streams import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.tasks.report.report_facts import Kind

NOTHING: Final = "\u2013"
"""Stands where there is no value."""
_SECOND_MS: Final = 1000.0
_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


def written(value: Any, kind: Kind) -> str:
    """A value in words; `NOTHING` for none. Control characters of texts are spelt out."""
    if value is None:
        return NOTHING
    return _WRITERS[kind](value)


def _share(value: float) -> str:
    percent = value * 100
    if 0 < percent < 0.1:  # noqa: PLR2004 - what would be written as 0.0 %
        return "< 0.1 %"
    if 99.9 < percent < 100:  # noqa: PLR2004 - what would be written as 100.0 %
        return "> 99.9 %"
    return f"{percent:.1f} %"


def _ms(value: float) -> str:
    return f"{value / _SECOND_MS:,.2f} s" if value >= _SECOND_MS else f"{value:,.3g} ms"


def moment(value: datetime) -> str:
    """A moment in UTC, to the second."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: float) -> str:
    """A length of time in its two largest units."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE):02} s"
    hours, rest = divmod(seconds, _HOUR)
    return f"{int(hours):,} h {int(rest // _MINUTE):02} min"


def size(amount: float) -> str:
    """A number of bytes, decimal units."""
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:  # noqa: PLR2004 - a thousand of one unit is the next
            return f"{amount:,.0f} {unit}" if unit == _UNITS[0] else f"{amount:,.1f} {unit}"
        amount /= 1000
    raise AssertionError


def _day(value: date) -> str:
    return value.isoformat()


_WRITERS: Final[Mapping[Kind, Callable[[Any], str]]] = {
    "text": lambda value: printable(str(value)),
    "code": lambda value: printable(str(value)),
    "id": str,
    "count": lambda value: f"{value:,}",
    "number": lambda value: f"{value:,.6g}",
    "share": _share,
    "score": lambda value: f"{value:.3f}",
    "exact_score": lambda value: f"{value:.4f}",
    "rate": lambda value: f"{value:,.2f}",
    "ms": _ms,
    "moment": moment,
    "day": _day,
}
