"""Columns beside those of a file: what the folders above it say, and a number for each row.

Folders that say something are called `day=2026-11-01/part-0.parquet`, as table writers lay them out. Numbers
are for tables in which nothing names the rows, such as image data sets: the file and the row in it,
`train-0.parquet:17`. Both are text, as columns of CSV are. A column of that name in the file itself is
preferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote

import pyarrow as pa

from batchsearch.manifest.formats.table_file import Wished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.remote_file import ManifestPath

_NO_VALUE: Final = frozenset({"__HIVE_DEFAULT_PARTITION__", "__DEFAULT_PARTITION__"})

Cells: TypeAlias = "Callable[[range], Sequence[str | None]]"
"""The cells of a column, given the positions of rows in the file, from 0."""


def folder_columns(folders: Sequence[str]) -> dict[str, str | None]:
    """The columns that folders give, the innermost last, each with its value."""
    found: dict[str, str | None] = {}
    for folder in folders:
        name, given, value = folder.partition("=")
        if given and name.strip():
            text = unquote(value)
            found[unquote(name)] = None if text in _NO_VALUE else text
    return found


def in_folders(table: TableFile, columns: Mapping[str, str | None]) -> WithColumns:
    """A file with the columns that the folders above it give."""

    def cells(value: str | None) -> Cells:
        return lambda rows: [value] * len(rows)

    return WithColumns(table, {name: cells(value) for name, value in columns.items()})


def row_numbered(table: TableFile, column: str, folders: Sequence[str] = ()) -> WithColumns:
    """A file with its rows numbered.

    Args:
        table: The file.
        column: How the numbers are called.
        folders: Names of the folders between the one that was given and the file.
    """
    file = "/".join([*folders, table.path.name])
    return WithColumns(table, {column: lambda rows: [f"{file}:{row + 1}" for row in rows]})


class WithColumns:
    """A file with more columns, but for those that it has."""

    def __init__(self, table: TableFile, columns: Mapping[str, Cells]) -> None:
        """Adds columns of text to a file."""
        self._table = table
        there = frozenset(table.schema.names)
        self._columns = {name: cells for name, cells in columns.items() if name not in there}
        self.schema = pa.schema([*table.schema, *(pa.field(name, pa.string()) for name in self._columns)])

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
        seen = 0
        for piece in self._table.pieces(asked, report):
            there = dict(zip(piece.schema.names, piece.columns, strict=True))
            for each in wished:
                if each.name in self._columns:
                    cells = self._columns[each.name](range(seen, seen + piece.num_rows))
                    there[each.name] = pa.array(cells, pa.string()).cast(each.type)
            seen += piece.num_rows
            yield pa.record_batch([there[each.name] for each in wished], names=[each.name for each in wished])

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`."""
        return self._table.row_at(position)

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        return self._table.places(rows)
