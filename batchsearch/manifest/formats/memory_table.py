"""A table in memory as a manifest: an Arrow table, or what is one in a line, from Python."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import cell
from batchsearch.manifest.formats.arrow_files import sliced
from batchsearch.manifest.formats.table_file import EveryRow, UnreadableError, short
from batchsearch.manifest.formats.typed_columns import fitted_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.manifest.formats.table_file import Report, Wished


@dataclass(frozen=True, slots=True)
class GivenTable:
    """Stands where a file's path does.

    Attributes:
        name: What it is called in messages.
        rows: How many it has.
        content: What its rows come to, where that was found out.
    """

    name: str
    rows: int
    content: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def suffix(self) -> str:
        """As a file's: there is none."""
        return ""

    def identity(self) -> dict[str, Any]:
        """What it is, for a run's records."""
        return {"path": self.name, "rows": self.rows, "content": self.content}


class MemoryTable(EveryRow):
    """A table in memory."""

    def __init__(self, table: pa.Table, name: str = "the given table", content: str = "") -> None:
        """Takes a table; nothing is copied.

        Raises:
            ManifestError: It has a column name twice.
        """
        twice = sorted(each for each, count in Counter(table.schema.names).items() if count > 1)
        if twice:
            raise ManifestError.at(name, f"has the column {cell(twice[0])} twice; rename one")
        self.path = GivenTable(name, table.num_rows, content)
        self._table = table
        self.schema = pa.schema([(field.name, field.type) for field in table.schema])

    @property
    def rows(self) -> int:
        """See `TableFile.rows`."""
        return int(self._table.num_rows)

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        seen = 0
        try:
            for batch in self._table.to_batches():
                for piece in sliced(batch):
                    yield fitted_batch(piece, wished, report, seen)
                    seen += piece.num_rows
        except (pa.ArrowException, ValueError, KeyError) as error:
            raise UnreadableError(seen, f"cannot be read from here on: {short(error)}") from None
