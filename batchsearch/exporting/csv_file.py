"""An export as CSV: UTF-8 with the mark by which Excel knows it, quoted where a cell needs it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from batchsearch.exporting.cells import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

MARK: Final = b"\xef\xbb\xbf"
SEPARATORS: Final = {",": ",", ";": ";", "tab": "\t"}
"""What may stand between cells, by what it is called on the command line."""
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
        self._lines([schema.names])

    def add(self, columns: list[list[object]]) -> None:
        """Write some rows.

        Args:
            columns: Their values, column by column.
        """
        rows = list(zip(*columns, strict=True))
        self._lines(rows)
        self.rows += len(rows)

    def _lines(self, rows: list[list[str]] | list[tuple[object, ...]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self._separator)
        writer.writerows([csv_text(value) for value in row] for row in rows)
        self._write(text.getvalue().encode("utf-8", "replace"))

    def finish(self) -> list[str]:
        """Nothing more comes; what there is to say of the file."""
        if self.rows >= EXCEL_LINES:
            note = (
                f"{self.rows:,} rows: Excel shows the first {EXCEL_LINES - 1:,} of a CSV file; --xlsx writes"
            )
            return [f"{note} them on several sheets"]
        return []
