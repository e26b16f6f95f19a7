"""The ledger's store: SQLite in WAL mode with full synchronisation, every statement but the commits'.

A caller's coroutine returns only after the commit that holds its record (`commits` says how).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import ExitStack, suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.checksum import forget_sum, note_sum
from batchsearch.storage.ledger.commits import GroupCommits, Record
from batchsearch.storage.ledger.damage import quick_check, refusal, refuse_changed, was_left_open
from batchsearch.storage.ledger.entries import (
    FinishedRow,
    PendingRow,
    UsageKey,
    Waiting,
)
from batchsearch.storage.ledger.row_outcomes import finish_new_rows, finish_row, forget_history, is_new
from batchsearch.storage.ledger.sealed_parts import PartLedger, count_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

SCHEMA_VERSION: Final = 2
_OLDEST_VERSION: Final = 1
_MOST_FINISHED_HERE: Final = 2**20
"""Bytes of digests kept in mind; with more outcomes than that, reading all of them is no cost."""
_PAGES_BEFORE_CHECKPOINT: Final = 8_000
"""32 MB of commits are kept beside the ledger until they are written into it. Rows come in no order of their
digests: each one changes pages of its own, and eight times as many at once take half of the time."""
_PENDING_CHUNK_ROWS: Final = 200
_PENDING_CHUNK_BYTES: Final = 8 * 1024 * 1024


class Ledger(PartLedger):
    """The ledger of one output folder.

    Reading methods may be called from any thread; writing ones hand over to the writing thread. Close it to
    stop that thread; what was recorded before is committed.

    Attributes:
        is_as_left: When it was opened its file was that of its last writer, byte for byte.
        began_with: Its rows counted and summed up when it was opened, set by who has read them all then.

    Raises:
        OutputDamagedError: When the file is another than its last writer left, or has pages that are none.
        OutputError: When the file cannot be opened, or was written by another version; from every method:
            it cannot be read or written (any more), or is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_lock = threading.Lock()
        self._finished_here: bytearray | None = bytearray()
        self.began_with = ""
        left_open = was_left_open(path)
        self.is_as_left = refuse_changed(path)
        forget_sum(path)
        with ExitStack() as opened:
            try:
                self._reader = self._connect(opened)
                if left_open:
                    quick_check(path, self._reader)
                self._prepare()
                writer = self._connect(opened)
                # What a statement of many rows is undone with: else a file for each, made and deleted.
                writer.execute("PRAGMA temp_store = MEMORY")
                writer.execute(f"PRAGMA wal_autocheckpoint = {_PAGES_BEFORE_CHECKPOINT}")
                self._waiting = _count_all_waiting(writer)
            except sqlite3.Error as error:
                raise refusal(path, "the ledger cannot be opened", error) from error
            self._commits = GroupCommits(path, writer, add_usage=_add_usage, after_failure=self._recount)
            opened.pop_all()

    def _connect(self, opened: ExitStack) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
        opened.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _prepare(self) -> None:
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 or _OLDEST_VERSION <= version < SCHEMA_VERSION:
            name = f"from_version_{version}.sql" if version else "schema.sql"
            script = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
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
        note_sum(self._path)

    # -- writing -------------------------------------------------------------------------------------

    async def _write(
        self,
        apply: Callable[[sqlite3.Connection], Any],
        usage: Mapping[UsageKey, int] | None = None,
        committed: Callable[[Any], None] | None = None,
    ) -> None:
        await self._commits.submit(Record(apply, usage or {}, committed))

    async def _write_all(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        # A cursor that is left open would keep the file open behind the ledger's end.
        await self._write(lambda connection: connection.executemany(statement, values).close())

    async def finish(self, row: FinishedRow, usage: Mapping[UsageKey, int]) -> None:
        """Make a row's outcome durable; returns after the commit.

        Raises:
            OutputError: When it could not be committed.
        """
        size = len(row.result) + len(row.hits) + len(row.carried)
        await self._commits.submit(
            Record(
                lambda connection: finish_row(connection, row),
                usage,
                committed=lambda _: self._finished(row, size),
                value=row,
                apply_all=finish_new_rows if is_new(row) else None,
            )
        )

    async def stand(self, digest: bytes, source: bytes | None, usage: Mapping[UsageKey, int]) -> None:
        """Let a row that was to be renewed keep its outcome.

        Args:
            digest: The row.
            source: What the manifest and the image's file say of it now; None leaves what was noted.
            usage: What finding that out has cost.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
            if source is not None:
                connection.execute("UPDATE rows SET source = ? WHERE digest = ?", (source, digest))
            connection.execute("DELETE FROM renewals WHERE digest = ?", (digest,))
            forget_history(connection, digest)

        await self._write(apply, usage)

    async def forget(self, digest: bytes) -> None:
        """Drop the attempts and pages of a row that are of another request than it makes now.

        Raises:
            OutputError: When it could not be committed.
        """
        await self._write(lambda connection: forget_history(connection, digest))

    async def mark(self, reasons: Mapping[bytes, str]) -> None:
        """Note that finished rows, by digest, are to get another outcome, and why.

        Raises:
            OutputError: When it could not be committed.
        """
        await self._write_all("INSERT OR REPLACE INTO renewals VALUES (?, ?)", reasons.items())

    async def mark_outcomes(self, outcomes: Sequence[tuple[str | None, str | None]], reason: str) -> None:
        """Note that all rows that ended as one of these (code, origin) are to get another outcome.

        Raises:
            OutputError: When it could not be committed.
        """
        await self._write_all(
            "INSERT OR REPLACE INTO renewals SELECT digest, ? FROM rows WHERE code IS ? AND origin IS ?",
            [(reason, code, origin) for code, origin in outcomes],
        )

    async def set_sources(self, sources: Mapping[bytes, bytes]) -> None:
        """Note what the manifest and the images' files say of rows of which nothing was noted.

        Raises:
            OutputError: When it could not be committed.
        """
        values = [(source, digest) for digest, source in sources.items()]
        await self._write_all("UPDATE rows SET source = ? WHERE digest = ?", values)

    async def forget_renewals(self) -> None:
        """Drop what is left of the marks: rows that the manifest does not have.

        Raises:
            OutputError: When it could not be committed.
        """
        await self._write(lambda connection: connection.execute("DELETE FROM renewals"))

    async def forget_answers(self) -> None:
        """Drop what is known of answered requests: they were answered by another instance.

        Raises:
            OutputError: When it could not be committed.
        """
        await self._write(lambda connection: connection.execute("DELETE FROM answers"))

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

    async def begin_run(self, run: str, started_at: datetime) -> None:
        """Record that a run has started."""
        moment = started_at.isoformat(timespec="seconds")
        await self._write_all("INSERT INTO runs (run, started_at) VALUES (?, ?)", [(run, moment)])

    async def end_run(self, run: str, ended_at: datetime, summary: Mapping[str, Any]) -> None:
        """Record how a run has ended."""
        moment, text = ended_at.isoformat(timespec="seconds"), json.dumps(summary, default=str)
        change = "UPDATE runs SET ended_at = ?, summary = ? WHERE run = ?"
        await self._write_all(change, [(moment, text, run)])

    async def set_meta(self, name: str, value: str) -> None:
        """Keep a named text."""
        await self._write_all("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(name, value)])

    @property
    def finished_here(self) -> bytes | None:
        """The digests of rows that got their first outcome since it was opened; None when they are many."""
        return None if self._finished_here is None else bytes(self._finished_here)

    def _finished(self, row: FinishedRow, size: int) -> None:
        self._count(1, size, replaces=row.replaces)
        if not row.replaces and self._finished_here is not None:
            self._finished_here += row.digest
            if len(self._finished_here) > _MOST_FINISHED_HERE:
                self._finished_here = None

    def _count(self, rows: int, payload: int, *, replaces: bool) -> None:
        before = self._waiting[replaces]
        self._waiting[replaces] = Waiting(before.rows + rows, before.payload + payload)

    def _recount(self, connection: sqlite3.Connection) -> None:
        # A ledger that cannot be read will not be written either: then the count no longer matters.
        with suppress(sqlite3.Error):
            self._waiting = _count_all_waiting(connection)

    # -- reading -------------------------------------------------------------------------------------

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._read_lock:
            try:
                return self._reader.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: sqlite3.Error) -> OutputError:
        return refusal(self._path, "the ledger cannot be read", error)

    def waiting(self, *, replaces: bool = False) -> Waiting:
        """What waits for its part, as of the last commit; costs nothing to ask.

        Args:
            replaces: Ask for outcomes that replace an earlier one, which have parts of their own.
        """
        return self._waiting[replaces]

    def pending(
        self,
        most: int,
        *,
        replaces: bool = False,
        most_bytes: int | None = None,
        chunk: int = _PENDING_CHUNK_ROWS,
        chunk_bytes: int = _PENDING_CHUNK_BYTES,
    ) -> Iterator[list[PendingRow]]:
        """Outcomes that wait for their part, oldest first, in chunks that memory can hold.

        Args:
            most: Rows over all chunks.
            replaces: Those that replace an earlier outcome, or those that do not.
            most_bytes: Payload over all chunks: the row that reaches it is the last one; None for no bound.
            chunk: Rows in one chunk.
            chunk_bytes: Payload of one chunk: the row that reaches it is its last one.
        """
        after, left = -1, most
        bytes_left = float("inf") if most_bytes is None else most_bytes
        while left > 0 and bytes_left > 0:
            found, size = self._pending_chunk(
                after, min(chunk, left), min(chunk_bytes, bytes_left), replaces=replaces
            )
            if not found:
                return
            after, left, bytes_left = found[-1].seq, left - len(found), bytes_left - size
            yield found

    def _pending_chunk(
        self, after: int, rows: int, payload: float, *, replaces: bool
    ) -> tuple[list[PendingRow], int]:
        """The next rows and their size; the cursor is gone on return, so that the log can be emptied."""
        found, size = [], 0
        with self._read_lock:
            try:
                cursor = self._reader.execute(
                    "SELECT seq, result, hits, carried FROM pending WHERE seq > ? AND replaces = ? "
                    "ORDER BY seq LIMIT ?",
                    (after, replaces, rows),
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


def _count_all_waiting(connection: sqlite3.Connection) -> list[Waiting]:
    """Outcomes that replace none, and those that replace one."""
    return [count_waiting(connection, replaces=replaces) for replaces in (False, True)]


def _add_usage(connection: sqlite3.Connection, usage: Mapping[UsageKey, int]) -> None:
    connection.executemany(
        "INSERT INTO usage VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        [(key.day, key.instance, key.operation, key.counter, amount) for key, amount in usage.items()],
    )
