"""Which columns of a table hold a product's images, and what is in their cells (pure).

A column may be text (one image, or several with something between them), bytes, a struct of `bytes` and
`path` or of an address (`src`, `url` …), or a list of any of these.
"""

from __future__ import annotations

import re
from fnmatch import translate
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.manifest.column_types import cell, has_path, is_image_struct, normal_type, normalised
from batchsearch.manifest.product_images.image_cells import ADDRESS_FIELDS, NONE, InlineImage, images_in
from batchsearch.nearest import did_you_mean
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from batchsearch.manifest.product_images.image_cells import Image

    BadCell = Callable[[int], None]

_RANGE: Final = re.compile(r"(.*?)(\d+)\.\.(.*?)(\d+)", re.DOTALL)
_MOST_IN_A_RANGE: Final = 1_000
_DIGITS: Final = re.compile(r"(\d+)")


def named_columns(wanted: Sequence[str], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The columns that names and patterns mean, in order and each once, and what is wrong with them.

    Args:
        wanted: A column's name; `image1..image5`, those of them that there are; or a pattern with `*`,
            whose columns are in the order of the numbers in their names.
        names: Columns that there are.
    """
    found: dict[str, None] = {}
    problems = []
    for text in wanted:
        meant = [text] if text in names else _in_range(text, names)
        if not meant and "*" in text:
            matches = re.compile(translate(text.replace("[", "[[]").replace("?", "[?]"))).match
            meant = sorted((name for name in names if matches(name)), key=_natural)
        if not meant:
            problems.append(f"has no column {cell(text)} (manifest.images){did_you_mean(text, names)}")
        found |= dict.fromkeys(meant)
    return list(found), problems


def _in_range(text: str, names: Sequence[str]) -> list[str]:
    parts = _RANGE.fullmatch(text)
    if parts is None or parts[1] != parts[3]:
        return []
    first, last = int(parts[2][:9]), int(parts[4][:9])
    wide = len(parts[2])
    numbers = range(first, min(last, first + _MOST_IN_A_RANGE) + 1)
    there = set(names)
    # `image01..image12` as well as `image1..image12`.
    return [name for number in numbers if (name := f"{parts[1]}{number:0{wide}d}") in there]


def _natural(name: str) -> list[Any]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(name) if part]


def type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot hold images, or None."""
    if _is_list(kind):
        return type_problem(normal_type(kind.value_type))
    types = pa.types
    if types.is_string(kind) or types.is_binary(kind) or types.is_null(kind) or is_image_struct(kind):
        return None
    if types.is_struct(kind):
        if _address_field(kind) is not None:
            return None
        return f"is {str(kind)[:80]}: none of its fields is an address ({', '.join(ADDRESS_FIELDS[:4])} …)"
    return (
        f"is {str(kind)[:80]}; images are paths or addresses (text), bytes, structs of `bytes` and `path` or "
        "of an address, or lists of these"
    )


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether images in a column of this type may be bytes."""
    if _is_list(kind):
        return holds_bytes(normal_type(kind.value_type))
    return bool(pa.types.is_binary(kind) or is_image_struct(kind))


def images_of(array: pa.Array, separator: str, bad: BadCell) -> list[list[Image]]:
    """The images in each cell of a column, in order.

    Args:
        array: Of a type that `type_problem` lets pass.
        separator: What stands between several images of one text (`image_cells.images_in`).
        bad: Told the position of a cell that cannot be read: it has no images then.
    """
    kind = normal_type(array.type)
    if _is_list(kind):
        return _of_lists(_plain_lists(array), separator, bad)
    if pa.types.is_null(kind):
        return [[] for _ in range(len(array))]
    array = normalised(array, kind)
    if is_image_struct(kind):
        return _of_structs(array, bad)
    if pa.types.is_struct(kind):
        name = _address_field(kind)
        return images_of(pc.struct_field(array, name), separator, bad)
    if pa.types.is_binary(kind):
        return [[InlineImage(data)] if data else [] for data in array.to_pylist()]
    return [list(images_in(text, separator)) for text in _texts(array, bad)]


def _of_lists(array: pa.Array, separator: str, bad: BadCell) -> list[list[Image]]:
    lengths = pc.list_value_length(array).fill_null(0).to_pylist()
    owner = [position for position, length in enumerate(lengths) for _ in range(length)]
    values = images_of(array.flatten(), separator, lambda position: bad(owner[position]))
    found: list[list[Image]] = [[] for _ in range(len(array))]
    for position, images in zip(owner, values, strict=True):
        found[position] += images
    return found


def _plain_lists(array: pa.Array) -> pa.Array:
    """A column of lists as one of Arrow's plain kinds, whose `flatten` leaves out what a null hides."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    types = pa.types
    if types.is_list(array.type) or types.is_large_list(array.type) or types.is_fixed_size_list(array.type):
        return array
    return pa.array(array.to_pylist(), pa.list_(array.type.value_type))


def _of_structs(array: pa.Array, bad: BadCell) -> list[list[Image]]:
    given = pc.struct_field(array, "bytes").to_pylist()
    if not has_path(array.type):
        return [[] if data is None else [InlineImage(data)] for data in given]
    paths = _texts(pc.struct_field(array, "path"), bad)
    found: list[list[Image]] = []
    for data, path in zip(given, paths, strict=True):
        found.append([InlineImage(data, path)] if data is not None else list(images_in(path, NONE)))
    return found


def _texts(array: pa.Array, bad: BadCell) -> list[str | None]:
    try:
        found: list[str | None] = array.to_pylist()
    except UnicodeDecodeError:
        found = []
        for position, data in enumerate(array.cast(pa.binary()).to_pylist()):
            try:
                found.append(None if data is None else data.decode())
            except UnicodeDecodeError:
                bad(position)
                found.append(None)
    return found


def image_array(images: Iterable[Image | None], *, has_bytes: bool) -> pa.Array:
    """A column with one image in each row: text, or a struct of `bytes` and `path` where some are bytes."""
    if not has_bytes:
        return pa.array(images, pa.string())
    held = list(images)
    data = pa.array([each.data if isinstance(each, InlineImage) else None for each in held], pa.binary())
    path = pa.array([each.path if isinstance(each, InlineImage) else each for each in held], pa.string())
    return pa.StructArray.from_arrays([data, path], fields=list(image_type(has_bytes=True)))


def image_type(*, has_bytes: bool) -> pa.DataType:
    """The type of `image_array`."""
    return pa.struct([("bytes", pa.binary()), ("path", pa.string())]) if has_bytes else pa.string()


def _address_field(kind: pa.DataType) -> str | None:
    """The field of a struct that holds an image's address; None where it has none."""
    by_name = {field.name.casefold(): field for field in kind}
    for name in ADDRESS_FIELDS:
        field = by_name.get(name.casefold())
        if field is not None and pa.types.is_string(normal_type(field.type)):
            return str(field.name)
    return None


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )
