"""Whether values fit the columns of a table: what a column cannot hold becomes null, and is counted.

Numbers come from files and answers that nobody here has made. One that is too large for its column must cost
that field, never the row, and never the rows that are written with it.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.storage.parts.results_and_hits import HIT_COLUMNS, RESULT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from batchsearch.storage.parts.results_and_hits import Column

PROBLEMS: Final = "field_problems"
"""The column of `results` that counts them."""


class Fitting:
    """The columns of a table, as what they can hold.

    Args:
        fields: Their names and types.
    """

    def __init__(self, fields: Iterable[tuple[str, pa.DataType]]) -> None:
        self._fits = {name: _check(kind) for name, kind in fields}

    def fitted(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The values that their columns can hold, and the names of those that they cannot."""
        kept: dict[str, Any] = {}
        dropped: list[str] = []
        for name, value in values.items():
            fits = self._fits.get(name)
            if value is None or (fits is not None and fits(value)):
                kept[name] = value
            else:
                dropped.append(name)
        return kept, dropped


@cache
def results_fitting(operation: str) -> Fitting:
    """The columns of `results` that batchsearch fills for an operation."""
    return _of(RESULT_COLUMNS[operation])


@cache
def hits_fitting() -> Fitting:
    """The columns of `hits`."""
    return _of(HIT_COLUMNS)


def fitting_of(schema: pa.Schema) -> Fitting:
    """The columns of any table."""
    return Fitting((field.name, field.type) for field in schema)


def counted(before: Any, more: int) -> int:
    """How many fields of a row were missing or did not fit, with so many more."""
    known = before if isinstance(before, int) and not isinstance(before, bool) else 0
    return max(0, min(known + more, _MOST_COUNTED))


_MOST_COUNTED: Final = 2**31 - 1


def _of(columns: Iterable[Column]) -> Fitting:
    return Fitting((column.name, column.type) for column in columns)


def _check(kind: pa.DataType) -> Callable[[Any], bool]:
    if pa.types.is_integer(kind):
        most = 2 ** (kind.bit_width - 1)
        return lambda value: isinstance(value, int) and not isinstance(value, bool) and -most <= value < most
    if pa.types.is_list(kind):
        each = _check(kind.value_type)
        return lambda value: (
            isinstance(value, list | tuple) and all(one is None or each(one) for one in value)
        )
    if pa.types.is_struct(kind):
        inner = Fitting((field.name, field.type) for field in kind)
        names = frozenset(field.name for field in kind)
        return lambda value: (
            isinstance(value, dict) and names.issuperset(value) and not inner.fitted(value)[1]
        )
    plain = (
        (pa.types.is_boolean, _is_truth),
        (pa.types.is_floating, _is_real),
        (pa.types.is_timestamp, _is_moment),
    )
    return next((fits for is_of, fits in plain if is_of(kind)), _is_text)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_real(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_moment(value: Any) -> bool:
    """ISO text with a time zone, or such a moment, that microseconds since 1970 can hold."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
