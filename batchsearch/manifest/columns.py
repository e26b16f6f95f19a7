"""What a column may be: Arrow types as the manifest sees them, and columns to Python values (pure).

* A **key** column is text, whole numbers, true/false or dates. Fractions are refused: two programs may write
  one of them in two ways. So are times (units and zones make the same moment differ) and nested values.
* A **parameter** column is text, numbers or true/false.
* A **picture** column is text (a path or a URL), bytes, or a struct of `bytes` and `path` as image data sets
  use it, where `bytes` wins.
* Any other column may be anything that can be carried into the results (see `carried`).

Each column has two types: the **normal** one, by which columns of several files agree and in which keys,
parameters and pictures are read, and the one in which it is carried.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.manifest.carried import carried_type, with_inner

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_SHOWN: Final = 40
_IN_AN_ADDRESS: Final = re.compile(r"(://)(?:[^/?#\s\"]*@)?([^?#\s\"]*)(?:[?#][^\s\"]*)?")


def normal_type(kind: pa.DataType) -> pa.DataType:
    """The one type of each family, so that equal columns of two files agree.

    Text and bytes of any width are the plain ones, at any depth; a dictionary is its values; an extension
    type is what it is stored as, but for those inside nested types; a struct of `bytes` and `path` is
    exactly these two.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return normal_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return normal_type(kind.value_type)
    if is_picture_struct(kind):
        return picture_struct(kind)
    return _narrow(kind)


def _narrow(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(kind):
        return _narrow(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    return with_inner(carried_type(kind), _narrow)


def normalised(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """An array as another type of its family; an all-null one as any type.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit.
    """
    if array.type == wanted or pa.types.is_null(array.type):
        return array if array.type == wanted else pa.nulls(len(array), wanted)
    if isinstance(wanted, pa.BaseExtensionType):
        return wanted.wrap_array(normalised(array, wanted.storage_type))
    if isinstance(array, pa.ExtensionArray):
        return normalised(array.storage, wanted)
    if pa.types.is_dictionary(array.type):
        return normalised(array.dictionary_decode(), wanted)
    if is_picture_struct(array.type) and is_picture_struct(wanted):
        parts = [normalised(pc.struct_field(array, field.name), field.type) for field in wanted]
        return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=array.is_null())
    return array.cast(wanted)


def picture_struct(kind: pa.DataType) -> pa.DataType:
    """A struct in which image data sets keep a picture, without what is not of use here."""
    path = [("path", pa.string())] if has_path(kind) else []
    return pa.struct([("bytes", pa.binary()), *path])


def is_picture_struct(kind: pa.DataType) -> bool:
    """Whether a type is the struct in which image data sets keep a picture."""
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    data = normal_type(kind.field("bytes").type)
    path = normal_type(kind.field("path").type) if has_path(kind) else pa.string()
    is_data = pa.types.is_binary(data) or pa.types.is_null(data)
    return bool(is_data and (pa.types.is_string(path) or pa.types.is_null(path)))


def has_path(kind: pa.DataType) -> bool:
    """Whether a picture struct carries a path beside its bytes."""
    return bool(kind.get_field_index("path") >= 0)


def key_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot name rows, or None."""
    types = pa.types
    fits = (types.is_string, types.is_integer, types.is_boolean, types.is_date, types.is_null)
    if any(fit(kind) for fit in fits):
        return None
    if types.is_floating(kind) or types.is_decimal(kind):
        return f"is {kind}: a fraction cannot name a row; write it as text or as a whole number"
    return f"is {kind}; a column that names rows is text, a whole number, true/false or a date"


def parameter_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot be a parameter, or None."""
    types = pa.types
    fits = (types.is_string, types.is_integer, types.is_floating, types.is_boolean, types.is_null)
    return (
        None if any(fit(kind) for fit in fits) else f"is {kind}; a parameter is text, a number or true/false"
    )


def picture_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot hold pictures, or None."""
    types = pa.types
    if types.is_string(kind) or types.is_binary(kind) or types.is_null(kind) or is_picture_struct(kind):
        return None
    return f"is {kind}; a picture is a path or URL (text), bytes, or a struct of `bytes` and `path`"


def picture_lengths(array: pa.Array) -> pa.Array:
    """Bytes that each cell of a picture column takes in memory, 0 for null."""
    if pa.types.is_struct(array.type):
        array = pc.struct_field(array, "bytes")
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.int32()).fill_null(0)
    return pc.binary_length(array).cast(pa.int64()).fill_null(0)


def bad_text(array: pa.Array) -> list[int]:
    """Positions in a text or bytes column that are not valid UTF-8."""
    return [index for index, data in enumerate(array.cast(pa.binary()).to_pylist()) if not _is_utf8(data)]


def _is_utf8(data: bytes | None) -> bool:
    try:
        (data or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def without(array: pa.Array, positions: Iterable[int]) -> pa.Array:
    """The array with null at some positions."""
    mask = [False] * len(array)
    for position in positions:
        mask[position] = True
    return pc.if_else(pa.array(mask), pa.scalar(None, array.type), array)


def bad_cells(array: pa.Array, wanted: pa.DataType) -> list[int]:
    """Positions in a text column whose value is not one of the wanted type."""

    # Halves that convert whole are not looked at cell by cell: a few bad cells are found quickly.
    def search(start: int, stop: int) -> list[int]:
        try:
            array.slice(start, stop - start).cast(wanted)
        except pa.ArrowInvalid:
            if stop - start == 1:
                return [start]
            middle = (start + stop) // 2
            return [*search(start, middle), *search(middle, stop)]
        return []

    return search(0, len(array)) if len(array) else []


def cell(value: Any) -> str:
    """A cell's value for a message: at most 40 characters, quoted, no address with its user or query."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = _IN_AN_ADDRESS.sub(r"\1\2", value if isinstance(value, str) else str(value))
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")
