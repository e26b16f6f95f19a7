"""Arrow's values as Python's and numpy's, alike with and without pandas, and how many bytes they take.

Where pandas is not at hand, pyarrow refuses a moment that Python's own types cannot hold: one in nanoseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from typing import Protocol

    from numpy.typing import NDArray

    class _Sized(Protocol):
        @property
        def nbytes(self) -> int: ...

        def get_total_buffer_size(self) -> int: ...


def python_values(column: pa.Array) -> list[Any]:
    """A column as Python values; what is left of a microsecond is cut off."""
    try:
        found: list[Any] = column.to_pylist()
    except ValueError:
        kind = _in_microseconds(column.type)
        if kind == column.type:
            raise
        found = column.cast(kind, safe=False).to_pylist()
    return found


def python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as dictionaries, their values as `python_values` has them."""
    columns = [python_values(column) for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def storable_values(column: pa.Array) -> list[Any]:
    """A column as values that make the same column again with its type, to the nanosecond."""
    if _is_fine(column.type):
        column = column.cast(pa.int64())
    return python_values(column)


def whole_numbers(column: pa.Array, missing: int = 0) -> NDArray[np.int64]:
    """A column of whole numbers of any width, or of nulls alone; null is `missing`."""
    found = column.cast(pa.int64()).fill_null(missing).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.int64)


def microseconds(column: pa.Array) -> NDArray[np.int64]:
    """A column of moments as microseconds since 1970, UTC; null is 0."""
    return whole_numbers(column.cast(pa.timestamp("us", tz="UTC")))


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def size_of(data: _Sized) -> int:
    """Bytes of an array, column, batch or table.

    Of views pyarrow 21 cannot tell which part of their buffers a slice uses: the whole buffers count then.
    """
    try:
        return data.nbytes
    except pa.ArrowException:
        return data.get_total_buffer_size()


def _is_fine(kind: pa.DataType) -> bool:
    types = pa.types
    return bool((types.is_timestamp(kind) or types.is_duration(kind)) and kind.unit == "ns")


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if _is_fine(kind):
        return pa.duration("us") if types.is_duration(kind) else pa.timestamp("us", kind.tz)
    if types.is_list(kind):
        return pa.list_(_in_microseconds(kind.value_type))
    if types.is_large_list(kind):
        return pa.large_list(_in_microseconds(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_in_microseconds(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(kind.key_type, _in_microseconds(kind.item_type))
    return kind
