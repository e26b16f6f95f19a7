"""A CSV file as text: what Arrow's reader does not tell. Its header, lines of rows, a quote never closed."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.csv_stream import UTF8, CsvStream
from batchsearch.manifest.formats.table_file import short
from batchsearch.manifest.formats.unpacked import opened, packing_of, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.config.sections.manifest_settings import CsvSettings
    from batchsearch.manifest.remote_file import ManifestPath

_REPLACED: Final = "\ufffd"  # what Python decodes wrong bytes to
_FIRST_LOOK: Final = 64 * 1024
_LONGEST_HEADER: Final = 8 * 1024 * 1024
_SNIFFED: Final = 4 * 1024
_SEP: Final = re.compile(r"(?i)sep=(.?)[;,\t|]*")
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml")
_GZIP: Final = b"\x1f\x8b"
_UNPACK: Final = "; unpack it, or pack it with gzip or zstd and let its name end with `.gz` or `.zst`"
_SOMETHING_ELSE: Final = {
    _GZIP: "is packed with gzip, and its name does not say so: let it end with `.gz`",
    b"\x28\xb5\x2f\xfd": "is packed with zstd, and its name does not say so: let it end with `.zst`",
    b"BZh": f"is packed with bzip2{_UNPACK}",
    b"\xfd7zXZ\0": f"is packed with xz{_UNPACK}",
    b"\x04\x22\x4d\x18": f"is packed with lz4{_UNPACK}",
    b"PK\x03\x04": "is a zip file, or an Excel workbook: let its name end with `.zip` or `.xlsx`",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook; save the table as .xlsx or CSV",
    b"PAR1": "is a Parquet file; set `manifest.format: parquet`",
    b"ARROW1": "is an Arrow file; set `manifest.format: arrow`",
    b"SQLite format 3\0": "is an SQLite database; write the table as Parquet or CSV",
}
"""What files that are taken for CSV are, by their first bytes, and what to do."""


def once_each(names: Sequence[str]) -> tuple[str, ...]:
    """Names of columns, those that were there before with a number."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in names:
        seen[name] += 1
        numbered = name if seen[name] == 1 else f"{name}_{seen[name]}"
        while numbered in found or (seen[name] > 1 and numbered in names):
            numbered += "_"
        found.append(numbered)
    return tuple(found)


class CsvText:
    """The text of one CSV file; each question opens it anew. Bytes that are no text read as U+FFFD."""

    def __init__(self, path: ManifestPath, settings: CsvSettings) -> None:
        self._path = path
        self._settings = settings
        self._delimiter = settings.delimiter
        self._quote = settings.quote
        self.codec = codecs.lookup(settings.encoding).name

    @property
    def is_utf8(self) -> bool:
        """Whether the file is read as UTF-8, which needs no other encoding."""
        return self.codec in UTF8

    def header(self) -> list[str]:
        """The column names.

        Raises:
            ManifestError: There are none, or they cannot be read.
        """
        begins = self._begins()
        try:
            names = None if begins == b"" else self._first_record()
        except csv.Error as error:
            what = f"has no readable header: {short(error)}; look for a quote that is never closed"
            raise self._error(what) from None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror or short(error)}") from None
        if not names:
            if self._settings.header:
                return list(self._settings.header)
            raise self._error("is empty; a CSV file begins with its column names")
        if any(_REPLACED in name for name in names):
            raise self._error(self.undecodable())
        names[0] = names[0].removeprefix("\ufeff")
        if (mark := _SEP.fullmatch(self._delimiter.join(names))) is not None:
            given = "tab" if mark[1] == "\t" else f'"{mark[1]}"'
            raise self._error(
                f"begins with Excel's line `sep={mark[1]}`; remove that line, or set "
                f"`manifest.csv.skip_lines: 1`, and set `manifest.csv.delimiter: {given}`"
            )
        if self.is_utf8 and sum(name.count("\0") for name in names) * 3 > sum(map(len, names)):
            which = "utf-16-le" if begins[1:2] == b"\0" else "utf-16-be"
            raise self._error(f"is UTF-16 text without its mark; set `manifest.csv.encoding: {which}`")
        named = self._own_names() or self._settings.header
        if named and len(names) != len(named):
            raise self._error(
                f"has {len(names)} fields in its first line, `manifest.csv.header` names "
                f"{len(named)}; is `manifest.csv.delimiter` right?"
            )
        return list(named or names)

    def _own_names(self) -> tuple[str, ...] | None:
        """The names in the last line above the table, each once, where they are those of the job file.

        Such a line names the columns, some of them twice: what has moved since is where it says, columns that
        came or went included. Where a name is another one the job file's are meant, place by place.

        Raises:
            ManifestError: Then the others have moved, and nobody can say what is what.
        """
        wanted, above = self._settings.header, self._settings.skip_lines
        if not wanted or not above:
            return None
        with self._open() as file:
            self._skip(file, above - 1)
            line = file.readline(_LONGEST_HEADER)
        try:
            names = once_each(next(self._records(io.StringIO(line, newline="")), []))
        except csv.Error:
            return None
        both = {*names} & {*wanted}
        if 2 * len(both) <= len(wanted):
            return None
        if both in ({*names}, {*wanted}):
            return names
        if [name if name in both else None for name in names] != [
            name if name in both else None for name in wanted
        ]:
            raise self._error(
                "names its columns in another order than `manifest.csv.header`, and some of them otherwise; "
                "write down there what they are called now"
            )
        return None

    def _begins(self) -> bytes:
        """The first bytes, unpacked; a file that is something else is refused by what it is."""
        packing = packing_of(self._path)
        try:
            with opened(self._path) as file:
                begins = file.read(_SNIFFED)
            if packing is not None and begins and not begins.startswith(packing.mark):
                raise self._error(
                    f"is not packed with {packing.name}, although its name ends with `{packing.suffix}`; "
                    "take that away"
                )
            if packing is not None and begins:
                with unpacked(self._path) as file:
                    begins = file.read(_SNIFFED)
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror or short(error)}") from None
        for mark, what in _SOMETHING_ELSE.items():
            if begins.startswith(mark):
                raise self._error(what)
        if begins.lstrip(codecs.BOM_UTF8 + b" \t\r\n").lower().startswith(_MARKUP):
            raise self._error(
                "is HTML or XML and no table; was a login or an error page saved? (A product feed in XML is "
                "read with `manifest.format: feed`.)"
            )
        return begins

    def _first_record(self) -> list[str] | None:
        size = _FIRST_LOOK
        while True:
            with self._open() as file:
                self._skip(file)
                text = file.read(size)
            records = (record for record in self._records(io.StringIO(text, newline="")) if record)
            first = next(records, None)
            if len(text) < size or next(records, None) is not None:
                return first
            if size >= _LONGEST_HEADER:
                raise self._error(
                    f"has no end of its first line in {size // 2**20} MiB; look for a quote that is never "
                    "closed"
                )
            size = _LONGEST_HEADER

    def lines(self, rows: Sequence[int]) -> dict[int, int]:
        """The lines, from 1, on which rows, from 0, begin; as far as the file can be read."""
        sought = set(rows)
        found: dict[int, int] = {}
        above = self._settings.skip_lines
        number, begins = -1 if self._settings.header else -2, 1 + above
        try:
            with self._open() as file:
                self._skip(file)
                records = self._records(file)
                for record in records:
                    number += bool(record)
                    if record and number in sought:
                        found[number] = begins
                        if len(found) == len(sought):
                            break
                    begins = records.line_num + 1 + above
        except csv.Error:
            # A field too long for this reader: where its row begins is known all the same.
            if number + 1 in sought:
                found[number + 1] = begins
        except OSError:
            pass
        return found

    def stream(self, *, mended: bool = False) -> CsvStream:
        """The file's bytes as Arrow reads them.

        Args:
            mended: Bytes that are no text become U+FFFD.
        """
        return CsvStream(self._path, self._settings, mended=mended)

    def misquoted(self) -> int | None:
        """The first row, from 0, in which a quoted text goes on after its closing quote."""
        number = -1 if self._settings.header else -2
        try:
            with self._open() as file:
                self._skip(file)
                for record in self._records(file, strict=True):
                    number += bool(record)
        except (csv.Error, OSError):
            return max(number + 1, 0)
        return None

    def undecodable(self) -> str:
        """What to say of a file that is not in the encoding that the job file gives."""
        begins = b""
        if self.is_utf8:
            with unpacked(self._path) as file:
                begins = file.read(4)
        if begins in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
            return "is UTF-32 text; set `manifest.csv.encoding: utf-32`"
        if begins[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "is UTF-16 text; set `manifest.csv.encoding: utf-16`"
        return f"is not {self.codec} text; set `manifest.csv.encoding`, such as cp1252 or gb18030"

    def _open(self) -> io.TextIOWrapper:
        codec = "utf-8-sig" if self.is_utf8 else self.codec
        return io.TextIOWrapper(unpacked(self._path), encoding=codec, newline="", errors="replace")

    def _skip(self, file: io.TextIOWrapper, lines: int | None = None) -> None:
        """Read past the lines above the table."""
        for _ in range(self._settings.skip_lines if lines is None else lines):
            while (line := file.readline(_FIRST_LOOK)) and not line.endswith(("\n", "\r")):
                pass

    def _records(self, file: Any, *, strict: bool = False) -> Any:
        return csv.reader(
            file,
            delimiter=self._delimiter,
            quotechar=self._quote,
            escapechar=self._settings.escape,
            strict=strict,
        )

    def _error(self, what: str) -> ManifestError:
        return ManifestError.at(self._path, what)
