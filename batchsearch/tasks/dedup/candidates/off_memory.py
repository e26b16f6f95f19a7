"""Columns of a night that may be larger than memory: sorted and kept in files that have no name.

Up to `IN_MEMORY` bytes all stays in memory. What is more goes to files in the job's folder, which the system
maps and may take out of memory at any time. Such a file is gone with the process, however that ends.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.kept_memory import give_memory_back
from batchsearch.publish import unwritable
from batchsearch.tasks.dedup.candidates.text_index import TextIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.errors import OutputError

IN_MEMORY: Final = 128 << 20
"""Bytes of one column, or of the rows of one sort, that are held in memory before files are used."""

_ROWS_AT_ONCE: Final = 1 << 19
_ROWS_OF_A_BATCH: Final = 1 << 16
_NOT_FOR_THIS_DISK: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_SAMPLES: Final = 64
"""Keys that are looked at of each sorted file, for each piece that is to be put together."""


class Room:
    """Where files are made, and how much stays in memory.

    Args:
        folder: Holds the files; it is there. None keeps all in memory.
        in_memory: Bytes.
    """

    def __init__(self, folder: Path | None = None, in_memory: int | None = None) -> None:
        self._folder = folder
        self.in_memory = IN_MEMORY if in_memory is None else in_memory

    def is_full(self, size: int) -> bool:
        """Whether so many bytes are to go to a file."""
        return self._folder is not None and size > self.in_memory

    def file(self) -> BinaryIO:
        """A file without a name.

        Raises:
            OutputError: The disk refuses.
        """
        try:
            return tempfile.TemporaryFile(dir=self._folder, prefix=".batchsearch-")
        except OSError as error:
            raise self.refused(error) from error

    def array(self, count: int, kind: type | np.dtype) -> NDArray:  # type: ignore[type-arg]  # of `kind`
        """So many numbers, in memory or in a file; to be filled.

        Raises:
            OutputError: The disk refuses.
        """
        kind = np.dtype(kind)
        size = count * kind.itemsize
        if not size or not self.is_full(size):
            return np.empty(count, kind)
        with self.file() as file:
            try:
                _reserve(file, size)
                return np.frombuffer(mmap.mmap(file.fileno(), size), kind)
            except OSError as error:
                raise self.refused(error) from error

    def refused(self, error: OSError) -> OutputError:
        """What to say of a disk that takes no more."""
        if self._folder is None:
            raise RuntimeError("nothing is written without a folder") from error
        return unwritable(self._folder, error)


def give_back() -> None:
    """Give memory that is free back to the system: what comes next wants pieces of other sizes."""
    pa.default_memory_pool().release_unused()
    give_memory_back()


def _reserve(file: BinaryIO, size: int) -> None:
    """Take the disk's room beforehand: a page that finds none later would end the process."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in _NOT_FOR_THIS_DISK:
                raise
        else:
            return
    nothing = bytes(1 << 20)
    file.writelines(nothing[: size - start] for start in range(0, size, len(nothing)))
    file.flush()


def mapped(file: BinaryIO) -> pa.Buffer:
    """What was written to a file, which is closed; its pages are the system's to hold or to drop."""
    with file:
        file.flush()
        if file.tell() == 0:
            return pa.py_buffer(b"")
        return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class Texts:
    """Takes texts, some after the others, and gives them back as one array."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held: list[pa.Array] = []
        self._size = 0
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        self._valid: list[NDArray[np.bool_]] = []
        self._end = 0
        self._count = 0

    def add(self, texts: pa.Array) -> None:
        """Take texts.

        Raises:
            OutputError: The disk refuses.
        """
        self._held.append(texts)
        self._size += texts.nbytes
        self._count += len(texts)
        if self._files is None and self._room.is_full(self._size):
            self._files = self._room.file(), self._room.file()
            self._out(self._files[0], np.zeros(1, np.int64).data)
        if self._files is not None:
            for each in self._held:
                self._write(each, *self._files)
            self._held.clear()

    def array(self) -> pa.Array:
        """All of them; nothing can be added then.

        Raises:
            OutputError: The disk refuses.
        """
        if self._files is None:
            kind = pa.large_string() if self._size >= 1 << 31 else pa.string()
            return pa.concat_arrays([pa.array([], kind), *(each.cast(kind) for each in self._held)])
        try:
            ends, data = (mapped(file) for file in self._files)
        except OSError as error:
            raise self._room.refused(error) from error
        valid = np.concatenate(self._valid)
        bitmap = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(pa.large_string(), self._count, [bitmap, ends, data])

    def _write(self, texts: pa.Array, ends_file: BinaryIO, data_file: BinaryIO) -> None:
        kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
        self._valid.append(texts.is_valid().to_numpy(zero_copy_only=False))
        if len(texts) == 0:
            return
        _, ends, data = texts.buffers()
        ends = np.frombuffer(ends, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        begin, end = int(ends[0]), int(ends[-1])
        self._out(ends_file, (ends[1:] + (self._end - begin)).data)
        if end > begin:
            self._out(data_file, memoryview(data)[begin:end])
        self._end += end - begin

    def _out(self, file: BinaryIO, data: memoryview) -> None:
        try:
            file.write(data)
        except OSError as error:
            raise self._room.refused(error) from error


class SortedRows:
    """Takes rows in any order and gives them back ascending by one column of texts.

    Rows of one key stay in the order in which they came. Rows are sorted in memory, written to a file when
    there are too many, and put together again in pieces between keys that every file was looked at for.

    Args:
        key: Name of the column.
        room: Where files are made.
    """

    def __init__(self, key: str, room: Room) -> None:
        self._key = key
        self._room = room
        self._held: list[pa.Table] = []
        self._size = 0
        self._files: list[pa.Table] = []
        self._written = 0
        self.count = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows.

        Raises:
            OutputError: The disk refuses.
        """
        self._held.append(rows)
        self._size += rows.nbytes
        self.count += len(rows)
        if self._room.is_full(self._size):
            self._write()

    def pieces(self) -> Iterator[pa.Table]:
        """All rows, piece by piece.

        Raises:
            OutputError: The disk refuses.
        """
        if not self._files:
            if self._held:
                yield self._sorted(self._held)
            return
        if self._held:
            self._write()
        cuts = self._cuts()
        for number in range(len(cuts[0]) - 1):
            yield self._sorted(
                [
                    rows.slice(at[number], at[number + 1] - at[number])
                    for rows, at in zip(self._files, cuts, strict=True)
                ]
            )

    def _sorted(self, several: list[pa.Table]) -> pa.Table:
        rows = pa.concat_tables(several).combine_chunks()
        several.clear()
        return rows.take(pc.sort_indices(rows.column(self._key)))

    def _write(self) -> None:
        rows = self._sorted(self._held)
        file = self._room.file()
        try:
            with pa.ipc.new_stream(file, rows.schema) as stream:
                stream.write_table(rows, max_chunksize=_ROWS_OF_A_BATCH)
            self._files.append(pa.ipc.open_stream(mapped(file)).read_all())
        except OSError as error:
            raise self._room.refused(error) from error
        self._written += self._size
        self._size = 0

    def _cuts(self) -> list[list[int]]:
        """Where each file is cut so that pieces are about equal and hold all rows of their keys."""
        wanted = max(1, -(-2 * self._written // max(1, self._room.in_memory)))
        samples: list[str] = []
        for rows in self._files:
            places = np.unique(
                np.linspace(0, len(rows) - 1, min(len(rows), wanted * _SAMPLES)).astype(np.int64)
            )
            samples += rows.column(self._key).take(pa.array(places)).to_pylist()
        samples.sort()
        between = sorted({samples[len(samples) * number // wanted] for number in range(1, wanted)})
        cuts = []
        for rows in self._files:
            keys = rows.column(self._key)
            at = [0]
            for key in between:
                at.append(_first_at_least(keys, key, at[-1]))
            cuts.append([*at, len(rows)])
        return cuts


def _first_at_least(keys: pa.ChunkedArray, key: str, low: int) -> int:
    """The first place whose key is not below this one; these are ascending."""
    high = len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle].as_py() < key:
            low = middle + 1
        else:
            high = middle
    return low


class Coding:
    """The different texts of a column, ascending, each once."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._sorted = SortedRows("text", room)

    def add(self, texts: pa.Array) -> None:
        """Take texts; null is none.

        Raises:
            OutputError: The disk refuses.
        """
        self._sorted.add(pa.table({"text": pc.unique(texts).drop_null()}))

    def texts(self) -> pa.Array:
        """All different ones.

        Raises:
            OutputError: The disk refuses.
        """
        found = Texts(self.room)
        for piece in self._sorted.pieces():
            texts = piece.column("text").combine_chunks()
            for each in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
                # No text is in two pieces, and they are in order.
                found.add(pc.unique(each))
        return found.array()


def numbered(
    column: pa.Array, coding: Coding, *, empty: str | None = None
) -> tuple[TextIndex, NDArray[np.int32]]:
    """The different texts of a column and of those taken before, and each cell's place among them.

    Args:
        column: The cells.
        coding: Takes the texts.
        empty: What null counts as; None makes it -1.
    """
    if empty is not None and column.null_count:
        column = pc.fill_null(column, pa.scalar(empty, column.type))
    for start in range(0, len(column), _ROWS_AT_ONCE):
        coding.add(column.slice(start, _ROWS_AT_ONCE).cast(pa.string()))
    index = TextIndex(coding.texts(), coding.room)
    return index, index.places(column)
