"""Columns that once had other names: tables that have these still are read under today's (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_RENAMED: Final = {
    b"pairs": {"pictures": "images"},
    b"clusters": {"pictures": "images"},
}
"""The present name of each column, by the table's name and the column's up to schema version 2."""


def names_of_today(schema: pa.Schema) -> dict[str, str]:
    """What each column of a file is called today, by its name in the file, in the file's order.

    Columns of other tables keep their names: `results` holds those of the manifest, whatever they are called.
    """
    renamed = _RENAMED.get((schema.metadata or {}).get(b"batchsearch.table", b""), {})
    return {name: renamed.get(name, name) for name in schema.names}
