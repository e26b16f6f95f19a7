"""Rows of a manifest that are let pass: by the conditions of `manifest.where`, or for their image."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.errors import ConfigError
from batchsearch.manifest.agreement import agreed
from batchsearch.manifest.column_types import has_path, normal_type, normalised, parameter_cells
from batchsearch.manifest.formats.table_file import Wished
from batchsearch.manifest.keys import product_keys
from batchsearch.manifest.layers import Layer, LeftOut, rows_of
from batchsearch.service.conditions import IS_NOT_NULL, IS_NULL, columns_in, parse_conditions
from batchsearch.service.expressions import And, Or
from batchsearch.service.filter import FilterError
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.instance_rows import InstanceRows
    from batchsearch.service.conditions import Kind
    from batchsearch.service.expressions import Comparison, Expression

_COMPARE: Final[Mapping[str, str]] = {
    "=": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}
_EPOCH: Final = 1970


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a row has to be like, and the types in which its columns are compared.

    Attributes:
        expression: The conditions.
        types: The type of each column that they speak of, the same in all files.
    """

    expression: Expression
    types: Mapping[str, pa.DataType]


def conditions_over(text: str, tables: Sequence[TableFile]) -> Conditions:
    """The conditions that a text says, checked against the columns that tables have.

    Raises:
        ConfigError: It says none, or does not fit the columns; with the place.
    """
    try:
        spoken_of = columns_in(parse_conditions(text))
        found = agreed(tables, key=frozenset(), named=frozenset(), read=spoken_of)
        kinds = {name: _kind(kind.normal) for name, kind in found.kinds.items()}
        others: dict[str, Kind] = {name: "other" for table in tables for name in table.schema.names}
        expression = parse_conditions(text, {**others, **kinds})
    except FilterError as error:
        raise ConfigError.at("manifest.where", str(error)) from None
    return Conditions(expression, {name: kind.normal for name, kind in found.kinds.items()})


def _kind(kind: pa.DataType) -> Kind:
    types = pa.types
    if types.is_string(kind) or types.is_null(kind):
        return "text"
    if types.is_boolean(kind):
        return "truth"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    return "date" if types.is_date(kind) or types.is_timestamp(kind) else "other"


class Where(Layer):
    """A file's rows that conditions let pass."""

    def __init__(self, below: TableFile, conditions: Conditions) -> None:
        """Puts conditions over a file."""
        super().__init__(below, below.schema)
        self._conditions = conditions.expression
        there = frozenset(below.schema.names)
        self._compared = [Wished(name, kind) for name, kind in conditions.types.items() if name in there]

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        left = 0
        compared = {each.name: each for each in self._compared}
        for piece in self._read(
            [*(each for each in wished if each.name not in compared), *self._compared], report
        ):
            columns = dict(zip(piece.schema.names, piece.columns, strict=True))
            kept = passing(self._conditions, columns, piece.num_rows)
            left += int((~kept).sum())
            yield self._given(piece if kept.all() else piece.filter(pa.array(kept)), wished, compared, report)
        self.left_out = self.left_out_below + LeftOut(where=left)


def passing(conditions: Expression, columns: Mapping[str, pa.Array], rows: int) -> NDArray[np.bool_]:
    """Which rows conditions let pass; a column that there is not is null in all of them."""
    if isinstance(conditions, And | Or):
        parts = [passing(term, columns, rows) for term in conditions.terms]
        joined = np.logical_and if isinstance(conditions, And) else np.logical_or
        found: NDArray[np.bool_] = joined.reduce(parts)
        return found
    column = columns.get(conditions.field)
    if column is None:
        return np.full(rows, conditions.operator == IS_NULL)
    column = normalised(column, normal_type(column.type))
    if conditions.operator in {IS_NULL, IS_NOT_NULL}:
        is_null = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        return is_null if conditions.operator == IS_NULL else ~is_null
    if pa.types.is_null(column.type):
        return np.zeros(rows, bool)
    mask = _compared(column, conditions)
    return np.asarray(mask.fill_null(fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def _compared(column: pa.Array, comparison: Comparison) -> pa.Array:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_integer(column.type) and any(isinstance(value, float) for value in comparison.values):
        column = column.cast(pa.float64(), safe=False)
    if comparison.operator not in {"in", "not in"}:
        return _one_compared(column, comparison.operator, comparison.values[0])
    found = _one_compared(column, "=", comparison.values[0])
    for value in comparison.values[1:]:
        found = pc.or_(found, _one_compared(column, "=", value))
    return found if comparison.operator == "in" else pc.invert(found)


def _one_compared(column: pa.Array, sign: str, value: Any) -> pa.Array:
    """A column against one value; one that its type cannot hold is larger or smaller than all that it can."""
    try:
        return getattr(pc, _COMPARE[sign])(column, _scalar(value, column.type))
    except (pa.ArrowInvalid, OverflowError):
        is_above = value > 0 if isinstance(value, int | float) else _moment(value).year > _EPOCH
    fits = sign == "!=" or sign.startswith("<" if is_above else ">")
    return pc.if_else(column.is_valid(), pa.scalar(fits), pa.scalar(None, pa.bool_()))


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A value in the type of the column that it is compared with.

    Raises:
        pyarrow.ArrowInvalid: The type cannot hold it.
        OverflowError: Likewise.
    """
    if pa.types.is_date(kind):
        return pa.scalar(_moment(value).date(), kind)
    if pa.types.is_timestamp(kind):
        moment = _moment(value)
        if kind.tz is not None:
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        else:
            moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
        return pa.scalar(moment, kind)
    if isinstance(value, int) and not isinstance(value, bool):
        return pa.scalar(value, kind)
    return pa.scalar(value)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


class WithImage(Layer):
    """A file's rows of which one of some columns names an image; the others are left out."""

    def __init__(self, below: TableFile, images: Sequence[str], key: Sequence[str]) -> None:
        """Lets rows pass that have an image.

        Args:
            below: The file.
            images: The columns.
            key: Columns that name rows, for those that are told of.
        """
        super().__init__(below, below.schema)
        fields = {field.name: field for field in below.schema}
        self._images = [Wished(name, fields[name].type) for name in images if name in fields]
        self._named_by = tuple(key)
        self._key = [Wished(name, fields[name].type) for name in key if name in fields]

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        left = 0
        whole = {each.name: each for each in (*self._images, *self._key)}
        for piece in self._read(
            [*(each for each in wished if each.name not in whole), *whole.values()], report
        ):
            kept = np.zeros(piece.num_rows, bool)
            for column in self._images:
                kept |= has_image(piece.column(column.name))
            left += int((~kept).sum())
            if self.listener is not None and not kept.all():
                keys = product_keys(piece, self._named_by)
                for position in np.flatnonzero(~kept).tolist():
                    self._tell(int(rows_of(piece)[position]), keys[position])
            yield self._given(piece if kept.all() else piece.filter(pa.array(kept)), wished, whole, report)
        self.left_out = self.left_out_below + LeftOut(without_image=left)


def has_image(array: pa.Array) -> NDArray[np.bool_]:
    """Which cells of a column of images name one: neither null nor blank."""
    array = normalised(array, normal_type(array.type))
    if pa.types.is_struct(array.type):
        data = np.asarray(
            pc.struct_field(array, "bytes").is_valid().to_numpy(zero_copy_only=False), dtype=bool
        )
        return data | has_image(pc.struct_field(array, "path")) if has_path(array.type) else data
    if pa.types.is_string(array.type):
        said = pc.not_equal(pc.utf8_trim_whitespace(array), "").fill_null(fill_value=False)
    else:
        said = array.is_valid()
    return np.asarray(said.to_numpy(zero_copy_only=False), dtype=bool)


class OfInstance(Layer):
    """A file's rows that go to one instance."""

    def __init__(self, below: TableFile, rows: InstanceRows) -> None:
        """Lets the rows of one instance pass."""
        super().__init__(below, below.schema)
        self._rows = rows
        types = {field.name: field.type for field in below.schema}
        self._named_by = [Wished(rows.column, types[rows.column])] if rows.column in types else []

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        whole = {each.name: each for each in self._named_by}
        for piece in self._read(
            [*(each for each in wished if each.name not in whole), *self._named_by], report
        ):
            kept = pa.array(self._kept(piece))
            yield self._given(piece.filter(kept), wished, whole, report)
        self.left_out = self.left_out_below

    def _kept(self, piece: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if not self._named_by:
            return np.full(piece.num_rows, self._rows.takes(None))
        column = piece.column(self._rows.column)
        named = parameter_cells(normalised(column, normal_type(column.type))).dictionary_encode()
        # One look at each name, however many rows there are; the last place is that of rows without one.
        taken = np.array([*map(self._rows.takes, named.dictionary.to_pylist()), self._rows.takes(None)])
        places = named.indices.fill_null(len(named.dictionary)).to_numpy(zero_copy_only=False)
        kept: np.ndarray[tuple[int], np.dtype[np.bool_]] = taken[places]
        return kept
