"""Arrow IPC, a file (`.arrow`, Feather) or a stream: read message by message, each once its size is known.

What a message says that it unpacks to is looked at before Arrow takes memory for it, and its arrays are
checked whole before they are used: what is in such a file is taken for an address otherwise.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa

from batchsearch.arrow_values import size_of
from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import cell
from batchsearch.manifest.formats.table_file import PIECE_BYTES, EveryRow, UnreadableError, short
from batchsearch.manifest.formats.typed_columns import fitted_batch
from batchsearch.manifest.formats.unpacked import opened
from batchsearch.manifest.remote_file import LostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _typeshed import WriteableBuffer

    from batchsearch.manifest.formats.table_file import Report, Wished
    from batchsearch.manifest.remote_file import ManifestPath

_FILE: Final = b"ARROW1"
_FEATHER_1: Final = b"FEA1"
_GO_ON: Final = b"\xff\xff\xff\xff"
_MOST_METADATA: Final = 64 * 1024 * 1024
_MOST_BODY: Final = 1024 * 1024 * 1024
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
_MOST_ROWS: Final = 8 * 1024


class ArrowFile(EveryRow):
    """One file, its schema read."""

    def __init__(self, path: ManifestPath) -> None:
        """Reads the schema.

        Raises:
            ManifestError: It cannot be opened, is not Arrow, or has a column name twice.
        """
        self.path = path
        try:
            with opened(path) as file, _reader(file) as reader:
                fields = [(field.name, field.type) for field in reader.schema]
        except UnreadableError as error:
            raise ManifestError.at(path, error.what) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ManifestError.at(path, _said(error)) from None
        twice = sorted(name for name, count in Counter(name for name, _ in fields).items() if count > 1)
        if twice:
            raise ManifestError.at(path, f"has the column {cell(twice[0])} twice; rename one")
        self.schema = pa.schema(fields)

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        seen = 0
        try:
            with opened(self.path) as file, _reader(file) as reader:
                for batch in reader:
                    batch.validate(full=True)
                    for piece in sliced(batch):
                        yield fitted_batch(piece, wished, report, seen)
                        seen += piece.num_rows
        except UnreadableError as error:
            raise UnreadableError(seen, error.what) from None
        except LostError as error:
            raise UnreadableError(seen, str(error.strerror)) from None
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise UnreadableError(seen, f"cannot be read from here on: {short(error)}") from None


def sliced(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch a bounded number of bytes at a time."""
    rows = batch.num_rows
    each = max(1, rows * PIECE_BYTES // max(size_of(batch), 1)) if rows else 1
    each = min(each, _MOST_ROWS)
    for start in range(0, rows, each):
        yield batch.slice(start, each)


def _reader(file: IO[bytes]) -> pa.ipc.RecordBatchStreamReader:
    begins = file.read(8)
    if begins.startswith(_FEATHER_1):
        raise UnreadableError(None, "is Feather of version 1; write it anew as Feather 2 or Parquet")
    if not begins:
        raise UnreadableError(None, "is empty")
    # A file is a stream between two marks, with an index behind it that is not needed here.
    held = b"" if begins.startswith(_FILE) else begins
    return pa.ipc.open_stream(pa.PythonFile(_Messages(file, held), mode="r"))


class _Messages(io.RawIOBase):
    """A stream's messages, each whole and looked at before any of it is handed on."""

    def __init__(self, file: IO[bytes], held: bytes) -> None:
        self._file = file
        self._held = held
        self._ready = memoryview(b"")
        self._at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not self._ready and not self._at_end:
            self._ready = memoryview(self._message())
        taken = min(len(view), len(self._ready))
        view[:taken] = self._ready[:taken]
        self._ready = self._ready[taken:]
        return taken

    def read(self, size: int | None = -1) -> bytes:
        """As Arrow asks for it: all that was asked for, over the bounds of messages."""
        wanted = 2**62 if size is None or size < 0 else size
        parts = []
        while wanted:
            if not self._ready and not self._at_end:
                self._ready = memoryview(self._message())
            part = bytes(self._ready[:wanted])
            if not part:
                break
            self._ready = self._ready[len(part) :]
            wanted -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _take(self, size: int) -> bytes:
        data, self._held = self._held[:size], self._held[size:]
        return data + self._file.read(size - len(data)) if len(data) < size else data

    def _message(self) -> bytes:
        prefix = self._take(4)
        marked = prefix == _GO_ON
        length = self._take(4) if marked else prefix
        size = struct.unpack("<i", length)[0] if len(length) == 4 else 0  # noqa: PLR2004 - of four bytes
        head = prefix + length if marked else prefix
        if size <= 0:
            self._at_end = True
            return head
        if size > _MOST_METADATA:
            raise UnreadableError(None, "is no Arrow file or stream: a message says that it is huge")
        metadata = self._take(size)
        if len(metadata) < size:
            raise UnreadableError(None, "ends in the middle of a message; it was not written to its end")
        try:
            body, buffers = _described(metadata)
        except (struct.error, IndexError, ValueError, OverflowError):
            raise UnreadableError(None, "is no Arrow file or stream, or a damaged one") from None
        if not 0 <= body <= _MOST_BODY:
            raise UnreadableError(None, _too_large(body))
        data = self._take(body)
        if len(data) < body:
            raise UnreadableError(None, "ends in the middle of a record batch; it was not written to its end")
        try:
            unpacked = sum(_unpacks_to(data, offset, length) for offset, length in buffers)
        except struct.error:
            raise UnreadableError(None, "is no Arrow file or stream, or a damaged one") from None
        if unpacked > _MOST_BODY:
            raise UnreadableError(None, _too_large(unpacked))
        return b"".join((head, metadata, data))


def _too_large(size: int) -> str:
    return (
        f"has a record batch of {size / 2**30:,.1f} GiB in memory, and is read a batch at a time; write "
        "batches of fewer rows, or Parquet"
    )


def _unpacks_to(body: bytes, offset: int, length: int) -> int:
    """Bytes that a compressed buffer says that it becomes; -1, taken for none, where it is not compressed."""
    if length < 8 or offset < 0:  # noqa: PLR2004 - where the size would be
        return 0
    (size,) = struct.unpack_from("<q", body, offset)
    return max(int(size), 0)


def _described(message: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Of a message: bytes of its body, and where in it compressed buffers are.

    The few fields of the format's tables (`Message.fbs`) that are needed; Arrow itself checks all of them.
    """
    table = _uint(message, 0)
    kind = _byte(message, _field(message, table, 1))
    body = _long(message, _field(message, table, 3))
    header = _field(message, table, 2)
    if kind not in (_RECORD_BATCH, _DICTIONARY_BATCH) or header is None:
        return body, []
    batch = header + _uint(message, header)
    if kind == _DICTIONARY_BATCH:
        inner = _field(message, batch, 1)
        if inner is None:
            return body, []
        batch = inner + _uint(message, inner)
    compression, listed = _field(message, batch, 3), _field(message, batch, 2)
    if compression is None or listed is None:
        return body, []
    start = listed + _uint(message, listed)
    count = _uint(message, start)
    if start + 4 + 16 * count > len(message):
        raise ValueError("more buffers than there is room for")
    return body, [struct.unpack_from("<qq", message, start + 4 + 16 * number) for number in range(count)]


def _field(data: bytes, table: int, number: int) -> int | None:
    """Where a table's field is; None where it has none of that number."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("before the message")
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", data, vtable + place)[0] if place + 2 <= size else 0
    return table + offset if offset else None


def _uint(data: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", data, place)[0])


def _byte(data: bytes, place: int | None) -> int:
    return 0 if place is None else data[place]


def _long(data: bytes, place: int | None) -> int:
    return 0 if place is None else int(struct.unpack_from("<q", data, place)[0])


def _said(error: Exception) -> str:
    if isinstance(error, LostError | PermissionError | FileNotFoundError):
        return f"cannot be read: {error.strerror or short(error)}"
    return f"is no Arrow file or stream, or a damaged one: {short(error)}"
