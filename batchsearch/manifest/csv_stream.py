"""A CSV file's bytes as Arrow reads them: unpacked, in UTF-8, with escapes and quotes looked at."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

from batchsearch.manifest.csv_quotes import Escapes, QuoteCheck
from batchsearch.manifest.remote_file import READ_AHEAD, RemoteFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from batchsearch.config.manifest_settings import CsvSettings
    from batchsearch.manifest.remote_file import ManifestPath

UTF8: Final = frozenset({"utf-8", "utf-8-sig", "ascii"})
_CHUNK: Final = 128 * 1024


class CutError(OSError):
    """A packed file ends too early, or is damaged; `strerror` says so."""


def opened(path: ManifestPath) -> IO[bytes]:
    """The file's bytes as they are."""
    if isinstance(path, RemoteFile):
        return io.BufferedReader(path.open(ahead=READ_AHEAD))
    return path.open("rb")


def unpacked(path: ManifestPath) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends with `.gz`."""
    raw = opened(path)
    if path.suffix.lower() != ".gz":
        return raw
    return io.BufferedReader(_Unpacked(raw), _CHUNK)


class _Unpacked(io.RawIOBase):
    """What a packed file holds; closing it closes that file."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._file = gzip.GzipFile(fileobj=packed, mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            return self._file.readinto(buffer)
        except EOFError:
            what = "is packed with gzip and ends too early; it was not written or copied to its end"
            raise CutError(None, what) from None
        except (gzip.BadGzipFile, zlib.error):
            what = "is damaged: its name ends with `.gz`, and what gzip unpacks makes no sense"
            raise CutError(None, what) from None

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._packed.close()
        super().close()


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
        judged = chunk
        if self._escapes is not None:
            chunk, judged = self._escapes.take(chunk, is_last=self._ended)
        self._check.follow(judged)
        return chunk

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._source.close()
        super().close()
