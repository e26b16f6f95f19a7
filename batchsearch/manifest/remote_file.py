"""A manifest's file in an object store: read in ranges, never as anything but what it was when it was found.

Nothing is spooled: memory holds one range. A range that cannot be had is asked for again for some seconds; an
object that was replaced meanwhile is refused, since its rows would be half of one table and half of another.
"""

from __future__ import annotations

import atexit
import io
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.disk_paths import arrow_readable
from batchsearch.storage.stores.object_store import StoreError
from batchsearch.storage.stores.store_failures import Failure

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeAlias

    from _typeshed import WriteableBuffer

    from batchsearch.storage.stores.object_store import ObjectFacts, ObjectStore

    ManifestPath: TypeAlias = Path | "RemoteFile"
    """Where one file of a manifest is."""

READ_AHEAD: Final = 2 * 1024 * 1024
"""Bytes fetched at a time where a file is read from its beginning to its end."""


class LostError(OSError):
    """A file in a store cannot be read on; `strerror` says why and what to do."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file, as it was when it was found; stands where a local file's path does.

    Attributes:
        store: Where it is read.
        facts: What the store said of it.
    """

    store: ObjectStore
    facts: ObjectFacts

    def __str__(self) -> str:
        return str(self.facts.address)

    @property
    def name(self) -> str:
        """The last part of its address."""
        return self.facts.address.path.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """What its name ends with, from the last dot."""
        dot = self.name.rfind(".")
        return self.name[dot:] if dot > 0 else ""

    def open(self, mode: str = "rb", *, ahead: int = 0) -> RemoteReader:
        """The file's bytes; nothing is asked for before they are read.

        Args:
            mode: `rb`.
            ahead: Least bytes fetched at a time.
        """
        if mode != "rb":
            raise ValueError("a manifest is only read")
        return RemoteReader(self, ahead)

    def identity(self) -> dict[str, Any]:
        """What it is, for a run's records."""
        modified = self.facts.modified
        return {
            "path": str(self),
            "bytes": self.facts.size,
            "tag": self.facts.tag,
            "modified": None if modified is None else modified.isoformat(),
        }


class RemoteReader(io.RawIOBase):
    """A stream over a `RemoteFile`; used by one thread at a time.

    Raises:
        LostError: From reading: it is gone, was replaced, or the store cannot be reached.
    """

    def __init__(self, file: RemoteFile, ahead: int) -> None:
        self._file = file
        self._ahead = ahead
        self._at = 0
        self._held = b""
        self._held_from = 0
        self._reading = threading.Lock()
        _OPEN.add(self)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Read on from somewhere else."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.facts.size}[whence]
        self._at = max(0, begin + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, all that are left when negative."""
        left = max(0, self._file.facts.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        begin = self._at - self._held_from
        if begin < 0 or begin + wanted > len(self._held):
            self._held = self._fetched(self._at, max(wanted, min(self._ahead, left)))
            self._held_from, begin = self._at, 0
        self._at += wanted
        found = self._held[begin : begin + wanted]
        if not self._ahead:
            self._held = b""
        return found

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as there are bytes."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _fetched(self, start: int, count: int) -> bytes:
        if not count:
            return b""
        with self._reading:
            if self.closed:
                raise LostError(None, "is not read any more")
            try:
                return self._file.store.read(self._file.facts, start, start + count)
            except StoreError as error:
                raise LostError(None, why(error)) from error

    def end(self) -> None:
        """Stop reading for good, whichever thread is at it, and wait until it has stopped."""
        self.close()
        self._file.store.close()
        with self._reading:
            pass


_OPEN: Final[weakref.WeakSet[RemoteReader]] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End what Arrow still reads ahead: its threads would wait for ever for an interpreter that is gone."""
    for reader in list(_OPEN):
        reader.end()


def why(error: StoreError) -> str:
    """What a store's failure means for a manifest, and what to do."""
    if error.failure in (Failure.CHANGED, Failure.EMPTY_RANGE):
        return "was replaced while it was being read; run again once it is whole: what was done is kept"
    if error.failure is Failure.ABSENT:
        return "was removed while it was being read; put it back and run again: what was done is kept"
    if error.failure is Failure.DENIED:
        return "the store refuses these credentials; do they allow reading it, and are they still valid?"
    return f"{error.strerror}; the store was asked several times. Running again resumes"


def arrow_source(path: ManifestPath, *, ahead: int = 0) -> Any:
    """What Arrow reads a file from."""
    if isinstance(path, RemoteFile):
        return pa.PythonFile(path.open(ahead=ahead), mode="r")
    return arrow_readable(path)
