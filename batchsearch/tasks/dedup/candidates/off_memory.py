"""Columns of a night that may be larger than memory: kept in files that have no name.

Up to `IN_MEMORY` bytes of rows that are sorted stay in memory, and of single columns, of which there are many
at once, an eighth of that. What is more goes to files in the job's folder, which the system
maps and may take out of memory at any time. Such a file is gone with the process, however that ends.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import pyarrow as pa

from batchsearch.kept_memory import give_memory_back
from batchsearch.publish import disk_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray


IN_MEMORY: Final = 128 << 20
"""Bytes of the rows of one sort that are in memory at once, copies included, before files are used."""

_OF_A_COLUMN: Final = 8
"""A column goes to a file when it is larger than this part of it: some forty are there at once."""

_NOT_FOR_THIS_DISK: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


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
        with self.writing():
            return tempfile.TemporaryFile(dir=self._folder, prefix=".batchsearch-")

    def array(self, count: int, kind: type | np.dtype, value: float | None = None) -> NDArray:  # type: ignore[type-arg]  # of `kind`
        """So many numbers, in memory or in a file.

        Args:
            count: How many.
            kind: Of what kind.
            value: What each is; None leaves them to be filled.

        Raises:
            OutputError: The disk refuses.
        """
        kind = np.dtype(kind)
        size = count * kind.itemsize
        if not size or not self.is_full(size * _OF_A_COLUMN):
            return np.empty(count, kind) if value is None else np.full(count, value, kind)
        with self.file() as file, self.writing():
            _reserve(file, size)
            made = np.frombuffer(mmap.mmap(file.fileno(), size), kind)
        if value:
            made[:] = value
        return made

    def writing(self) -> AbstractContextManager[None]:
        """A block that writes; a disk that takes no more is raised as an OutputError."""
        return disk_errors(self._folder or tempfile.gettempdir(), "cannot be written")


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


class Numbers:
    """Takes numbers, some after the others, and gives them back as one array.

    Args:
        kind: Of what kind they are.
        room: Where they are when they are many.
    """

    def __init__(self, kind: type, room: Room) -> None:
        self._kind = np.dtype(kind)
        self._room = room
        self._held: list[NDArray[Any]] = []
        self._size = 0
        self._file: BinaryIO | None = None

    def add(self, numbers: NDArray[Any]) -> None:
        """Take numbers.

        Raises:
            OutputError: The disk refuses.
        """
        self._held.append(np.ascontiguousarray(numbers, self._kind))
        self._size += self._held[-1].nbytes
        if self._room.is_full(self._size * _OF_A_COLUMN):
            self._file = self._file or self._room.file()
            with self._room.writing():
                self._file.writelines(each.data for each in self._held)
            self._held.clear()

    def array(self) -> NDArray[Any]:
        """All of them; nothing can be added then.

        Raises:
            OutputError: The disk refuses.
        """
        if self._file is None:
            return np.concatenate([np.empty(0, self._kind), *self._held])
        with self._room.writing():
            return np.frombuffer(mapped(self._file), self._kind)


class Texts:
    """Takes texts, some after the others, and gives them back as one array."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held: list[pa.Array] = []
        self._size = 0
        self._files: tuple[BinaryIO, BinaryIO, BinaryIO] | None = None
        self._bits = _Bits()
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
        if self._files is None and self._room.is_full(self._size * _OF_A_COLUMN):
            self._files = self._room.file(), self._room.file(), self._room.file()
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
        self._out(self._files[2], self._bits.rest().data)
        with self._room.writing():
            ends, data, bits = (mapped(file) for file in self._files)
        bitmap = bits if self._bits.any_missing else None
        return pa.Array.from_buffers(pa.large_string(), self._count, [bitmap, ends, data])

    def _write(self, texts: pa.Array, ends_file: BinaryIO, data_file: BinaryIO, bits_file: BinaryIO) -> None:
        kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
        self._out(bits_file, self._bits.of(texts.is_valid().to_numpy(zero_copy_only=False)).data)
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
        with self._room.writing():
            file.write(data)


class _Bits:
    """Which texts are there, eight in a byte, however many come at a time."""

    def __init__(self) -> None:
        self._left = np.zeros(0, bool)
        self.any_missing = False

    def of(self, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """The bytes that are whole with these; the rest waits."""
        self.any_missing |= not valid.all()
        valid = np.concatenate((self._left, valid))
        whole = len(valid) // 8 * 8
        self._left = valid[whole:]
        return np.packbits(valid[:whole], bitorder="little")

    def rest(self) -> NDArray[np.uint8]:
        """The last byte, if any."""
        return np.packbits(self._left, bitorder="little")
