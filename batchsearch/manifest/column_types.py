"""What a column may be: Arrow types as the manifest sees them, and columns to Python values (pure).

* A **key** column is text, whole numbers of any width, decimals whose cells have no fraction, UUIDs,
  true/false or dates. Fractions are refused: two programs may write one of them in two ways. So are times
  (units and zones make the same moment differ) and nested values.
* A **parameter** column is text, numbers, UUIDs or true/false.
* Bytes in either are text: some writers do not say so in the file.
* A **image** column is text (a path or a URL), bytes, or a struct of `bytes` and `path` as image data sets
  use it, where `bytes` wins.
* Any other column may be anything that can be carried into the results (see `carried`).

Each column has two types: the **normal** one, by which columns of several files agree and in which keys,
parameters and images are read, and the one in which it is carried.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.manifest.passthrough import passthrough_type, with_inner
from batchsearch.storage import arrow_functions as pc
from batchsearch.widening import is_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST_SHOWN: Final = 40
_DIGITS_OF_128_BITS: Final = 38
_IN_AN_ADDRESS: Final = re.compile(r"(://)(?:[^/?#\s\"]*@)?([^?#\s\"]*)(?:[?#][^\s\"]*)?")


def normal_type(kind: pa.DataType) -> pa.DataType:
    """The one type of each family, so that equal columns of two files agree.

    Text and bytes of any width are the plain ones, at any depth; a dictionary is its values; an extension
    type is what it is stored as, but for those inside nested types; a struct of `bytes` and `path` is
    exactly these two.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return kind if is_uuid(kind) else normal_type(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return normal_type(kind.value_type)
    if is_image_struct(kind):
        return image_struct(kind)
    return _narrow(kind)


def _narrow(kind: pa.DataType) -> pa.DataType:
    types = pa.types
    if types.is_dictionary(kind):
        return _narrow(kind.value_type)
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_large_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    return with_inner(passthrough_type(kind), _narrow)


def normalised(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    """An array as another type of its family, or as a wider one; an all-null one as any type.

    Raises:
        pyarrow.ArrowInvalid: A value does not fit.
    """
    if array.type == wanted or pa.types.is_null(array.type):
        return array if array.type == wanted else pa.nulls(len(array), wanted)
    if isinstance(wanted, pa.BaseExtensionType):
        return wanted.wrap_array(normalised(array, wanted.storage_type))
    if isinstance(array, pa.ExtensionArray):
        is_written = is_uuid(array.type) and pa.types.is_string(wanted)
        return uuid_texts(array) if is_written else normalised(array.storage, wanted)
    if pa.types.is_dictionary(array.type):
        return normalised(array.dictionary_decode(), wanted)
    if is_image_struct(array.type) and is_image_struct(wanted):
        parts = [normalised(pc.struct_field(array, field.name), field.type) for field in wanted]
        return pa.StructArray.from_arrays(parts, fields=list(wanted), mask=array.is_null())
    return array.cast(wanted)


def image_struct(kind: pa.DataType) -> pa.DataType:
    """A struct in which image data sets keep an image, without what is not of use here."""
    path = [("path", pa.string())] if has_path(kind) else []
    return pa.struct([("bytes", pa.binary()), *path])


def is_image_struct(kind: pa.DataType) -> bool:
    """Whether a type is the struct in which image data sets keep an image."""
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    data = normal_type(kind.field("bytes").type)
    path = normal_type(kind.field("path").type) if has_path(kind) else pa.string()
    is_data = pa.types.is_binary(data) or pa.types.is_null(data)
    return bool(is_data and (pa.types.is_string(path) or pa.types.is_null(path)))


def has_path(kind: pa.DataType) -> bool:
    """Whether an image struct carries a path beside its bytes."""
    return bool(kind.get_field_index("path") >= 0)


def key_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot name rows, or None."""
    types = pa.types
    fits = (types.is_string, types.is_integer, types.is_decimal, types.is_boolean, types.is_date)
    if any(fit(kind) for fit in (*fits, types.is_null, is_uuid)):
        return None
    if types.is_floating(kind):
        return f"is {kind}: a fraction cannot name a row; write it as text or as a whole number"
    return f"is {kind}; a column that names rows is text, a whole number, true/false or a date"


def parameter_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot be a parameter, or None."""
    types = pa.types
    fits = (types.is_string, types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    if any(fit(kind) for fit in (*fits, types.is_null, is_uuid)):
        return None
    return f"is {kind}; a parameter is text, a number or true/false"


def parameter_cells(array: pa.Array) -> pa.Array:
    """A parameter column as text, whole numbers, numbers or true/false, which is what parameters are.

    A decimal without fraction is a whole number, however large; a UUID is its usual text.
    """
    if is_uuid(array.type):
        return uuid_texts(array)
    if not pa.types.is_decimal(array.type):
        return array
    if fractions(array):
        return array.cast(pa.float64())
    whole = whole_numbers(array)
    try:
        return whole.cast(pa.int64())
    except pa.ArrowInvalid:
        return whole.cast(pa.string())


def fractions(array: pa.Array) -> list[int]:
    """Positions in a column that names rows whose cell has a fraction; only decimals can."""
    if not pa.types.is_decimal(array.type) or array.type.scale <= 0:
        return []
    return bad_cells(array, _whole_type(array.type))


def whole_numbers(array: pa.Array) -> pa.Array:
    """A column of decimals without fraction with no digits after the point."""
    return array.cast(_whole_type(array.type))


def _whole_type(kind: pa.DataType) -> pa.DataType:
    digits = kind.precision - kind.scale if kind.scale < 0 else kind.precision
    return pa.decimal128(digits, 0) if digits <= _DIGITS_OF_128_BITS else pa.decimal256(min(digits, 76), 0)


def uuid_texts(array: pa.Array) -> pa.Array:
    """UUIDs as people write them, in lower case."""
    cells = array.storage.cast(pa.binary()).to_pylist()
    texts = [None if data is None else data.hex() for data in cells]
    return pa.array(
        [
            None if text is None else f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
            for text in texts
        ],
        pa.string(),
    )


def image_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot hold images, or None."""
    types = pa.types
    if types.is_string(kind) or types.is_binary(kind) or types.is_null(kind) or is_image_struct(kind):
        return None
    return (
        f"is {kind}; an image is a path or URL (text), bytes, or a struct of `bytes` and `path`; "
        "`manifest.images` takes lists, and structs with an address"
    )


def image_lengths(array: pa.Array) -> pa.Array:
    """Bytes that each cell of an image column takes in memory, 0 for null."""
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
    # Nulls as an array: pyarrow 21 makes a broken array of a null scalar and a slice of texts.
    return pc.if_else(pa.array(mask), pa.nulls(len(array), array.type), array)


def bad_cells(array: pa.Array, wanted: pa.DataType) -> list[int]:
    """Positions in a column whose value does not fit into the wanted type."""

    # Halves that convert whole are not looked at cell by cell: a few bad cells are found quickly.
    def search(start: int, stop: int) -> list[int]:
        try:
            normalised(array.slice(start, stop - start), wanted)
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
