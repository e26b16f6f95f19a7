"""How long an answer asks to wait: HTTP's `Retry-After`, in seconds or as a date (pure)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_DIGITS: Final = 9


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that an answer's `Retry-After` asks to wait; None where it says nothing that can be read.

    A date is counted from the answer's own `Date`: the clocks of two machines differ.

    Args:
        headers: The answer's, by lower-case or case-insensitive name.
        now: Wall clock, UTC, for an answer without a date.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _MOST_DIGITS else None
    until = _date(text)
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date", "")) or now)).total_seconds())


def _date(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
