"""The ledger's store: SQLite in WAL mode with full synchronisation, one writing thread, grouped commits.

Whatever is waiting when the writing thread comes around goes into one transaction, so ten answers a
second cost ten commits and two thousand cost a few hundred. A caller's future resolves only after the
commit that holds its record.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.ledger.records import FinishedRow, History, KnownAnswer, Part, PendingRow, UsageKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION: Final = 1
_MOST_GROUPED: Final = 2_000
_LOOKUP_CHUNK: Final = 500


@dataclass(slots=True)
class _Work:
    """One thing to commit, and whom to tell."""

    apply: Callable[[sqlite3.Connection], Any]
    done: Callable[[Any, BaseException | None], None]
    usage: Mapping[UsageKey, int] = field(default_factory=dict)


class Ledger:
    """The ledger of one output folder.

    Reading methods may be called from any one thread at a time; writing ones hand over to the writing
    thread. Close it to stop that thread; what was recorded before is committed.

    Raises:
        OutputError: When the file cannot be opened, or was written by another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._reader = self._connect()
            self._prepare()
        except sqlite3.Error as error:
            raise OutputError(f"{path}: the ledger cannot be opened: {error}") from error
        self._read_lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._failed: OutputError | None = None
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
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
        """Commit what is waiting and stop the writing thread."""
        self._queue.put(None)
        self._thread.join()
        with self._read_lock:
            self._reader.close()

    # -- writing -------------------------------------------------------------------------------------

    def _write(self) -> None:
        connection = self._connect()
        stopping = False
        while not stopping:
            group = [self._queue.get()]
            while len(group) < _MOST_GROUPED:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            stopping = None in group
            self._commit(connection, [work for work in group if work is not None])
        connection.close()

    def _commit(self, connection: sqlite3.Connection, group: list[_Work]) -> None:
        if not group:
            return
        usage: Counter[UsageKey] = Counter()
        results = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in group:
                results.append(work.apply(connection))
                usage.update(work.usage)
            connection.executemany(
                "INSERT INTO usage VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                [
                    (key.day, key.instance, key.operation, key.counter, amount)
                    for key, amount in usage.items()
                ],
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failure = OutputError(
                f"{self._path}: the ledger cannot be written: {error}; "
                "what was answered before is kept, running again resumes"
            )
            for work in group:
                work.done(None, failure)
            return
        for work, result in zip(group, results, strict=True):
            work.done(result, None)

    def _submit(
        self, apply: Callable[[sqlite3.Connection], Any], usage: Mapping[UsageKey, int] | None = None
    ) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def done(result: Any, error: BaseException | None) -> None:
            loop.call_soon_threadsafe(settle, result, error)

        self._queue.put(_Work(apply, done, usage or {}))
        return future

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

        await self._submit(apply, usage)

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

        await self._submit(apply, usage)

    async def seal(self, part: Part) -> None:
        """Declare a part's files final; its rows leave the pending ones.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
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

        await self._submit(apply)

    async def begin_run(self, run: str, started_at: datetime) -> None:
        """Record that a run has started."""
        moment = started_at.isoformat(timespec="seconds")
        await self._submit(
            lambda connection: connection.execute(
                "INSERT INTO runs (run, started_at) VALUES (?, ?)", (run, moment)
            )
        )

    async def end_run(self, run: str, ended_at: datetime, summary: Mapping[str, Any]) -> None:
        """Record how a run has ended."""
        moment, text = ended_at.isoformat(timespec="seconds"), json.dumps(summary, default=str)
        await self._submit(
            lambda connection: connection.execute(
                "UPDATE runs SET ended_at = ?, summary = ? WHERE run = ?", (moment, text, run)
            )
        )

    async def set_meta(self, name: str, value: str) -> None:
        """Keep a named text."""
        await self._submit(
            lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))
        )

    # -- reading -------------------------------------------------------------------------------------

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._read_lock:
            try:
                return self._reader.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise OutputError(f"{self._path}: the ledger cannot be read: {error}") from error

    def meta(self, name: str) -> str | None:
        """A named text, None when it was never set."""
        found = self._all("SELECT value FROM meta WHERE name = ?", (name,))
        return found[0][0] if found else None

    def finished(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those of `digests` whose rows have their outcome."""
        found: set[bytes] = set()
        for start in range(0, len(digests), _LOOKUP_CHUNK):
            chunk = digests[start : start + _LOOKUP_CHUNK]
            marks = ",".join("?" * len(chunk))
            wanted = "SELECT digest FROM rows WHERE digest IN (" + marks + ")"  # noqa: S608 - only question marks
            found.update(row[0] for row in self._all(wanted, chunk))
        return found

    def finished_count(self) -> int:
        """How many rows have their outcome."""
        return int(self._all("SELECT count(*) FROM rows")[0][0])

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """How many rows ended as each (code, origin); (None, None) is success."""
        found = self._all("SELECT code, origin, count(*) FROM rows GROUP BY code, origin")
        return {(code, origin): count for code, origin, count in found}

    def histories(self) -> dict[bytes, History]:
        """Attempts and pages of every row that has no outcome yet: as many as were being worked on."""
        attempts: dict[bytes, list[str]] = {}
        for digest, detail in self._all("SELECT digest, detail FROM attempts ORDER BY digest, number"):
            attempts.setdefault(digest, []).append(detail)
        pages: dict[bytes, dict[int, bytes]] = {}
        for digest, page, answer in self._all("SELECT digest, page, answer FROM pages"):
            pages.setdefault(digest, {})[page] = answer
        return {digest: History(tuple(found), pages.get(digest, {})) for digest, found in attempts.items()}

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

    def pending_count(self) -> int:
        """How many outcomes wait for their part."""
        return int(self._all("SELECT count(*) FROM pending")[0][0])

    def pending(self, most: int, *, chunk: int = 200) -> Iterator[list[PendingRow]]:
        """Outcomes that wait for their part, oldest first, at most `most`, in chunks."""
        after, left = -1, most
        while left > 0:
            found = self._all(
                "SELECT seq, result, hits, carried FROM pending WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, min(chunk, left)),
            )
            if not found:
                return
            yield [PendingRow(*row) for row in found]
            after, left = found[-1][0], left - len(found)

    def parts(self) -> list[Part]:
        """Sealed parts, oldest first."""
        found = self._all(
            "SELECT name, last_seq, rows, hits, results_sha256, hits_sha256 FROM parts ORDER BY part"
        )
        return [Part(*row) for row in found]

    def usage(self) -> dict[UsageKey, int]:
        """Every counter."""
        found = self._all("SELECT day, instance, operation, counter, amount FROM usage")
        return {UsageKey(*row[:4]): row[4] for row in found}
