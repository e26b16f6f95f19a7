"""Values of parameters by their kind: from a table, a job file or a form to what the service takes (pure)."""

from __future__ import annotations

import operator as operators
import re
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from batchsearch.service.facts import CATEGORIES, INT32_MAX, MAX_NUM
from batchsearch.service.filter import FilterError, parse_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.service.operations import Kind, Parameter


class RefusedError(Exception):
    """A value breaks a rule; carries the message, and a closer code than the parameter's own."""

    def __init__(self, message: str, *, code: str | None = None, prevents: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.prevents = prevents


def shown_value(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - a readable length, used once


def integer_of(value: object) -> int | None:
    """The integer that a value says, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = _INTEGER_TEXT.fullmatch(value.strip())
        return int(found[1]) if found else None
    if isinstance(value, float | Decimal):
        number = Decimal(value)
        return int(number) if number.is_finite() and abs(number) < _EXACT and number == int(number) else None
    try:
        return operators.index(value)  # type: ignore[arg-type]  # whatever is no integer raises TypeError
    except TypeError:
        return None


_EXACT: Final = 2**53  # beyond this a float no longer tells neighbouring integers apart
_INTEGER_TEXT: Final = re.compile(r"([+-]?[0-9]{1,18})(?:\.0{1,9})?")


def _read_integer(parameter: Parameter, value: object) -> int:
    number = integer_of(value)
    low, high = parameter.minimum, parameter.maximum
    wanted = "a whole number" if low is None or high is None else f"a whole number from {low} to {high}"
    if number is None:
        raise RefusedError(f"{shown_value(value)} is not {wanted}")
    if (low is not None and number < low) or (high is not None and number > high):
        overflow = parameter.key == "num" and number > MAX_NUM
        raise RefusedError(f"{number} is not {wanted}", prevents="OverflowMaxReturnNum" if overflow else None)
    return number


def _read_boolean(_: Parameter, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else str(integer_of(value))
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise RefusedError(f"{shown_value(value)} is neither true nor false")


def is_encodable(text: str) -> bool:
    """Whether it is Unicode text that can be written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_text(parameter: Parameter, value: object) -> str:
    if isinstance(value, str):
        text = value
    elif integer_of(value) is not None and not isinstance(value, float | Decimal):
        text = str(integer_of(value))
    else:
        kind = type(value).__name__
        raise RefusedError(f"{shown_value(value)} ({kind}) is not text; make the column text")
    if not text and parameter.required:
        raise RefusedError("is empty", prevents=f"Missing{parameter.wire}")
    if parameter.max_length is not None and len(text) > parameter.max_length:
        raise RefusedError(f"has {len(text):,} characters; the service takes {parameter.max_length:,}")
    found = next((character for character in text if character in parameter.forbidden), None)
    if found is not None:
        raise RefusedError(f"{shown_value(text)} has the character `{found}`, which the service refuses")
    if not is_encodable(text):
        raise RefusedError(f"{shown_value(text)} is not valid Unicode text")
    return text


_CENT: Final = Decimal("0.01")
_FLOAT32_NOISE: Final = Decimal("0.000001")


def _read_threshold(_: Parameter, value: object) -> str:
    """Two decimals always, so that `0.5` and `0.50` are one request."""
    try:
        number = Decimal(str(value).strip()) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise RefusedError(f"{shown_value(value)} is not a number from 0.00 to 1.00")
    if not 0 <= number <= 1:
        raise RefusedError(f"{shown_value(value)} is not from 0.00 to 1.00")
    rounded = number.quantize(_CENT)
    # A float32 column gives 0.85 as 0.8500000238…: that is what its owner wrote, not more decimals.
    noise = _FLOAT32_NOISE if isinstance(value, float) else Decimal(0)
    if abs(rounded - number) > noise:
        raise RefusedError(f"{shown_value(value)} has more than two decimals; round it to {rounded}")
    return str(rounded)


def _read_region(_: Parameter, value: object) -> str:
    parts = value.split(",") if isinstance(value, str) else value
    numbers = [integer_of(part) for part in parts] if isinstance(parts, list | tuple) else []
    sides = [number for number in numbers if number is not None]
    if len(numbers) != 4 or len(sides) != 4:  # noqa: PLR2004 - x1, x2, y1, y2
        raise RefusedError(f"{shown_value(value)} is not `x1,x2,y1,y2` in whole pixels")
    x1, x2, y1, y2 = sides
    if not all(0 <= side <= INT32_MAX for side in sides):
        raise RefusedError(f"{shown_value(value)} has a coordinate below 0 or beyond any image")
    if x1 >= x2 or y1 >= y2:
        hint = "; the order is x1,x2,y1,y2: both x before both y" if x1 < y1 and x2 < y2 else ""
        raise RefusedError(f"{shown_value(value)} is empty: x1 must be below x2 and y1 below y2{hint}")
    return f"{x1},{x2},{y1},{y2}"


def _read_filter(_: Parameter, value: object) -> str:
    """The text as given: what the service reads is what its owner wrote, not our rendering of it."""
    if not isinstance(value, str):
        raise RefusedError(f"{shown_value(value)} is not text")
    text = value.strip()
    try:
        parse_filter(text)
    except FilterError as error:
        raise RefusedError(str(error)) from error
    if not is_encodable(text):
        raise RefusedError("is not valid Unicode text")
    return text


def _read_category(_: Parameter, value: object) -> int:
    number = integer_of(value)
    if number is None or number not in CATEGORIES:
        known = ", ".join(f"{key} {name}" for key, name in CATEGORIES.items())
        raise RefusedError(f"{shown_value(value)} is no category id; there are {known}")
    return number


READERS: Final[Mapping[Kind, Callable[[Parameter, object], Any]]] = MappingProxyType(
    {
        "integer": _read_integer,
        "boolean": _read_boolean,
        "text": _read_text,
        "threshold": _read_threshold,
        "region": _read_region,
        "filter": _read_filter,
        "category": _read_category,
    }
)
"""How each kind of value is read; raises RefusedError."""
