"""The looks of images in one SQLite file, by row key: what memory holds does not grow with the catalogue.

A look is a few hundred bytes, and there is one for each image of a catalogue of millions. They are written as
they are made, so that a night that is killed has looked at hardly an image for nothing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.tasks.dedup.verifying.remade_file import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from batchsearch.tasks.dedup.verifying.fingerprints import Fingerprint

LOOKS_FILE: Final = "looks.sqlite"
FORMER_FILE: Final = "looks.parquet"
"""What held the looks before version 0.2; they are taken over."""

_VERSION: Final = 1
_KEYS_AT_ONCE: Final = 1_000
_ROWS_AT_ONCE: Final = 8_192
_NO_TOKEN: Final = bytes(16)
_SIGNED: Final = 1 << 63

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS looks (
    row_key    TEXT PRIMARY KEY,
    token      BLOB NOT NULL,        -- stands for the image as it was then; zeros where nothing can
    sha256     BLOB NOT NULL,        -- of the file
    pixels     BLOB NOT NULL,        -- empty where they were not all decoded
    outline    INTEGER NOT NULL,     -- 64 bits, the highest one as the sign
    thumb      BLOB NOT NULL,
    colours    BLOB NOT NULL,
    flat       REAL,
    changed_at INTEGER NOT NULL      -- when it was first seen to be another file; 0: never
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS looks_changed ON looks (row_key, changed_at) WHERE changed_at > 0;
"""
_COLUMNS: Final = ("row_key", "token", "sha256", "pixels", "outline", "thumb", "colours", "flat")
_FORMER: Final = frozenset({*_COLUMNS, "changed_at"})
_KEEP: Final = (
    f"INSERT INTO looks ({', '.join(_COLUMNS)}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - names of this module
    "ON CONFLICT (row_key) DO UPDATE SET "
    "changed_at = CASE WHEN sha256 = excluded.sha256 THEN changed_at ELSE ? END, "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS[1:])
)


class SeenImage(NamedTuple):
    """A row's image as it was seen.

    Attributes:
        row_key: The row.
        token: Stands for the image as it is now; None where only reading it can tell: it is then never taken
            for unchanged.
        fingerprint: What it looks like.
    """

    row_key: str
    token: bytes | None
    fingerprint: Fingerprint


class LooksFile:
    """Kept in one file; one of another version, or that is none, is made anew. Any thread may call.

    Raises:
        OutputError: On opening and from every method: the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = opened(path, _VERSION, _SCHEMA, synchronous="NORMAL")
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error
        self._take_over(path.with_name(FORMER_FILE))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def keep(self, seen: Sequence[SeenImage], unusable: Sequence[str] = ()) -> None:
        """Write what was seen, in place of what was seen of these rows before.

        Args:
            seen: The images.
            unusable: Rows whose images are none any more: they look like nothing.
        """
        now = time.time_ns() // 1000
        with self._lock, self._writing():
            self._file.executemany(_KEEP, ((*_values(each), 0, now) for each in seen))
            self._file.executemany("DELETE FROM looks WHERE row_key = ?", ((key,) for key in unusable))

    def rows(self, keys: pa.Array, *columns: str) -> Iterator[tuple[Any, ...]]:
        """What is known of rows by their keys: the place among the keys, and the columns.

        Args:
            keys: In any order, each once; those that were never seen are left out.
            columns: As in the table above; an outline is a number without a sign.
        """
        outline = columns.index("outline") + 1 if "outline" in columns else None
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            texts = keys.slice(start, _KEYS_AT_ONCE).to_pylist()
            at = {text: start + place for place, text in enumerate(texts)}
            marks = ",".join("?" * len(texts))
            asked = f"SELECT row_key, {', '.join(columns)} FROM looks WHERE row_key IN ({marks})"  # noqa: S608 - names of columns and question marks
            for row in self._asked(asked, texts):
                found = (at[row[0]], *row[1:])
                yield found if outline is None else _with_outline(found, outline)

    def changed(self) -> Iterator[tuple[str, int]]:
        """The rows whose images were seen to be other ones, and when, microseconds since 1970."""
        yield from self._asked("SELECT row_key, changed_at FROM looks WHERE changed_at > 0", ())

    def _take_over(self, former: Path) -> None:
        """Take over the looks of an earlier version; a file that cannot be read is let be and forgotten."""
        if not former.is_file():
            return
        with suppress(OSError, ValueError, pa.ArrowException), pq.ParquetFile(arrow_readable(former)) as file:
            if _FORMER.issubset(file.schema_arrow.names):
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[*_COLUMNS, "changed_at"]):
                    columns = batch.to_pydict()
                    outlines = map(_signed, columns["outline"])
                    given = [columns[name] if name != "outline" else outlines for name in _COLUMNS]
                    with self._lock, self._writing():
                        rows = zip(*given, columns["changed_at"], columns["changed_at"], strict=True)
                        self._file.executemany(_KEEP, rows)
        with suppress(OSError):
            former.unlink()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, whole or not at all."""
        try:
            self._file.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def _asked(self, statement: str, values: Iterable[str]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._file.execute(statement, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise self._refused(error) from error

    def _refused(self, error: Exception) -> OutputError:
        return OutputError(f"{self._path}: cannot be used: {getattr(error, 'strerror', None) or error}")


def _values(seen: SeenImage) -> tuple[Any, ...]:
    look = seen.fingerprint
    return (
        seen.row_key,
        seen.token or _NO_TOKEN,
        look.sha256,
        look.pixels,
        _signed(look.outline),
        look.thumb,
        look.colours,
        look.flat,
    )


def _signed(outline: int) -> int:
    return outline - 2 * _SIGNED if outline >= _SIGNED else outline


def _with_outline(row: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return (*row[:at], row[at] % (2 * _SIGNED), *row[at + 1 :])
