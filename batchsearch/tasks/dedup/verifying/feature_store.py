"""Features of images and measures of pairs, kept by what the images are: neither is ever made twice.

Both are named by the SHA-256 of the files, so that a changed image has none yet and a copy has those of its
original. They are on disk; memory holds what a batch needs.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError
from batchsearch.tasks.dedup.clusters.verdicts import Measure
from batchsearch.tasks.dedup.verifying.features import VERSION
from batchsearch.tasks.dedup.verifying.remade_file import opened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

FEATURES_FILE: Final = "features.sqlite"
MEASURES_VERSION: Final = 1
_PACKED: Final = struct.Struct("<iifffff")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS features (sha256 BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS measures (
    first BLOB NOT NULL, second BLOB NOT NULL, data BLOB NOT NULL, PRIMARY KEY (first, second)
) WITHOUT ROWID;
"""

_KNOWN: Final = """
CREATE TEMP TABLE IF NOT EXISTS known (sha256 BLOB PRIMARY KEY) WITHOUT ROWID;
DELETE FROM known;
"""
_FORGET: Final = (
    "DELETE FROM features WHERE sha256 NOT IN (SELECT sha256 FROM known)",
    "DELETE FROM measures WHERE first NOT IN (SELECT sha256 FROM known)",
    "DELETE FROM measures WHERE second NOT IN (SELECT sha256 FROM known)",
)


class FeatureStore:
    """Kept in one SQLite file; a file of another version, or that is none, is made anew. Any thread may call.

    Raises:
        OutputError: On opening and from every method: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._waiting: dict[bytes, bytes] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # It can all be made again: what a crash of the machine loses is only work.
            version = VERSION * 1000 + MEASURES_VERSION
            self._file = opened(path, version, _SCHEMA, synchronous="OFF")
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def lacking(self, names: Collection[bytes]) -> set[bytes]:
        """Which of these files have no features yet."""
        with self._lock:
            return {
                name
                for name in {*names} - self._waiting.keys()
                if not self._asked("SELECT 1 FROM features WHERE sha256 = ?", name)
            }

    def add(self, name: bytes, data: bytes) -> None:
        """Take a file's features; `keep` writes them."""
        with self._lock:
            self._waiting[name] = data

    def keep(self) -> None:
        """Write what was added."""
        with self._lock:
            self._write("INSERT OR REPLACE INTO features VALUES (?, ?)", self._waiting.items())
            self._waiting.clear()

    def features(self, names: Collection[bytes]) -> dict[bytes, bytes]:
        """The features of these files; of those that have any."""
        with self._lock:
            rows = {
                name: self._asked("SELECT data FROM features WHERE sha256 = ?", name)
                for name in sorted({*names})
            }
        return {name: row[0][0] for name, row in rows.items() if row}

    def measures(self, pairs: Collection[tuple[bytes, bytes]]) -> dict[tuple[bytes, bytes], Measure]:
        """What was measured of these pairs; of those that were."""
        with self._lock:
            rows = {
                pair: self._asked("SELECT data FROM measures WHERE first = ? AND second = ?", *pair)
                for pair in pairs
            }
        return {pair: Measure(*_PACKED.unpack(row[0][0])) for pair, row in rows.items() if row}

    def keep_measures(self, measures: Iterable[tuple[tuple[bytes, bytes], Measure]]) -> None:
        """Write what was measured."""
        rows = [(*pair, _PACKED.pack(*measure)) for pair, measure in measures]
        with self._lock:
            self._write("INSERT OR REPLACE INTO measures VALUES (?, ?, ?)", rows)

    def forget_others(self, names: Iterable[bytes]) -> None:
        """Drop what belongs to other files than these."""
        with self._lock:
            try:
                self._file.executescript(_KNOWN)
                self._file.execute("BEGIN")
                self._file.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((name,) for name in names))
                for statement in _FORGET:
                    self._file.execute(statement)
                self._file.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refused(error) from error

    def _asked(self, statement: str, *values: bytes) -> list[tuple[bytes, ...]]:
        try:
            return self._file.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _write(self, statement: str, rows: Iterable[tuple[bytes, ...]]) -> None:
        try:
            self._file.execute("BEGIN")
            self._file.executemany(statement, rows)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> OutputError:
        return OutputError(f"{self._path}: cannot be used: {getattr(error, 'strerror', None) or error}")
