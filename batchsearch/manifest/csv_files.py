"""CSV files as record batches: every column is text unless a type is declared, so no leading zero is lost.

Quotes, embedded line ends, encodings and null texts are read by Arrow, streamed block by block. Rows are
numbered from 1 without the header and without blank lines; the line is looked up for messages only.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from batchsearch.config.nearest import did_you_mean
from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.columns import bad_cells, bad_text, cell, without
from batchsearch.manifest.table_file import UnreadableError, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.config.model import CsvSettings
    from batchsearch.manifest.table_file import Report, Wished

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
    "float64": "a number",
    "bool": "true or false",
    "date32[day]": "a date like 2026-11-21",
    "timestamp[us]": "a time like 2026-11-21 03:41:44 (no zone)",
}

_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""What is parsed at a time, and so the longest row: a picture of 4 MiB as a data URL fits."""
_LONGEST_HEADER: Final = 1024 * 1024
_MOST_RAGGED: Final = 1_000


class CsvFile:
    """One CSV file, its header read."""

    def __init__(self, path: Path, settings: CsvSettings) -> None:
        """Reads the header.

        Raises:
            ManifestError: The file cannot be opened or decoded, has no header or a name twice in it.
        """
        self.path = path
        self._settings = settings
        self._codec = codecs.lookup(settings.encoding).name
        self._ragged: list[tuple[int, str]] = []
        names = self._header()
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ManifestError([Problem(str(path), f"has the column {cell(twice[0])} twice; rename one")])
        self._problems_with_types(names)
        self.schema = pa.schema(
            [(name, TYPES[settings.types.get(name, "string")]) for name in names],
        )

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        self._ragged = []
        told = seen = 0
        batches = self._batches(wished)
        while True:
            try:
                batch = next(batches, None)
            except UnicodeDecodeError as error:
                raise UnreadableError(self.row_at(seen), self._undecodable(error)) from None
            except (pa.ArrowException, KeyError, OSError) as error:
                raise UnreadableError(self.row_at(seen), self._unparsable(error)) from None
            for row, what in self._ragged[told:]:
                report(row, what)
                told += 1
            if batch is None:
                return
            yield self._typed(batch, wished, report, seen)
            seen += batch.num_rows

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`: ragged rows are left out of the pieces."""
        ragged = [row for row, _ in self._ragged]
        row = position
        while row != (moved := position + bisect_right(ragged, row)):
            row = moved
        return row

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`; reads the file up to the last of the rows to find their lines."""
        lines = self._lines(rows) if rows else {}
        return {row: f"row {row + 1}" + (f" (line {lines[row]})" if row in lines else "") for row in rows}

    def _problems_with_types(self, names: Sequence[str]) -> None:
        unknown = [name for name in self._settings.types if name not in names]
        if unknown:
            raise ManifestError(
                [
                    Problem(
                        str(self.path),
                        f"has no column {cell(name)} (manifest.csv.types){did_you_mean(name, names)}",
                    )
                    for name in unknown
                ]
            )

    def _header(self) -> list[str]:
        try:
            with self._text() as file:
                beginning = io.StringIO(file.read(_LONGEST_HEADER), newline="")
                names = next((record for record in self._records(beginning) if record), None)
        except UnicodeDecodeError as error:
            raise ManifestError([Problem(str(self.path), self._undecodable(error))]) from None
        except csv.Error as error:
            raise ManifestError(
                [Problem(str(self.path), f"has no readable header: {short(error)}")]
            ) from None
        except OSError as error:
            raise ManifestError(
                [Problem(str(self.path), f"cannot be read: {error.strerror or error}")]
            ) from None
        if not names:
            raise ManifestError(
                [Problem(str(self.path), "is empty; a CSV file begins with its column names")]
            )
        return [names[0].removeprefix("\ufeff"), *names[1:]]

    def _text(self) -> io.TextIOWrapper:
        raw: Any = (gzip.open if self.path.suffix == ".gz" else open)(self.path, "rb")
        codec = "utf-8-sig" if self._codec == "utf-8" else self._codec
        return io.TextIOWrapper(raw, encoding=codec, newline="")

    def _records(self, file: Any) -> Any:
        return csv.reader(file, delimiter=self._settings.delimiter, quotechar=self._settings.quote)

    def _batches(self, wished: Sequence[Wished]) -> Iterator[pa.RecordBatch]:
        is_utf8 = self._codec in ("utf-8", "utf-8-sig", "ascii")

        def ragged(row: pacsv.InvalidRow) -> str:
            # Called from Arrow's thread, a block ahead: noted here, reported by `pieces`.
            if len(self._ragged) >= _MOST_RAGGED:
                return "error"
            fields = f"has {row.actual_columns} fields, the header has {row.expected_columns}"
            what = f"{fields}; look for a missing quote or a delimiter in a text"
            # Arrow counts the header as row 1.
            self._ragged.append((row.number - 2, what))
            return "skip"

        try:
            reader = pacsv.open_csv(
                self.path,
                read_options=pacsv.ReadOptions(
                    use_threads=False, block_size=_BLOCK_BYTES, encoding="utf8" if is_utf8 else self._codec
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self._settings.delimiter,
                    quote_char=self._settings.quote,
                    newlines_in_values=True,
                    invalid_row_handler=ragged,
                ),
                # Bytes, not text: a cell that is no UTF-8 is then reported by its row, and all of them.
                convert_options=pacsv.ConvertOptions(
                    include_columns=[column.name for column in wished],
                    column_types={column.name: pa.binary() for column in wished},
                    null_values=list(self._settings.null_values),
                    strings_can_be_null=bool(self._settings.null_values),
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):  # Nothing after the header.
                return
            raise
        with reader:
            yield from reader

    def _typed(
        self, batch: pa.RecordBatch, wished: Sequence[Wished], report: Report, seen: int
    ) -> pa.RecordBatch:
        arrays = []
        for column, raw in zip(wished, batch.columns, strict=True):
            array = raw
            try:
                array = array.cast(pa.string())
            except pa.ArrowInvalid:
                bad = bad_text(array)
                for index in bad:
                    what = f"column `{column.name}` is not {self._codec} text; set `manifest.csv.encoding`"
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
            report(
                self.row_at(seen + index), f"{cell(array[index].as_py())} in `{column.name}` is not {wanted}"
            )
        return without(array, bad).cast(column.type)

    def _lines(self, rows: Sequence[int]) -> dict[int, int]:
        """The lines on which rows begin, as far as the file can be read."""
        sought = set(rows)
        found: dict[int, int] = {}
        try:
            with self._text() as file:
                records = self._records(file)
                number, begins = -2, 1
                for record in records:
                    number += bool(record)
                    if record and number in sought:
                        found[number] = begins
                        if len(found) == len(sought):
                            break
                    begins = records.line_num + 1
        except (csv.Error, OSError, ValueError):
            pass
        return found

    def _undecodable(self, error: UnicodeDecodeError) -> str:
        begins = b""
        if self._codec.startswith("utf-8"):
            with self.path.open("rb") as file:
                begins = file.read(2)
        if begins in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "is UTF-16 text; set `manifest.csv.encoding: utf-16`"
        byte = error.object[error.start : error.start + 1].hex()
        return f"is not {self._codec} text (byte 0x{byte}); set `manifest.csv.encoding`, such as gb18030"

    def _unparsable(self, error: Exception) -> str:
        if "straddl" in str(error):
            return (
                f"a row from here on is longer than {_BLOCK_BYTES // 2**20} MiB; "
                "look for a quote that is never closed"
            )
        if len(self._ragged) >= _MOST_RAGGED:
            return (
                f"{_MOST_RAGGED:,} rows have other fields than the header; is `manifest.csv.delimiter` right?"
            )
        # Arrow's text would repeat the row.
        return f"cannot be read from here on: {short(error).split(':')[0][:80]}"
