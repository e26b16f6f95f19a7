"""The board for the processes of one host: one small SQLite file.

The clock is `CLOCK_MONOTONIC`, one and the same for all processes of a Linux machine. It begins anew with
every boot, so the file's name carries the boot it belongs to: a stale file is never read, and since
nothing in it outlives the machine, no visit waits for the disk. A visit takes a tenth of a millisecond.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from batchsearch.pacing.shared import Kind, Note, Reserved, SlotBoardError, Taken, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS line (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    due  REAL NOT NULL,   -- the last place reserved
    hold REAL NOT NULL    -- nobody leaves before
);
INSERT OR IGNORE INTO line VALUES (1, 0, 0);
CREATE TABLE IF NOT EXISTS note (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    kind   INTEGER NOT NULL,
    slot   REAL NOT NULL, -- when the call's slot was taken
    at     REAL NOT NULL  -- when the call left (kind 0) or its answer came
);
"""

_SLIP: Final = 0.002
"""Lateness that the schedule makes up for; by what is more, all later places move."""

_TRIES: Final = 250
"""Times that a visit waits for others so: some ten seconds."""

_KEPT: Final = 2000
"""Notes kept: what a newcomer learns from."""

_BUSY: Final = 0.02
"""Seconds that a visit waits for another one inside SQLite; after that the event loop goes on first."""


def file_for(*what: str, folder: Path | None = None) -> Path:
    """The file through which all processes of this user share the rate of one budget of one instance.

    Args:
        what: Names of what is shared, such as endpoint, instance and budget.
        folder: Where it lies; the user's runtime folder or a private one among the temporary files when None.

    Raises:
        SlotBoardError: The folder is not this user's own, so that others could tamper with the rate.
    """
    if folder is None:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        folder = Path(runtime or tempfile.gettempdir()) / f"batchsearch-{os.getuid()}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
        except OSError as error:
            raise SlotBoardError(
                f"{folder}: cannot hold the shared rate: {error.strerror}; name a folder that can"
            ) from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise SlotBoardError(
                f"{folder}: must be a folder that only this user can write to; remove it or name another one"
            )
    name = hashlib.sha256("\0".join(what).encode()).hexdigest()[:16]
    return folder / f"rate-{name}-{_boot()}.sqlite"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "0"


class FileBoard:
    """Lines up the processes of one host.

    Args:
        path: The file, made when missing; `file_for` names the usual one. Not on a network file system.
        clock: Monotonic seconds, the same for all processes.
    """

    slack = 0.001

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._open: sqlite3.Connection | None = None
        self._pid = os.getpid()
        self._visiting = threading.Lock()

    async def close(self) -> None:
        """As `SlotBoard.close`."""
        self._shut()

    def _shut(self) -> None:
        if self._open is not None and self._pid == os.getpid():
            self._open.close()
        self._open = None

    async def reserve(self, interval: float, hold: float) -> Reserved:
        """As `SlotBoard.reserve`."""
        return await self._visit(lambda connection: self._reserve(connection, interval, hold))

    async def take(self, visit: Visit) -> Taken:
        """As `SlotBoard.take`."""
        return await self._visit(lambda connection: self._take(connection, visit))

    async def tell(self, source: str, notes: Sequence[Note]) -> None:
        """As `SlotBoard.tell`."""

        def write(connection: sqlite3.Connection) -> None:
            for note in notes:
                self._write(connection, source, note)

        await self._visit(write)

    async def _visit(self, what: Callable[[sqlite3.Connection], T]) -> T:
        """Does one thing while nobody else is on the board."""
        if self._pid != os.getpid():  # a fork: the lock may be one that nobody here will let go
            self._visiting = threading.Lock()
        for _ in range(_TRIES):
            try:
                with self._visiting, self._alone() as connection:
                    return what(connection)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise self._unusable(error) from error
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            await asyncio.sleep(_BUSY)
        raise SlotBoardError(
            f"{self._path}: another process keeps the shared rate locked; end it or remove the file"
        )

    def _unusable(self, error: sqlite3.Error) -> SlotBoardError:
        self._shut()
        return SlotBoardError(
            f"{self._path}: cannot hold the shared rate: {error}; remove the file or name another"
        )

    @contextmanager
    def _alone(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._open is None or self._pid != os.getpid():  # SQLite's connections do not survive a fork
            # One visit at a time, though perhaps from several threads.
            self._open = sqlite3.connect(
                self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
            )
            self._pid = os.getpid()
            try:
                # WAL survives a kill at any moment. Without `synchronous` a power cut may spoil the file,
                # but the next boot uses another one.
                self._open.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")
            except BaseException:
                self._shut()
                raise
        return self._open

    def _reserve(self, connection: sqlite3.Connection, interval: float, hold: float) -> Reserved:
        now = self._clock()
        due, until = connection.execute("SELECT due, hold FROM line").fetchone()
        until = max(until, now + hold) if hold > 0 else until
        due = max(now, due + interval, until)
        connection.execute("UPDATE line SET due = ?, hold = ?", (due, until))
        return Reserved(due, due - now)

    def _take(self, connection: sqlite3.Connection, visit: Visit) -> Taken:
        now = self._clock()
        due, until = connection.execute("SELECT due, hold FROM line").fetchone()
        for note in visit.notes:
            self._write(connection, visit.source, note)
        if visit.hold > 0 and now + visit.hold > until:
            until = now + visit.hold
            connection.execute("UPDATE line SET hold = ?", (until,))
        wait = until - now
        full = connection.execute(
            "SELECT at FROM note WHERE kind = 0 ORDER BY seq DESC LIMIT 1 OFFSET ?", (visit.calls - 1,)
        ).fetchone()
        if full is not None:
            wait = max(wait, full[0] + 1.0 + self.slack - now)
        if wait <= 0:
            wait = 0.0
            self._write(connection, visit.source, Note(Kind.LEFT, now, now))
            if now - visit.due > _SLIP:
                connection.execute("UPDATE line SET due = ?", (due + now - visit.due - _SLIP,))
        news = connection.execute(
            "SELECT seq, kind, slot, at FROM note WHERE seq > ? AND source <> ? ORDER BY seq",
            (visit.seen, visit.source),
        ).fetchall()
        (seen,) = connection.execute("SELECT coalesce(max(seq), 0) FROM note").fetchone()
        connection.execute("DELETE FROM note WHERE seq <= ?", (seen - max(_KEPT, 4 * visit.calls),))
        return Taken(wait, now, now, seen, tuple(Note(Kind(kind), slot, at) for _, kind, slot, at in news))

    @staticmethod
    def _write(connection: sqlite3.Connection, source: str, note: Note) -> None:
        if note.kind is Kind.LATE:
            connection.execute(
                "UPDATE note SET at = max(at, ?) WHERE kind = 0 AND source = ? AND slot = ?",
                (note.at, source, note.slot),
            )
        else:
            connection.execute(
                "INSERT INTO note (source, kind, slot, at) VALUES (?, ?, ?, ?)", (source, *note)
            )
