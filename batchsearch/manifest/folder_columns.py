"""Columns that stand in the names of folders, `day=2026-11-01/part-0.parquet`, as table writers lay them out.

They are text, as columns of CSV are, and the same in every row of a file. A column of that name in the file
itself is preferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import pyarrow as pa

from batchsearch.manifest.formats.table_file import Wished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.remote_file import ManifestPath

_NO_VALUE: Final = frozenset({"__HIVE_DEFAULT_PARTITION__", "__DEFAULT_PARTITION__"})


def folder_columns(folders: Sequence[str]) -> dict[str, str | None]:
    """The columns that folders give, the innermost last, each with its value."""
    found: dict[str, str | None] = {}
    for folder in folders:
        name, given, value = folder.partition("=")
        if given and name.strip():
            text = unquote(value)
            found[unquote(name)] = None if text in _NO_VALUE else text
    return found


class InFolders:
    """A file with the columns that the folders above it give."""

    def __init__(self, table: TableFile, columns: Mapping[str, str | None]) -> None:
        """Adds columns to a file, but for those that it has."""
        self._table = table
        there = frozenset(table.schema.names)
        self._columns = {name: value for name, value in columns.items() if name not in there}
        fields = [*table.schema, *(pa.field(name, pa.string()) for name in self._columns)]
        self.schema = pa.schema(fields)

    @property
    def path(self) -> ManifestPath | GivenTable:
        """See `TableFile.path`."""
        return self._table.path

    @property
    def rows(self) -> int | None:
        """See `TableFile.rows`."""
        return self._table.rows

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        given = [column for column in wished if column.name not in self._columns]
        # Without any column of its own a piece would not know how many rows it has.
        asked = given or [Wished(field.name, field.type) for field in list(self._table.schema)[:1]]
        for piece in self._table.pieces(asked, report):
            there = dict(zip(piece.schema.names, piece.columns, strict=True))
            arrays = [
                there[each.name] if each.name in there else self._cells(each, piece.num_rows)
                for each in wished
            ]
            yield pa.record_batch(arrays, names=[each.name for each in wished])

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`."""
        return self._table.row_at(position)

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        return self._table.places(rows)

    def _cells(self, column: Wished, rows: int) -> pa.Array:
        return pa.array([self._columns[column.name]] * rows, pa.string()).cast(column.type)
