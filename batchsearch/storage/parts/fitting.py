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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from batchsearch.storage.parts.results_and_hits import Column

PROBLEMS: Final = "field_problems"
"""The column of `results` that counts them."""


class Fitting:
    """The columns of a table, as what they can hold.

    Args:
        fields: Their names and types.
    """

    def __init__(self, fields: Iterable[tuple[str, pa.DataType]]) -> None:
        self._kinds = dict(fields)
        self._fits = {name: _check(kind) for name, kind in self._kinds.items()}
        self._exact = {name: _exact(kind) for name, kind in self._kinds.items()}

    def fitted(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The values that their columns can hold, and the names of those that they cannot."""
        exact, checks = self._exact.get, self._fits.get
        # What a value's type alone does not tell.
        asked = [
            (name, value)
            for name, value in values.items()
            if value is not None and type(value) is not exact(name, _NOTHING)
        ]
        dropped = [name for name, value in asked if (fits := checks(name)) is None or not fits(value)]
        kept = dict(values)
        for name in dropped:
            del kept[name]
        return kept, dropped

    def table(self, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
        """A table of rows, without the values that their columns cannot hold.

        Args:
            rows: Values by column name; what is absent is null.
            schema: Of these columns.
        """
        columns = []
        for name, kind in self._kinds.items():
            values = [row.get(name) for row in rows]
            # Texts are told by their type alone, and so are most columns that hold nothing.
            if not _PLAIN_TYPES[pa.types.is_string(kind)].issuperset(map(type, values)):
                fits = self._fits[name]
                values = [value if value is not None and fits(value) else None for value in values]
            columns.append(pa.array(values, kind))
        return pa.Table.from_arrays(columns, schema=schema)


_NOTHING: Final = object()
_PLAIN_TYPES: Final = ({type(None)}, {str, type(None)})
"""What every column takes, and what one of texts takes."""


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


def _exact(kind: pa.DataType) -> Any:
    """The type of which a column can hold every value; `_NOTHING` where there is none."""
    if pa.types.is_boolean(kind):
        return bool
    return str if pa.types.is_string(kind) else _NOTHING


def _check(kind: pa.DataType) -> Callable[[Any], bool]:
    if pa.types.is_integer(kind):
        most = 2 ** (kind.bit_width - 1)
        return lambda value: (
            (type(value) is int or (isinstance(value, int) and not isinstance(value, bool)))
            and -most <= value < most
        )
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
    if type(value) is float:
        return math.isfinite(value)
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
