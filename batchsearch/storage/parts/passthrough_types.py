"""The manifest's own columns over all nights of an output: one set of columns with one type each (pure).

A catalogue's table lives: columns come, go and move, whole numbers become doubles with the first missing
value, ids become text. The output has every column that any night had, in the order in which they came, each
with a type that holds what all nights gave: the wider of two, a struct with the fields of both, and text
where nothing else holds both. A column once text stays text. What a night does not give is null.

All parts that readers see have these columns and types: so any program reads the folder as one table.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.arrow_values import python_values
from batchsearch.storage import arrow_functions as pc
from batchsearch.widening import is_uuid, wider_type

if TYPE_CHECKING:
    from collections.abc import Collection

_EXACT: Final = 2**53
"""Up to here a double tells whole numbers apart."""


def joined(before: pa.Schema, now: pa.Schema, *, as_text: Collection[str] = ()) -> pa.Schema:
    """The columns of both: those that were there first, each wide enough for both.

    Args:
        before: Columns so far.
        now: Columns that are to have room in them.
        as_text: Names of columns that are to be text when they were whole numbers and become doubles: a
            double would change some of them.
    """
    fields = []
    for field in before:
        kind = field.type
        if (place := now.get_field_index(field.name)) >= 0:
            kind = joined_type(kind, now.field(place).type)
            if field.name in as_text and turns_into_doubles(field.type, kind):
                kind = pa.string()
        fields.append(field if kind == field.type else field.with_type(kind))
    there = set(before.names)
    fields += [field for field in now if field.name not in there]
    return pa.schema(fields, metadata=before.metadata)


def turns_into_doubles(before: pa.DataType, now: pa.DataType) -> bool:
    """Whether whole numbers become doubles, which do not tell the largest of them apart."""
    return bool(pa.types.is_integer(before) and before.bit_width == 64 and pa.types.is_floating(now))  # noqa: PLR2004 - bits


def joined_type(before: pa.DataType, now: pa.DataType) -> pa.DataType:
    """A type that holds the values of both; the one that was there first where it does."""
    types = pa.types
    if before == now or types.is_null(now):
        return before
    if types.is_null(before):
        return now
    if types.is_struct(before) and types.is_struct(now):
        return pa.struct(list(joined(pa.schema(list(before)), pa.schema(list(now)))))
    if _is_list(before) and _is_list(now):
        return _joined_list(before, now)
    one, other = _plain(before), _plain(now)
    wider = one if one == other else wider_type(one, other) or pa.string()
    return before if wider == one else wider


def _joined_list(before: pa.DataType, now: pa.DataType) -> pa.DataType:
    element = joined_type(before.value_type, now.value_type)
    if element == before.value_type and not pa.types.is_fixed_size_list(before):
        return before
    return pa.large_list(element) if pa.types.is_large_list(before) else pa.list_(element)


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns; what it lacks is null."""
    there = set(table.column_names)
    columns = [
        _converted_chunks(table[field.name], field.type)
        if field.name in there
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def conformed_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly these columns; the batch itself where it has them."""
    if batch.schema.equals(schema):
        return batch
    arrays = []
    for field in schema:
        place = batch.schema.get_field_index(field.name)
        arrays.append(
            converted(batch.column(place), field.type) if place >= 0 else pa.nulls(len(batch), field.type)
        )
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _converted_chunks(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    return pa.chunked_array([converted(chunk, kind) for chunk in column.chunks], kind)


def converted(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """An array as the type of its column in the output, which `joined_type` has made of its own.

    A cell that the type cannot hold, such as a year 9999 counted in nanoseconds, becomes null.
    """
    types = pa.types
    if array.type == kind:
        return array
    if types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(converted(_stored(array), kind.storage_type))
    if _is_text(kind):
        return as_text(array).cast(kind)
    return _converted_values(_stored(array), kind)


def _converted_values(array: pa.Array, kind: pa.DataType) -> pa.Array:
    types = pa.types
    if types.is_struct(kind) and types.is_struct(array.type):
        there = [field.name for field in array.type]
        parts = [
            converted(pc.struct_field(array, field.name), field.type)
            if field.name in there
            else pa.nulls(len(array), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())
    if _is_list(kind) and _is_list(array.type):
        return _converted_list(array, kind)
    try:
        return array.cast(kind, safe=not types.is_floating(kind))
    except pa.ArrowException:
        return _what_fits(array, kind)


def as_text(array: pa.Array) -> pa.Array:
    """Cells as text: numbers alike whether they are whole numbers or doubles, nested values as JSON."""
    types = pa.types
    if is_uuid(array.type):
        cells = array.storage.to_pylist()
        return pa.array([None if cell is None else str(uuid.UUID(bytes=cell)) for cell in cells], pa.string())
    array = _stored(array)
    kind = array.type
    if types.is_floating(kind):
        return _numbers_as_text(array.cast(pa.float64()))
    is_plain = (types.is_integer, types.is_boolean, types.is_decimal, types.is_temporal, _is_text)
    if any(is_of(kind) for is_of in is_plain):
        try:
            return array.cast(pa.string())
        except pa.ArrowException:
            return pa.array(
                [None if cell is None else str(cell) for cell in python_values(array)], pa.string()
            )
    cells = [None if cell is None else _cell_text(cell) for cell in python_values(array)]
    return pa.array(cells, pa.string())


def _numbers_as_text(array: pa.Array) -> pa.Array:
    """Doubles as text: whole ones as whole numbers are written."""
    values = array.fill_null(0.0).to_numpy(zero_copy_only=False)
    whole = np.isfinite(values) & (np.abs(values) <= _EXACT) & (values == np.trunc(values))
    integers = pa.array(np.where(whole, values, 0.0).astype(np.int64)).cast(pa.string())
    text = pc.if_else(pa.array(whole), integers, array.cast(pa.string()))
    return pc.if_else(array.is_null(), pa.nulls(len(text), pa.string()), text)


def _cell_text(cell: Any) -> str:
    if isinstance(cell, bytes):
        return _bytes_text(cell)
    return json.dumps(cell, ensure_ascii=False, default=_json_value)


def _json_value(value: Any) -> str:
    return _bytes_text(value) if isinstance(value, bytes) else str(value)


def _bytes_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()


def _converted_list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = converted(array.flatten(), kind.value_type)
    made = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
    width = pa.int64() if pa.types.is_large_list(kind) else pa.int32()
    return made.from_arrays(pa.array(offsets, width), values, type=kind, mask=array.is_null())


def _what_fits(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Cell by cell: null where the type cannot hold what it says."""
    cells = []
    for place in range(len(array)):
        try:
            cells.append(array.slice(place, 1).cast(kind))
        except pa.ArrowException:
            cells.append(pa.nulls(1, kind))
    return pa.concat_arrays(cells) if cells else pa.array([], kind)


def _stored(array: pa.Array) -> pa.Array:
    return array.storage if isinstance(array, pa.ExtensionArray) else array


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without what says nothing of its values: the width of text and bytes, a dictionary, a name."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return kind if is_uuid(kind) else _plain(kind.storage_type)
    if _is_text(kind):
        return pa.string()
    return pa.binary() if types.is_large_binary(kind) or types.is_binary_view(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
