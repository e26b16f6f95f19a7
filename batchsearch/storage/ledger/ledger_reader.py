"""A ledger looked at without touching it: no lock, no file made, a run that works on it is not disturbed.

A ledger whose run is over has no write-ahead log beside it. SQLite would make one even for reading, so such
a ledger is read as an immutable file, and read again should a run have begun meanwhile. Beside a run the
log is there, and reading takes no lock that a writer waits for; no transaction outlives its query, so the
log can be emptied.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.checksum import log_of
from batchsearch.storage.ledger.damage import refusal
from batchsearch.storage.ledger.queries import LedgerQueries, chunks_of
from batchsearch.storage.ledger.store import SCHEMA_VERSION
from batchsearch.storage.sealed_part import STAGED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BUSY_SECONDS: Final = 30.0
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A request that has a lasting answer.

    Attributes:
        answered_at: Seconds since 1970.
        part: Folder under the output folder (empty for that one itself) and name of a sealed part whose
            outcomes reach over it; None while the ledger itself holds it, or when nothing does any more.
        pending: The ledger itself holds it.
    """

    answered_at: float
    part: tuple[str, str] | None
    pending: bool


@dataclass(frozen=True, slots=True)
class _State:
    """What tells that a ledger's file may have changed."""

    logged: bool
    modified: int
    size: int


class LedgerReader(LedgerQueries):
    """Reads the ledger of one output folder, as a context manager; usable from several threads.

    Args:
        path: The ledger's file.
        oldest: Oldest schema version that is understood; by default the one that this version writes.

    Attributes:
        version: Schema version of the ledger, once it is open.

    Raises:
        OutputError: From every method: the file cannot be read, or another version wrote it.
    """

    def __init__(self, path: Path, *, oldest: int = SCHEMA_VERSION) -> None:
        self._path = path
        self._oldest = oldest
        self.version = 0
        self._connection: sqlite3.Connection | None = None
        self._opened: _State | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        # Where this raises, `__exit__` is not called.
        with ExitStack() as refused:
            refused.callback(self.close)
            version = self.version = int(self._all("PRAGMA user_version")[0][0])
            if not self._oldest <= version <= SCHEMA_VERSION:
                advice = "use the batchsearch that wrote it"
                if version < SCHEMA_VERSION:
                    advice = "`batchsearch run` brings it up to date"
                raise OutputError(
                    f"{self._path}: this ledger has schema version {version}, this batchsearch reads version "
                    f"{SCHEMA_VERSION}; {advice}"
                )
            refused.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._disconnect()

    def answered(self, request_keys: Sequence[bytes]) -> dict[bytes, AnsweredRequest]:
        """Those of these requests (SHA-256, 32 bytes) that have a lasting answer, and where it is."""
        found: dict[bytes, AnsweredRequest] = {}
        for chunk, marks in chunks_of(request_keys):
            wanted = (
                "SELECT request_key, answered_at, pending.seq IS NOT NULL, "  # noqa: S608 - only question marks
                "(SELECT place || '/' || name FROM parts WHERE place IN ('current', 'staged') "
                "AND first_seq <= answers.seq AND last_seq >= answers.seq ORDER BY part LIMIT 1) "
                "FROM answers LEFT JOIN pending ON pending.seq = answers.seq "
                "WHERE request_key IN (" + marks + ")"
            )
            for key, answered_at, pending, part in self._all(wanted, chunk):
                place, _, name = (part or "").partition("/")
                held = (STAGED if place == STAGED else "", name) if name else None
                found[key] = AnsweredRequest(answered_at, held, bool(pending))
        return found

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            for _ in range(_TRIES):
                try:
                    connection = self._connect()
                    found = connection.execute(statement, values).fetchall()
                except (OSError, sqlite3.Error) as error:
                    if self._unchanged():
                        raise refusal(self._path, "the ledger cannot be read", error) from error
                else:
                    if self._unchanged():
                        return found
                self._disconnect()
        raise OutputError(f"{self._path}: the ledger changes too fast to be read; try again in a moment")

    def _connect(self) -> sqlite3.Connection:
        state = self._state()
        if self._connection is not None and self._trusted(state):
            return self._connection
        self._disconnect()
        self._opened = state
        self._connection = opened_to_read(self._path, logged=state.logged)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unchanged(self) -> bool:
        try:
            return self._trusted(self._state())
        except OSError:
            return True

    def _trusted(self, now: _State) -> bool:
        """Whether what the open connection reads is whole: SQLite sees to it where there is a log."""
        return self._opened is not None and (self._opened.logged or self._opened == now)

    def _state(self) -> _State:
        about = self._path.stat()
        return _State(log_of(self._path).exists(), about.st_mtime_ns, about.st_size)


def opened_to_read(path: Path, *, logged: bool | None = None) -> sqlite3.Connection:
    """A connection that makes no file beside the ledger.

    Args:
        path: The ledger.
        logged: Whether its write-ahead log is there; None to look.

    Raises:
        OSError: The file cannot be looked at.
        sqlite3.Error: It cannot be opened.
    """
    how = "mode=ro" if (log_of(path).exists() if logged is None else logged) else "immutable=1"
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path.absolute()))}?{how}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )
