"""An export as a spreadsheet: headings that stay, cells that are what they say, links that can be followed.

Rows go to disk as they come (XlsxWriter's `constant_memory`). No cell is ever a formula: text is written as
text, and text that would become a formula when somebody edits it carries Excel's own sign for text.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from batchsearch.errors import ConfigError, MissingExtraError, OutputError
from batchsearch.pages.spreadsheet_cells import MOST_CHARACTERS, is_dangerous, plain, writable
from batchsearch.tasks.export.table_batches import values

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

MOST_ROWS: Final = 1_048_575
"""Rows of one sheet, under its headings."""
MOST_COLUMNS: Final = 16_384
MOST_LINKS: Final = 65_530
"""Links of one sheet; Excel takes a file with more for damaged."""
MOST_ADDRESS: Final = 2_079
"""Characters of a link."""
_MOST_DIGITS: Final = 10**15
"""Excel keeps fifteen digits of a number; longer ones are written as text."""
_WIDTHS_BY: Final = 1_000
"""Rows whose cells decide how wide a column is."""
_NARROWEST, _WIDEST = 8, 60
_FIRST_YEAR: Final = 1900
_COLUMNS_SHEET: Final = "columns"


def library() -> Any:
    """The package that writes spreadsheets.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import xlsxwriter
    except ImportError as error:
        raise MissingExtraError("xlsx", "export --xlsx") from error
    return xlsxwriter


class XlsxFile:
    """Writes rows as a spreadsheet; where one sheet is full, another one follows.

    Args:
        path: Where it is written.
        room: A folder for what is needed meanwhile.
        schema: Its columns.
        name: What its sheets are called.
        most_rows: Rows of one sheet.

    Attributes:
        rows: How many were written.

    Raises:
        MissingExtraError: The package for it is not installed.
        ConfigError: It has more columns than a sheet can have.
    """

    def __init__(
        self, path: Path, room: Path, schema: pa.Schema, name: str, *, most_rows: int = MOST_ROWS
    ) -> None:
        if len(schema) > MOST_COLUMNS:
            raise ConfigError(
                f"the table has {len(schema):,} columns; Excel takes {MOST_COLUMNS:,}: use --csv or --parquet"
            )
        settings = {
            "constant_memory": True,
            "tmpdir": str(room),
            "strings_to_numbers": False,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": False,
        }
        self._book = library().Workbook(str(path), settings)
        self._schema = schema
        self._name = name
        self._most_rows = most_rows
        self._bold = self._book.add_format({"bold": True, "bottom": 1})
        self._bold_guarded = self._book.add_format({"bold": True, "bottom": 1, "quote_prefix": True})
        self._guarded = self._book.add_format({"quote_prefix": True})
        self._moment = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self.rows = 0
        self._sheets = 0
        self._cut = 0
        self._unlinked = 0
        self._begin_sheet()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet = self._book.add_worksheet(name)
        self._row = 0
        self._links = 0
        self._widths = [len(heading) + 2 for heading in self._schema.names]
        for column, heading in enumerate(self._schema.names):
            look = self._bold_guarded if is_dangerous(heading) else self._bold
            self._sheet.write_string(0, column, writable(heading), look)
        self._sheet.freeze_panes(1, 0)

    def _end_sheet(self) -> None:
        for column, width in enumerate(self._widths):
            self._sheet.set_column(column, column, min(max(width, _NARROWEST), _WIDEST))
        self._sheet.autofilter(0, 0, self._row, max(0, len(self._schema) - 1))

    def add(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        for row in zip(*map(values, batch.columns), strict=True):
            if self._row >= self._most_rows:
                self._end_sheet()
                self._begin_sheet()
            self._row += 1
            self.rows += 1
            for column, value in enumerate(row):
                self._write(column, plain(value))

    def _write(self, column: int, value: Any) -> None:
        sheet, row = self._sheet, self._row
        if value is None:
            return
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value)
        elif isinstance(value, int | float) and abs(value) < _MOST_DIGITS:
            sheet.write_number(row, column, value)
            value = f"{value:.10g}"
        elif isinstance(value, datetime) and value.year >= _FIRST_YEAR:
            sheet.write_datetime(row, column, value, self._moment)
        elif type(value) is date and value.year >= _FIRST_YEAR:
            sheet.write_datetime(row, column, value, self._day)
        else:
            self._write_text(column, str(value))
        if row <= _WIDTHS_BY:
            longest = max((len(line) for line in str(value).splitlines()), default=0)
            self._widths[column] = max(self._widths[column], longest + 1)

    def _write_text(self, column: int, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            text = text[: MOST_CHARACTERS - 1] + "…"
            self._cut += 1
        if _is_link(text):
            if self._links < MOST_LINKS:
                self._links += 1
                self._sheet.write_url(self._row, column, text, string=text)
                return
            self._unlinked += 1
        self._sheet.write_string(self._row, column, text, self._guarded if is_dangerous(text) else None)

    def finish(self) -> list[str]:
        """Write the file; what there is to say of it.

        Raises:
            OSError: The disk refuses.
            OutputError: It is too large for a spreadsheet.
        """
        self._end_sheet()
        self._explain_columns()
        errors = library().exceptions
        try:
            self._book.close()
        except errors.FileSizeError as error:
            raise OutputError(
                "a spreadsheet of more than 4 GB cannot be made: use --csv or --parquet"
            ) from error
        except errors.FileCreateError as error:
            raise OSError(*(error.args[0].args if error.args else ("cannot be written",))) from error
        return self._notes()

    def _notes(self) -> list[str]:
        notes = []
        if self._sheets > 1:
            notes.append(
                f"{self.rows:,} rows are more than the {self._most_rows:,} that one sheet of Excel holds: "
                f"they are on {self._sheets} sheets, `{self._name}` to `{self._name} {self._sheets}`"
            )
        if self._cut:
            notes.append(
                f"{self._cut:,} cells are longer than the {MOST_CHARACTERS:,} characters that Excel holds "
                "and end with `…`; --csv and --parquet have them whole"
            )
        if self._unlinked:
            notes.append(
                f"{self._unlinked:,} addresses are plain text: Excel holds {MOST_LINKS:,} links a sheet"
            )
        return notes

    def _explain_columns(self) -> None:
        """A last sheet that says what each column means."""
        sheet = self._book.add_worksheet(_COLUMNS_SHEET)
        for place, heading in enumerate(("column", "meaning")):
            sheet.write_string(0, place, heading, self._bold)
        for row, field in enumerate(self._schema, 1):
            meaning = (field.metadata or {}).get(b"description", b"").decode("utf-8", "replace")
            sheet.write_string(
                row, 0, writable(field.name), self._guarded if is_dangerous(field.name) else None
            )
            sheet.write_string(row, 1, writable(meaning))
        sheet.set_column(0, 0, 28)
        sheet.set_column(1, 1, 100)
        sheet.freeze_panes(1, 0)


def _is_link(text: str) -> bool:
    """Whether a whole cell is an address of the web that Excel can follow."""
    if len(text) > MOST_ADDRESS or not text.isprintable() or text[:8].lower().partition("://")[1] != "://":
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and " " not in text
