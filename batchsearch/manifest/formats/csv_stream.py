"""A CSV file's bytes as Arrow reads them: unpacked, in UTF-8, with escapes and quotes looked at."""

from __future__ import annotations

import codecs
import io
import re
from typing import TYPE_CHECKING, Any, Final

from batchsearch.manifest.formats.csv_quotes import Escapes, QuoteCheck
from batchsearch.manifest.formats.unpacked import unpacked

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from batchsearch.config.sections.manifest_settings import CsvSettings
    from batchsearch.manifest.remote_file import ManifestPath

UTF8: Final = frozenset({"utf-8", "utf-8-sig", "ascii"})
_CHUNK: Final = 128 * 1024
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class CsvStream(io.RawIOBase):
    """The bytes in UTF-8.

    Raises:
        MisquotedError: From reading: a quoted text goes on after its closing quote.
        UnicodeDecodeError: Likewise: the file is not in the encoding that the job file gives. Not for UTF-8,
            which is passed on as it is.
        CutError: Likewise.
    """

    def __init__(self, path: ManifestPath, settings: CsvSettings, *, mended: bool = False) -> None:
        """Opens the file.

        Args:
            path: The file.
            settings: How it is written.
            mended: Bytes that are no text become U+FFFD.
        """
        codec = codecs.lookup(settings.encoding).name
        self._source = unpacked(path)
        self._decoder: Any = None
        if mended or codec not in UTF8:
            codec = "utf-8-sig" if codec in UTF8 else codec
            self._decoder = codecs.getincrementaldecoder(codec)("replace" if mended else "strict")
        self._check = QuoteCheck(delimiter=settings.delimiter, quote=settings.quote)
        self._escapes = (
            None
            if settings.escape is None
            else Escapes(escape=settings.escape, delimiter=settings.delimiter, quote=settings.quote)
        )
        self._skip = settings.skip_lines
        self._cut_end = False
        self._rest = b""
        self._ended = False

    @property
    def ends_inside_quotes(self) -> bool:
        """Whether a quote is open after what was read so far."""
        return self._check.inside

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer; only at the end it is not full, as Arrow cuts rows by it."""
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view) and (self._rest or not self._ended):
            if not self._rest:
                self._rest = self._next()
            taken = self._rest[: len(view) - filled]
            view[filled : filled + len(taken)] = taken
            self._rest = self._rest[len(taken) :]
            filled += len(taken)
        return filled

    def _next(self) -> bytes:
        chunk = self._source.read(_CHUNK)
        self._ended = not chunk
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk, final=self._ended).encode(errors="replace")
        if self._skip or self._cut_end:
            chunk = self._after_skipped(chunk)
        judged = chunk
        if self._escapes is not None:
            chunk, judged = self._escapes.take(chunk, is_last=self._ended)
        self._check.follow(judged)
        return chunk

    def _after_skipped(self, chunk: bytes) -> bytes:
        """What of a chunk stands below the lines that are left out; they are no part of the table."""
        if self._cut_end and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._cut_end = self._cut_end and not chunk and not self._ended
        place = 0
        for found in _LINE_END.finditer(chunk):
            if not self._skip:
                break
            self._skip -= 1
            place = found.end()
            # A line end of two bytes may be cut between them.
            self._cut_end = found[0] == b"\r" and place == len(chunk)
        return b"" if self._skip else chunk[place:]

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._source.close()
        super().close()
