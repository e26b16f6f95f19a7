"""An export as CSV: UTF-8 with the mark by which Excel knows it, quoted where a cell needs it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.pages.spreadsheet_cells import SUSPECT, csv_text
from batchsearch.tasks.export.table_batches import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MARK: Final = b"\xef\xbb\xbf"
EXCEL_LINES: Final = 1_048_576
"""Lines of a file that Excel shows, the headings' among them."""


class CsvFile:
    """Writes rows as CSV.

    Args:
        write: Takes bytes.
        schema: Its columns.
        separator: Stands between cells.

    Attributes:
        rows: How many were written.
    """

    def __init__(self, write: Callable[[bytes], object], schema: pa.Schema, separator: str = ",") -> None:
        self._write = write
        self._separator = separator
        self.rows = 0
        self._write(MARK)
        self._lines([[csv_text(name) for name in schema.names]])

    def add(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        self._lines(zip(*map(cells, batch.columns), strict=True))
        self.rows += len(batch)

    def _lines(self, rows: Iterable[Sequence[str]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._separator).writerows(rows)
        self._write(text.getvalue().encode("utf-8", "replace"))

    def finish(self) -> list[str]:
        """Nothing more comes; what there is to say of the file."""
        if self.rows >= EXCEL_LINES:
            note = f"{self.rows:,} rows: Excel shows the first {EXCEL_LINES - 1:,} of a CSV file"
            return [f"{note}; --xlsx writes them on several sheets"]
        return []


def cells(column: pa.Array) -> list[str]:
    """A column as the texts of its cells: `csv_text` of each, found out for a whole column at a time."""
    if column.null_count == len(column):
        return [""] * len(column)
    if not pa.types.is_string(column.type):
        return [csv_text(value) for value in values(column)]
    texts: list[str] = column.fill_null("").to_pylist()
    for place in np.flatnonzero(pc.match_substring_regex(column.fill_null(""), SUSPECT)):
        texts[place] = csv_text(texts[place])
    return texts
