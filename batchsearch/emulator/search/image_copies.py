"""Small copies of the images of an instance's items, for pages that show them.

The service keeps none, and so did this instance: vectors and attributes are enough to search. A person who
looks at hits wants to see them. Copies are 256 pixels a side at most, written by this process itself; the
images as they came are not kept. They take no more room than they may: the oldest go first.
"""

from __future__ import annotations

import io
import sqlite3
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batchsearch.emulator.search.image_reading import DecodedImage

SIDE: Final = 256
QUALITY: Final = 80
_ENDINGS: Final = ("", "-wal", "-shm")
_TABLE: Final = "CREATE TABLE IF NOT EXISTS copies (id INTEGER PRIMARY KEY, jpeg BLOB NOT NULL)"


def small_copy(image: DecodedImage) -> bytes:
    """A JPEG of an image, small."""
    copied = image.image.copy()
    copied.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    copied.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


class ImageCopies:
    """Keeps copies by item; from any thread. What cannot be kept is not: no item is refused for it.

    Args:
        path: The file; None keeps them in memory.
        most_bytes: Bytes of all copies.
    """

    def __init__(self, path: Path | None, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._bytes = 0
        self._file = self._opened(path)

    def _opened(self, path: Path | None) -> sqlite3.Connection | None:
        with ExitStack() as undo, suppress(sqlite3.Error):
            file = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
            undo.callback(file.close)
            # They can be had again: nothing waits for the disk.
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = OFF")
            file.execute(_TABLE)
            (self._bytes,) = file.execute("SELECT coalesce(sum(length(jpeg)), 0) FROM copies").fetchone()
            undo.pop_all()
            return file
        return None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None

    @property
    def size(self) -> int:
        """Bytes of all copies."""
        return self._bytes

    def keep(self, identity: int, jpeg: bytes | None) -> None:
        """Keep an item's copy in place of an earlier one; None: it has none any more."""
        self.forget([identity])
        if jpeg is None or len(jpeg) > self._most:
            return
        with self._lock, suppress(sqlite3.Error):
            if self._file is None:
                return
            self._file.execute("INSERT INTO copies VALUES (?, ?)", (identity, jpeg))
            self._bytes += len(jpeg)
            while self._bytes > self._most:
                self._remove(self._file.execute("SELECT min(id) FROM copies").fetchone()[0])

    def forget(self, ids: Iterable[int]) -> None:
        """Remove items' copies, where there are any."""
        with self._lock, suppress(sqlite3.Error):
            for identity in ids:
                self._remove(identity)

    def get(self, identity: int) -> bytes | None:
        """An item's copy; None where there is none."""
        with self._lock, suppress(sqlite3.Error):
            if self._file is not None:
                row = self._file.execute("SELECT jpeg FROM copies WHERE id = ?", (identity,)).fetchone()
                return None if row is None else bytes(row[0])
        return None

    def _remove(self, identity: int) -> None:
        if self._file is None:
            return
        size = self._file.execute("SELECT length(jpeg) FROM copies WHERE id = ?", (identity,)).fetchone()
        if size is not None:
            self._file.execute("DELETE FROM copies WHERE id = ?", (identity,))
            self._bytes -= size[0]


def remove_copies(path: Path) -> None:
    """Remove what was kept in a file: an instance that keeps none leaves none behind."""
    for ending in _ENDINGS:
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).unlink()
