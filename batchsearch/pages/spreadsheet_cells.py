"""One value as a spreadsheet's cell shows it; text that a spreadsheet would run is made harmless (pure).

A spreadsheet takes text for a formula that begins with `=`, `+`, `-` or `@`, also behind a tab, a line break
or a space, also in full width (https://owasp.org/www-community/attacks/CSV_Injection). A title that somebody
else wrote must never be one. In CSV such text gets an apostrophe before it, the spreadsheets' own sign for
text; in XLSX the cell says itself that it is text. A plain number stays as it is: it does nothing.

Where a spreadsheet takes `;` or a tab for what separates cells, as in many countries, quotation marks inside
a line mean nothing to it: a formula behind one of these, or behind a line break, gets its apostrophe as well.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

MOST_CHARACTERS: Final = 32_767
"""Most characters of a cell in Excel; LibreOffice takes more."""

_STARTS: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_BREAKS: Final = frozenset("\t\r\n\x0b\x0c")
_UNSEEN: Final = " \u00a0\ufeff\u200b\u200c\u200d\u2060\u3000\"'"
"""What may stand before a formula unseen; quotation marks are dropped where CSV is read loosely."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,4})?%?")
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML cannot hold, or that end a cell early where a spreadsheet reads CSV."""
_WITHIN: Final = re.compile(
    rf"([;\t\r\n\x0b\x0c][{_UNSEEN}]*)(?=[=@\uff1d\uff20]|[+\-\uff0b\uff0d][^;\t\r\n]*[(|!])"
)
"""Where a formula begins behind what may separate cells; a sign alone also begins an item of a list."""
SUSPECT: Final = (
    r"^[\t\r\n\x0b\x0c]"
    r"|^[ \x{a0}\x{feff}\x{200b}-\x{200d}\x{2060}\x{3000}\"']*[=+\-@\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
    r"|[;\t\r\n][ \x{a0}\x{feff}\x{200b}-\x{200d}\x{2060}\x{3000}\"']*[=+\-@\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
)
"""What a text has that `csv_text` may change, for Arrow: all others are written as they are."""


def is_dangerous(text: str) -> bool:
    """Whether a spreadsheet might take a text for a formula."""
    if not text:
        return False
    if text[0] in _BREAKS:
        return True
    first = text.lstrip(_UNSEEN)[:1]
    return first in _STARTS and first != "" and _NUMBER.fullmatch(text) is None


def harmless(text: str) -> str:
    """The text with an apostrophe before it, and inside it, where a spreadsheet might see a formula."""
    text = f"'{text}" if is_dangerous(text) else text
    return _WITHIN.sub(r"\1'", text)


def writable(text: str) -> str:
    """The text without characters that no cell can hold; each is the sign for an unknown one."""
    return _UNWRITABLE.sub("\ufffd", text)


def plain(value: Any) -> Any:
    """A value as a cell can hold it: text, a number, true or false, a moment without a zone, or None.

    Moments are UTC; nested values are JSON; bytes are counted, not shown.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if value is None or isinstance(value, bool | int | float | date):
        return value
    if isinstance(value, Decimal) and value.is_finite() and float(value) == value:
        return float(value)
    return writable(_text(value))


def csv_text(value: Any) -> str:
    """A value as the text of a cell in CSV, which no spreadsheet runs."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)


def _text(value: Any) -> str:
    """What is no number, moment, true or false, as text."""
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=_within)
    return f"({len(value):,} bytes)" if isinstance(value, bytes) else str(value)


def _within(value: Any) -> str:
    """A value inside a nested one."""
    return f"({len(value):,} bytes)" if isinstance(value, bytes) else str(value)
