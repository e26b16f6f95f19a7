"""CSV files as record batches: every column is text unless a type is declared, so no leading zero is lost.

Quotes, embedded line ends, encodings and null texts are read by Arrow, streamed block by block. Rows are
numbered from 1 without the header and without blank lines; the line is looked up for messages only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.column_types import bad_cells, bad_text, cell, without
from batchsearch.manifest.formats.csv_quotes import MisquotedError
from batchsearch.manifest.formats.csv_text import CsvText
from batchsearch.manifest.formats.table_file import EveryRow, UnreadableError, short
from batchsearch.manifest.formats.unpacked import CutError
from batchsearch.manifest.remote_file import LostError
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.config.sections.manifest_settings import CsvSettings
    from batchsearch.manifest.formats.table_file import Report, Wished
    from batchsearch.manifest.remote_file import ManifestPath

TYPES: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
"""Column types by the names of job files."""

_WRITTEN: Final = {
    "int64": "a whole number",
    "double": "a number",
    "bool": "true or false",
    "date32[day]": "a date like 2026-11-21",
    "timestamp[us]": "a time like 2026-11-21 03:41:44 (no zone)",
}

_BLOCKS: Final = (128 * 1024, 1024 * 1024, 8 * 1024 * 1024)
"""What is parsed at a time, and so the longest row, bytes. Arrow reads some 35 blocks ahead, so the next
larger one is used only once a row does not fit; an image of 4 MiB as a data URL fits into the largest."""

_STRADDLING: Final = "straddl"  # in Arrow's message about a row longer than a block
_MOST_RAGGED: Final = 1_000


class CsvFile(EveryRow):
    """One CSV file, its header read."""

    def __init__(self, path: ManifestPath, settings: CsvSettings) -> None:
        """Reads the header.

        Raises:
            ManifestError: The file cannot be opened or decoded, has no header or a name twice in it, or a
                type is declared for a column that is not there.
        """
        self.path = path
        self._settings = settings
        self._text = CsvText(path, settings)
        self._ragged: list[tuple[int, str]] = []
        self._inside_quotes = False
        names = self._text.header()
        self._names = list(names)
        while names and not names[-1].strip():
            names.pop()  # Spreadsheets write the empty columns beside a table, too.
        if not names:
            raise ManifestError.at(path, "names no column in its first line")
        problems = [
            f"has the column {cell(name)} twice; rename one"
            for name, count in sorted(Counter(names).items())
            if count > 1
        ]
        if problems:
            raise ManifestError([Problem(str(path), problem) for problem in problems])
        self.schema = pa.schema([(name, TYPES[settings.types.get(name, "string")]) for name in names])

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        self._ragged = []
        told = seen = 0
        batches = self._batches(wished)
        while True:
            unreadable = None
            try:
                batch = next(batches, None)
            except UnicodeDecodeError:
                unreadable = self._text.undecodable()
            except MisquotedError as error:
                raise UnreadableError(self._text.misquoted(), self._misquoted(error)) from None
            except (pa.ArrowException, KeyError, OSError) as error:
                unreadable = self._unparsable(error)
            for row, what in self._ragged[told:]:
                report(row, what)
                told += 1
            if unreadable is not None:
                raise UnreadableError(self.row_at(seen), unreadable)
            if batch is None:
                break
            yield self._typed(batch, wished, report, seen)
            seen += batch.num_rows
        if self._inside_quotes:
            what = "a quote in this row is never closed, so that all that follows is taken for one text"
            raise UnreadableError(self.row_at(max(seen - 1, 0)), what)

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`: ragged rows are left out of the pieces."""
        ragged = [row for row, _ in self._ragged]
        row = position
        while row != (moved := position + bisect_right(ragged, row)):
            row = moved
        return row

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`; reads the file up to the last of the rows to find their lines."""
        lines = self._text.lines(rows) if rows else {}
        return {row: f"row {row + 1}" + (f" (line {lines[row]})" if row in lines else "") for row in rows}

    def _batches(self, wished: Sequence[Wished]) -> Iterator[pa.RecordBatch]:
        """The rows as bytes.

        Read strictly in small blocks, and again more patiently from the row at which that fails: in larger
        blocks where a row is long, leaving out ragged rows where one is.
        """
        given = 0
        block, leave_out = _BLOCKS[0], False
        while True:
            passed = 0
            try:
                for batch in self._blocks(wished, block, leave_out=leave_out):
                    fresh = batch.slice(max(0, given - passed))
                    passed += batch.num_rows
                    if fresh.num_rows:
                        given += fresh.num_rows
                        yield fresh
            except pa.ArrowInvalid as error:
                if _STRADDLING in str(error) and block < _BLOCKS[-1]:
                    block = next(larger for larger in _BLOCKS if larger > block)
                elif _STRADDLING not in str(error) and not leave_out:
                    leave_out = True
                else:
                    raise
            else:
                return

    def _blocks(self, wished: Sequence[Wished], block: int, *, leave_out: bool) -> Iterator[pa.RecordBatch]:
        self._ragged = []
        self._inside_quotes = False
        numbers = {name: str(place) for place, name in enumerate(self._names)}
        unnamed = map(str, range(len(self.schema), len(self._names)))
        read = [*(numbers[column.name] for column in wished), *unnamed]
        # Arrow shows a ragged row to its handler as text, and prints an error if it is none.
        with self._text.stream(mended=leave_out) as stream:
            try:
                reader = pacsv.open_csv(
                    stream,
                    # Fields by number: names may be given twice or be empty where no one asks for them.
                    read_options=pacsv.ReadOptions(
                        use_threads=False,
                        block_size=block,
                        column_names=[str(place) for place in range(len(self._names))],
                    ),
                    parse_options=pacsv.ParseOptions(
                        delimiter=self._settings.delimiter,
                        quote_char=self._settings.quote,
                        escape_char=self._settings.escape or False,
                        newlines_in_values=True,
                        invalid_row_handler=self._note_ragged if leave_out else None,
                    ),
                    # Bytes, not text: a cell that is no UTF-8 is then reported by its row, and all of them.
                    convert_options=pacsv.ConvertOptions(
                        include_columns=read,
                        column_types=dict.fromkeys(read, pa.binary()),
                        null_values=list(self._settings.null_values),
                        strings_can_be_null=bool(self._settings.null_values),
                        quoted_strings_can_be_null=False,
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV file" in str(error):
                    return
                raise
            names_follow = not self._settings.header
            with reader:
                for batch in reader:
                    yield batch.slice(1) if names_follow and batch.num_rows else batch
                    names_follow = names_follow and not batch.num_rows
            self._inside_quotes = stream.ends_inside_quotes

    def _note_ragged(self, row: pacsv.InvalidRow) -> str:
        """Called from Arrow's thread, blocks ahead of the rows: noted here, reported by `pieces`."""
        if len(self._ragged) >= _MOST_RAGGED:
            return "error"
        # Arrow counts from 1, the names as well.
        self._ragged.append((row.number - (1 if self._settings.header else 2), _ragged(row)))
        return "skip"

    def _typed(
        self, batch: pa.RecordBatch, wished: Sequence[Wished], report: Report, seen: int
    ) -> pa.RecordBatch:
        arrays = []
        columns = batch.columns
        for place, unnamed in enumerate(columns[len(wished) :], start=len(self.schema) + 1):
            filled = pc.fill_null(pc.greater(pc.binary_length(unnamed), 0), fill_value=False)
            for index in pc.indices_nonzero(filled).to_pylist():
                text = cell((unnamed[index].as_py() or b"").decode(errors="replace"))
                what = (
                    f"has {text} in field {place}, which the header does not name; name it or empty the cell"
                )
                report(self.row_at(seen + index), what)
        for column, raw in zip(wished, columns, strict=False):
            array = raw
            try:
                array = array.cast(pa.string())
            except pa.ArrowInvalid:
                bad = bad_text(array)
                for index in bad:
                    what = (
                        f"column `{column.name}` is not {self._text.codec} text; set "
                        "`manifest.csv.encoding`, such as cp1252 or gb18030"
                    )
                    report(self.row_at(seen + index), what)
                array = without(array, bad).cast(pa.string())
            if column.type != array.type:
                array = self._converted(array, column, report, seen)
            arrays.append(array)
        return pa.record_batch(arrays, names=[column.name for column in wished])

    def _converted(self, array: pa.Array, column: Wished, report: Report, seen: int) -> pa.Array:
        try:
            return array.cast(column.type)
        except pa.ArrowInvalid:
            bad = bad_cells(array, column.type)
        for index in bad:
            wanted = _WRITTEN.get(str(column.type), str(column.type))
            what = f"{cell(array[index].as_py())} in `{column.name}` is not {wanted}"
            report(self.row_at(seen + index), what)
        return without(array, bad).cast(column.type)

    def _misquoted(self, error: MisquotedError) -> str:
        quote = self._settings.quote
        what = f"a text in {quote} quotes {quote} goes on after the quote that closes it"
        if error.looks_escaped and self._settings.escape is None:
            return (
                f"{what}; if a backslash stands before quotes that belong to the text, set "
                "`manifest.csv.escape: '\\'`"
            )
        return f"{what}; a quote that belongs to the text is written twice"

    def _unparsable(self, error: Exception) -> str:
        if isinstance(error, LostError | CutError):
            return str(error.strerror)
        if _STRADDLING in str(error):
            mebibytes = _BLOCKS[-1] // 2**20
            return f"a row from here on is longer than {mebibytes} MiB; look for a quote that is never closed"
        if len(self._ragged) >= _MOST_RAGGED:
            return (
                f"{_MOST_RAGGED:,} rows have other fields than the header; is `manifest.csv.delimiter` right?"
            )
        # Arrow's text would repeat the row.
        return f"cannot be read from here on: {short(error).split(':')[0][:80]}"


def _ragged(row: pacsv.InvalidRow) -> str:
    """What to say of a row that has more or fewer fields than the header."""
    if row.text is not None and row.actual_columns == 1:
        if row.text and not row.text.strip("\0"):
            return "is nothing but NUL bytes: the file was not written to its end; write it anew"
        if row.text.strip() == "\x1a":
            return "is the end-of-file mark of DOS (Ctrl-Z); remove it"
        if not row.text.strip():
            return "is a line of blanks; remove it"
    return (
        f"has {row.actual_columns} fields, the header has {row.expected_columns}; look for a missing quote "
        "or a delimiter in a text"
    )
