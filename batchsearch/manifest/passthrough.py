"""What of a manifest goes into the results: types that outlast the way, cells that give nothing away (pure).

A column comes out with the type that it has in the manifest, but for dictionaries: the ledger keeps rows one
by one, where a dictionary is lost, so that a column with one, at any depth, is carried as its values. A type
that Parquet cannot hold is refused before any call.

Cells of image columns are carried as anybody may see them:

* inline bytes never; of a struct of `bytes` and `path` the path alone;
* a `data:` URL and base64 text are the image itself: their kind and length stand in for them;
* an address loses its user part, its query and its fragment, which may hold a password or a signature; a
  text that `images.base_url` makes one, or that lacks its scheme, is an address as well.

All other columns are the user's own and carried as they are. So are columns that name rows: an image column
among them that holds what may not be shown is refused.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.config.image_texts import DATA_URL, NOT_SHOWN, NOT_SHOWN_BELOW, SIGNED, WITH_USER, shown
from batchsearch.manifest.formats.table_file import short
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.image_texts import TextKind

_NEVER_NAMES: Final = (
    (DATA_URL, "holds an image (a `data:` URL), which cannot name a row"),
    (
        WITH_USER,
        "holds an address with a user part (`user:password@`), which would be in the results; leave it out",
    ),
    (
        SIGNED,
        "holds a signed address, whose signature would be in the results; name rows by another column",
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


def shown_cells(array: pa.Array, kind: TextKind) -> pa.Array:
    """The text cells of an image column as anybody may see them.

    Args:
        array: Text, or nulls alone.
        kind: What a text without a scheme is.
    """
    if not pa.types.is_string(array.type):
        return array
    if kind != "base64":
        pattern = NOT_SHOWN_BELOW if kind == "address" else NOT_SHOWN
        if not pc.any(pc.match_substring_regex(array, pattern)).as_py():
            return array
    return pa.array([text if text is None else shown(text, kind) for text in array.to_pylist()], pa.string())


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
