"""A CSV file as text: what Arrow's reader does not tell. Its header, lines of rows, a quote never closed."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from typing import IO, TYPE_CHECKING, Any, Final

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.remote_file import READ_AHEAD, RemoteFile
from batchsearch.manifest.table_file import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import WriteableBuffer

    from batchsearch.config.manifest_settings import CsvSettings
    from batchsearch.manifest.remote_file import ManifestPath

_UTF8: Final = frozenset({"utf-8", "utf-8-sig", "ascii"})
_REPLACED: Final = "\ufffd"  # what Python decodes wrong bytes to
_LONGEST_HEADER: Final = 1024 * 1024


class CsvText:
    """The text of one CSV file; each question opens it anew. Bytes that are no text read as U+FFFD."""

    def __init__(self, path: ManifestPath, settings: CsvSettings) -> None:
        self._path = path
        self._delimiter = settings.delimiter
        self._quote = settings.quote
        self.codec = codecs.lookup(settings.encoding).name

    @property
    def is_utf8(self) -> bool:
        """Whether the file is read as UTF-8, which needs no other encoding."""
        return self.codec in _UTF8

    def header(self) -> list[str]:
        """The column names.

        Raises:
            ManifestError: There are none, or they cannot be read.
        """
        try:
            with self._open() as file:
                beginning = io.StringIO(file.read(_LONGEST_HEADER), newline="")
                names = next((record for record in self._records(beginning) if record), None)
        except csv.Error as error:
            raise self._error(f"has no readable header: {short(error)}") from None
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror or short(error)}") from None
        if not names:
            raise self._error("is empty; a CSV file begins with its column names")
        if any(_REPLACED in name for name in names):
            raise self._error(self.undecodable())
        return [names[0].removeprefix("\ufeff"), *names[1:]]

    def lines(self, rows: Sequence[int]) -> dict[int, int]:
        """The lines, from 1, on which rows, from 0, begin; as far as the file can be read."""
        sought = set(rows)
        found: dict[int, int] = {}
        number, begins = -2, 1
        try:
            with self._open() as file:
                records = self._records(file)
                for record in records:
                    number += bool(record)
                    if record and number in sought:
                        found[number] = begins
                        if len(found) == len(sought):
                            break
                    begins = records.line_num + 1
        except csv.Error:
            # A field too long for this reader: where its row begins is known all the same.
            if number + 1 in sought:
                found[number + 1] = begins
        except OSError:
            pass
        return found

    def ends_inside_quotes(self, last: bytes | None) -> bool:
        """Whether the file's last field began with a quote that nothing closed.

        Arrow takes the end of the file for the missing quote, so that the rest of a table may have become
        one text.

        Args:
            last: The last field of the last row as Arrow read it, UTF-8.
        """
        if last is None:
            return False
        field = last.decode(errors="replace").replace(self._quote, self._quote * 2)
        begins = (self._delimiter, "\n", "\r")
        return self._tail(len(field) + 2).endswith(tuple(f"{each}{self._quote}{field}" for each in begins))

    def mended(self) -> io.RawIOBase:
        """The file's bytes in UTF-8 without a fault."""
        return _Mended(self._open())

    def undecodable(self) -> str:
        """What to say of a file that is not in the encoding that the job file gives."""
        begins = b""
        if self.is_utf8:
            with self._bytes() as file:
                begins = file.read(2)
        if begins in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "is UTF-16 text; set `manifest.csv.encoding: utf-16`"
        return f"is not {self.codec} text; set `manifest.csv.encoding`, such as gb18030"

    def _open(self) -> io.TextIOWrapper:
        raw: Any = self._bytes()
        if self._path.suffix == ".gz":
            raw = _Unpacked(raw)
        codec = "utf-8-sig" if self.is_utf8 else self.codec
        return io.TextIOWrapper(raw, encoding=codec, newline="", errors="replace")

    def _bytes(self) -> IO[bytes]:
        if isinstance(self._path, RemoteFile):
            return io.BufferedReader(self._path.open(ahead=READ_AHEAD))
        return self._path.open("rb")

    def _records(self, file: Any) -> Any:
        return csv.reader(file, delimiter=self._delimiter, quotechar=self._quote)

    def _tail(self, characters: int) -> str:
        """The last characters of the text, at least as many as asked for."""
        if self.is_utf8 and self._path.suffix != ".gz":
            with self._bytes() as raw:
                raw.seek(max(0, raw.seek(0, io.SEEK_END) - 4 * characters))
                return bytes(raw.read()).decode(errors="replace")
        tail = ""
        with self._open() as file:
            while chunk := file.read(max(characters, _LONGEST_HEADER)):
                tail = tail[-characters:] + chunk
        return tail

    def _error(self, what: str) -> ManifestError:
        return ManifestError([Problem(str(self._path), what)])


class _Unpacked(gzip.GzipFile):
    """What a packed file holds; closing it closes that file."""

    def __init__(self, packed: IO[bytes]) -> None:
        super().__init__(fileobj=packed, mode="rb")
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


class _Mended(io.RawIOBase):
    """Text as a stream of UTF-8 bytes."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        if not self._rest:
            self._rest = self._text.read(len(view)).encode()
        taken = self._rest[: len(view)]
        view[: len(taken)] = taken
        self._rest = self._rest[len(taken) :]
        return len(taken)

    def close(self) -> None:
        self._text.close()
        super().close()
