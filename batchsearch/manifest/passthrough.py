"""What of a manifest goes into the results: types that outlast the way, cells that give nothing away (pure).

A column comes out with the type that it has in the manifest, but for dictionaries: the ledger keeps rows one
by one, where a dictionary is lost, so that a column with one, at any depth, is carried as its values. A type
that Parquet cannot hold is refused before any call.

Cells of image columns are carried as anybody may see them:

* inline bytes never; of a struct of `bytes` and `path` the path alone;
* a `data:` URL and base64 text are the image itself: their kind and length stand in for them;
* an address loses its user part, its query and its fragment, which may hold a password or a signature.

All other columns are the user's own and carried as they are. So are columns that name rows: an image column
among them that holds what may not be shown is refused.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.manifest.formats.table_file import short
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable

# Stray characters before an address, a space of any kind or a quote, do not hide what is in it.
_STRAY: Final = r"[^0-9A-Za-z./_~\\-]*"
_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*://"
_DATA: Final = rf"^{_STRAY}(?i:data):"
_CHANGED: Final = rf"{_DATA}|^{_STRAY}{_SCHEME}(?:[^/?#]*@|[^?#]*[?#])"
_DATA_URL: Final = re.compile(_DATA)
_ADDRESS: Final = re.compile(rf"{_STRAY}({_SCHEME})(?:[^/?#]*@)?([^?#]*)")
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}(?=[;,])")

_NEVER_NAMES: Final = (
    (_DATA, "holds an image (a `data:` URL), which cannot name a row"),
    (
        rf"^{_STRAY}{_SCHEME}[^/?#]*@",
        "holds an address with a user part (`user:password@`), which would be in the results; leave it out",
    ),
)
"""Cells of an image column that cannot name a row, and why: a key is never altered."""


def passthrough_type(kind: pa.DataType) -> pa.DataType:
    """The type in the results of a column of this type: the same, dictionaries replaced by their values.

    But for list views of dictionaries, which Arrow cannot convert: `passthrough_type_problem` refuses them.
    """
    if pa.types.is_dictionary(kind):
        return passthrough_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        storage = passthrough_type(kind.storage_type)
        return kind if storage == kind.storage_type else storage
    return with_inner(kind, passthrough_type)


def with_inner(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """A struct, map or list with the types in it changed; any other type as it is."""
    types = pa.types

    def inner(field: pa.Field) -> pa.Field:
        return field.with_type(change(field.type))

    if types.is_struct(kind):
        changed = pa.struct([inner(field) for field in kind])
    elif types.is_map(kind):
        changed = pa.map_(inner(kind.key_field), inner(kind.item_field), keys_sorted=kind.keys_sorted)
    elif types.is_fixed_size_list(kind):
        changed = pa.list_(inner(kind.value_field), kind.list_size)
    elif types.is_list(kind):
        changed = pa.list_(inner(kind.value_field))
    elif types.is_large_list(kind):
        changed = pa.large_list(inner(kind.value_field))
    else:
        changed = kind
    return kind if changed == kind else changed


def passthrough_type_problem(kind: pa.DataType) -> str | None:
    """Why a column of this type cannot be carried into the results, or None.

    Asks Arrow and Parquet themselves, with one row that goes the whole way: out of its batch, through the
    ledger's form, into a Parquet file.
    """
    schema = pa.schema([("column", kind)])
    try:
        row = pa.record_batch([pa.nulls(2, kind)], schema=schema).slice(1, 1)
        kept = pa.ipc.read_record_batch(row.serialize(), schema)
        with pq.ParquetWriter(io.BytesIO(), schema) as writer:
            writer.write_batch(kept)
    except (pa.ArrowException, NotImplementedError, ValueError, TypeError, KeyError) as error:
        return f"is {str(kind)[:80]}, which cannot be carried into the results ({short(error)[:80]})"
    return None


def shown(text: str) -> str:
    """A text cell of an image column as anybody may see it.

    A `data:` URL becomes its media type and length, an address loses user part, query and fragment; a path
    stays as it is, question marks included.
    """
    if (data := _DATA_URL.match(text)) is not None:
        media = _MEDIA_TYPE.match(text, data.end())
        return f"data:{media[0] if media else ''} ({len(text):,} characters)"
    if re.match(_CHANGED, text) and (address := _ADDRESS.match(text)) is not None:
        return f"{address[1]}{address[2]}"
    return text


def shown_cells(array: pa.Array, *, is_base64: bool) -> pa.Array:
    """The text cells of an image column as anybody may see them.

    Args:
        array: Text, or nulls alone.
        is_base64: What is no address is an image in base64.
    """
    if not pa.types.is_string(array.type):
        return array
    if is_base64:
        return pa.array([_without_base64(text) for text in array.to_pylist()], pa.string())
    changed = pc.match_substring_regex(array, _CHANGED)
    if not pc.any(changed).as_py():
        return array
    return pa.array([text if text is None else shown(text) for text in array.to_pylist()], pa.string())


def _without_base64(text: str | None) -> str | None:
    if not text:
        return text
    said = shown(text)
    return said if said != text or _ADDRESS.match(text) else f"base64 ({len(text):,} characters)"


def never_names(array: pa.Array) -> list[tuple[int, str]]:
    """Cells of an image column that cannot name their row, by position, and why."""
    if not pa.types.is_string(array.type):
        return []
    return [
        (position, why)
        for pattern, why in _NEVER_NAMES
        for position in pc.indices_nonzero(
            pc.match_substring_regex(array, pattern).fill_null(fill_value=False)
        ).to_pylist()
    ]
