"""A column that numbers rows, for tables in which nothing names them, such as image data sets.

It says the file and the row in it, `train-0.parquet:17`. A column of that name in the table is preferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from batchsearch.manifest.formats.table_file import Wished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.remote_file import ManifestPath


class Numbered:
    """A file with its rows numbered."""

    def __init__(self, table: TableFile, column: str, folders: Sequence[str] = ()) -> None:
        """Adds the column.

        Args:
            table: The file, which has no column of that name.
            column: How it is called.
            folders: Names of the folders between the one that was given and the file.
        """
        self._table = table
        self._column = column
        self._file = "/".join([*folders, table.path.name])
        self.schema = pa.schema([*table.schema, pa.field(column, pa.string())])

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
        given = [column for column in wished if column.name != self._column]
        # Without any column of its own a piece would not know how many rows it has.
        asked = given or [Wished(field.name, field.type) for field in list(self._table.schema)[:1]]
        seen = 0
        for piece in self._table.pieces(asked, report):
            there = dict(zip(piece.schema.names, piece.columns, strict=True))
            if len(given) < len(wished):
                numbers = range(seen + 1, seen + piece.num_rows + 1)
                there[self._column] = pa.array([f"{self._file}:{number}" for number in numbers], pa.string())
            seen += piece.num_rows
            arrays = [
                there[each.name].cast(each.type) if each.name == self._column else there[each.name]
                for each in wished
            ]
            yield pa.record_batch(arrays, names=[each.name for each in wished])

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`."""
        return self._table.row_at(position)

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        return self._table.places(rows)
