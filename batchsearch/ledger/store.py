"""The ledger's store: SQLite in WAL mode with full synchronisation, every statement but the commits'.

A caller's coroutine returns only after the commit that holds its record (`commits` says how).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import suppress
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.ledger.commits import GroupCommits, Record
from batchsearch.ledger.queries import LedgerQueries
from batchsearch.ledger.records import (
    FinishedRow,
    KnownAnswer,
    Part,
    PendingRow,
    UsageKey,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION: Final = 1
_PENDING_CHUNK_ROWS: Final = 200
_PENDING_CHUNK_BYTES: Final = 8 * 1024 * 1024
_PAYLOAD: Final = "length(result) + length(hits) + length(carried)"


class Ledger(LedgerQueries):
    """The ledger of one output folder.

    Reading methods may be called from any thread; writing ones hand over to the writing thread. Close it to
    stop that thread; what was recorded before is committed.

    Raises:
        OutputError: When the file cannot be opened, or was written by another version; from every method:
            it cannot be read or written (any more), or is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_lock = threading.Lock()
        opened: list[sqlite3.Connection] = []
        try:
            self._reader = self._connect(opened)
            self._prepare()
            writer = self._connect(opened)
            self._waiting = _count_waiting(writer)
        except (sqlite3.Error, OutputError) as error:
            for connection in opened:
                connection.close()
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{path}: the ledger cannot be opened: {error}") from error
        self._commits = GroupCommits(path, writer, add_usage=_add_usage, after_failure=self._recount)

    def _connect(self, opened: list[sqlite3.Connection]) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        opened.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _prepare(self) -> None:
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            script = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
            self._reader.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise OutputError(
                f"{self._path}: this ledger has schema version {version}, this batchsearch reads version "
                f"{SCHEMA_VERSION}; use the batchsearch that wrote it, or another `output.dir`"
            )

    def close(self) -> None:
        """Commit what is waiting and stop the writing thread; what is asked for later is refused."""
        self._commits.close()
        with self._read_lock:
            self._reader.close()

    # -- writing -------------------------------------------------------------------------------------

    async def _write(
        self,
        apply: Callable[[sqlite3.Connection], Any],
        usage: Mapping[UsageKey, int] | None = None,
        committed: Callable[[Any], None] | None = None,
    ) -> None:
        await self._commits.submit(Record(apply, usage or {}, committed))

    async def finish(self, row: FinishedRow, usage: Mapping[UsageKey, int]) -> None:
        """Make a row's outcome durable; returns after the commit.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO rows VALUES (?, ?, ?)", (row.digest, row.code, row.origin))
            added = connection.execute(
                "INSERT INTO pending (result, hits, carried) VALUES (?, ?, ?)",
                (row.result, row.hits, row.carried),
            )
            if row.answer is not None:
                connection.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
                    (row.answer.request_key, added.lastrowid, row.answer.answered_at),
                )
            if row.has_history:
                connection.execute("DELETE FROM attempts WHERE digest = ?", (row.digest,))
                connection.execute("DELETE FROM pages WHERE digest = ?", (row.digest,))

        size = len(row.result) + len(row.hits) + len(row.carried)
        await self._write(apply, usage, lambda _: self._count(1, size))

    async def attempt(
        self,
        digest: bytes,
        number: int,
        detail: str,
        usage: Mapping[UsageKey, int],
        *,
        page: tuple[int, bytes] | None = None,
    ) -> None:
        """Record an attempt that did not end its row, with the page that it answered, if any.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?)", (digest, number, detail))
            if page is not None:
                connection.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", (digest, *page))

        await self._write(apply, usage)

    async def seal(self, part: Part) -> None:
        """Declare a part's files final; its rows leave the pending ones.

        Raises:
            OutputError: When it could not be committed, or does not hold exactly the rows that would leave.
        """

        def apply(connection: sqlite3.Connection) -> Waiting:
            leaving = _count_waiting(connection, part.last_seq)
            if leaving.rows != part.rows:
                raise OutputError(
                    f"part {part.name} has {part.rows} rows where {leaving.rows} wait up to number "
                    f"{part.last_seq}: it is not sealed, nothing is lost"
                )
            connection.execute(
                "INSERT INTO parts (name, last_seq, rows, hits, results_sha256, hits_sha256, sealed_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    part.name,
                    part.last_seq,
                    part.rows,
                    part.hits,
                    part.results_sha256,
                    part.hits_sha256,
                    datetime.now(UTC).isoformat(timespec="seconds"),
                ),
            )
            connection.execute("DELETE FROM pending WHERE seq <= ?", (part.last_seq,))
            return leaving

        await self._write(apply, committed=lambda leaving: self._count(-leaving.rows, -leaving.payload))

    async def begin_run(self, run: str, started_at: datetime) -> None:
        """Record that a run has started."""
        moment = started_at.isoformat(timespec="seconds")
        await self._write(
            lambda connection: connection.execute(
                "INSERT INTO runs (run, started_at) VALUES (?, ?)", (run, moment)
            )
        )

    async def end_run(self, run: str, ended_at: datetime, summary: Mapping[str, Any]) -> None:
        """Record how a run has ended."""
        moment, text = ended_at.isoformat(timespec="seconds"), json.dumps(summary, default=str)
        await self._write(
            lambda connection: connection.execute(
                "UPDATE runs SET ended_at = ?, summary = ? WHERE run = ?", (moment, text, run)
            )
        )

    async def set_meta(self, name: str, value: str) -> None:
        """Keep a named text."""
        await self._write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        )

    def _count(self, rows: int, payload: int) -> None:
        self._waiting = Waiting(self._waiting.rows + rows, self._waiting.payload + payload)

    def _recount(self, connection: sqlite3.Connection) -> None:
        # A ledger that cannot be read will not be written either: then the count no longer matters.
        with suppress(sqlite3.Error):
            self._waiting = _count_waiting(connection)

    # -- reading -------------------------------------------------------------------------------------

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._read_lock:
            try:
                return self._reader.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> OutputError:
        return OutputError(f"{self._path}: the ledger cannot be read: {error}")

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """How many rows ended as each (code, origin); (None, None) is success."""
        found = self._all("SELECT code, origin, count(*) FROM rows GROUP BY code, origin")
        return {(code, origin): count for code, origin, count in found}

    def answer(self, request_key: bytes) -> KnownAnswer | None:
        """Where the answer to this request is, None when it has none."""
        found = self._all(
            "SELECT answers.seq, answered_at, result, hits FROM answers "
            "LEFT JOIN pending ON pending.seq = answers.seq WHERE request_key = ?",
            (request_key,),
        )
        if not found:
            return None
        seq, answered_at, result, hits = found[0]
        part = None
        if result is None:
            names = self._all("SELECT name FROM parts WHERE last_seq >= ? ORDER BY part LIMIT 1", (seq,))
            part = names[0][0] if names else None
        return KnownAnswer(answered_at, result, hits, part)

    def answered_requests(self, most: int) -> set[bytes] | None:
        """The requests that have a lasting answer (SHA-256 each); None when there are more than `most`."""
        found = self._all("SELECT request_key FROM answers LIMIT ?", (most + 1,))
        return {row[0] for row in found} if len(found) <= most else None

    @property
    def waiting(self) -> Waiting:
        """What waits for its part, as of the last commit; costs nothing to ask."""
        return self._waiting

    def pending(
        self,
        most: int,
        *,
        most_bytes: int | None = None,
        chunk: int = _PENDING_CHUNK_ROWS,
        chunk_bytes: int = _PENDING_CHUNK_BYTES,
    ) -> Iterator[list[PendingRow]]:
        """Outcomes that wait for their part, oldest first, in chunks that memory can hold.

        Args:
            most: Rows over all chunks.
            most_bytes: Payload over all chunks: the row that reaches it is the last one; None for no bound.
            chunk: Rows in one chunk.
            chunk_bytes: Payload of one chunk: the row that reaches it is its last one.
        """
        after, left = -1, most
        bytes_left = float("inf") if most_bytes is None else most_bytes
        while left > 0 and bytes_left > 0:
            found, size = self._pending_chunk(after, min(chunk, left), min(chunk_bytes, bytes_left))
            if not found:
                return
            after, left, bytes_left = found[-1].seq, left - len(found), bytes_left - size
            yield found

    def _pending_chunk(self, after: int, rows: int, payload: float) -> tuple[list[PendingRow], int]:
        """The next rows and their size; the cursor is gone on return, so that the log can be emptied."""
        found, size = [], 0
        with self._read_lock:
            try:
                cursor = self._reader.execute(
                    "SELECT seq, result, hits, carried FROM pending WHERE seq > ? ORDER BY seq LIMIT ?",
                    (after, rows),
                )
                try:
                    for row in cursor:
                        found.append(PendingRow(*row))
                        size += len(row[1]) + len(row[2]) + len(row[3])
                        if size >= payload:
                            break
                finally:
                    cursor.close()
            except sqlite3.Error as error:
                raise self._unreadable(error) from error
        return found, size

    def parts(self) -> list[Part]:
        """Sealed parts, oldest first."""
        found = self._all(
            "SELECT name, last_seq, rows, hits, results_sha256, hits_sha256 FROM parts ORDER BY part"
        )
        return [Part(*row) for row in found]


def _count_waiting(connection: sqlite3.Connection, last_seq: int | None = None) -> Waiting:
    # SQLite knows the length of a blob without reading it.
    statement = f"SELECT count(*), coalesce(sum({_PAYLOAD}), 0) FROM pending"  # noqa: S608 - a constant
    if last_seq is None:
        return Waiting(*connection.execute(statement).fetchone())
    return Waiting(*connection.execute(statement + " WHERE seq <= ?", (last_seq,)).fetchone())


def _add_usage(connection: sqlite3.Connection, usage: Mapping[UsageKey, int]) -> None:
    connection.executemany(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        [(key.day, key.instance, key.operation, key.counter, amount) for key, amount in usage.items()],
    )
