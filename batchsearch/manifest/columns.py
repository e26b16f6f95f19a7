"""What a column may be: Arrow types as the manifest sees them, and columns to Python values (pure).

* A **key** column is text, whole numbers, true/false or dates. Fractions are refused: two programs may write
  one of them in two ways. So are times (units and zones make the same moment differ) and nested values.
* A **parameter** column is text, numbers or true/false.
* A **picture** column is text (a path or a URL), bytes, or a struct of `bytes` and `path` as image data sets
  use it, where `bytes` wins.
* Any other column may be anything: it is carried into the results as it is, but for inline picture bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.manifest.rows import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterable

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(?i:file|data):")
_LONGEST_SHOWN: Final = 40


def normal_type(kind: pa.DataType) -> pa.DataType:
    """The type that a column is read as: one of each family, so that equal columns of two files agree."""
    if isinstance(kind, pa.BaseExtensionType):
        return normal_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return normal_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if is_picture_struct(kind):
        path = [("path", pa.string())] if has_path(kind) else []
        return pa.struct([("bytes", pa.binary()), *path])
    return kind


def normalised(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """An array as `normal_type` says; an all-null one as any type.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if array.type == wanted:
        return array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if is_picture_struct(array.type) and is_picture_struct(wanted):
        parts = [normalised(pc.struct_field(array, field.name), field.type) for field in wanted]
        return pa.StructArray.from_arrays(parts, fields=list(wanted))
    return array if array.type == wanted else array.cast(wanted)


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


def reference(text: str | None) -> ImageReference | None:
    """What a text cell says of a picture; null and empty text are no picture."""
    if not text:
        return None
    return ImageReference(url=text) if _URL.match(text) else ImageReference(path=text)


def references(array: pa.Array) -> list[ImageReference | None]:
    """One reference for each cell of a picture column."""
    if pa.types.is_struct(array.type):
        given = pc.struct_field(array, "bytes").to_pylist()
        paths = pc.struct_field(array, "path").to_pylist() if has_path(array.type) else [None] * len(array)
        return [
            reference(path) if data is None else ImageReference(data=data)
            for data, path in zip(given, paths, strict=True)
        ]
    if pa.types.is_binary(array.type):
        return [None if data is None else ImageReference(data=data) for data in array.to_pylist()]
    return [reference(text) for text in array.to_pylist()]


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
    """A cell's value for a message: at most 40 characters, quoted."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…")
