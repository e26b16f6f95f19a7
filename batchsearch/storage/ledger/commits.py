"""The ledger's writing thread: whatever waits when it comes around goes into one transaction.

Ten records a second cost ten commits, two thousand cost a few hundred (`crowd`). Every record is told what
became of it, whatever goes wrong: after the commit that holds it, or with an error. A record that cannot be
written fails alone; those that shared its transaction are written without it.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from batchsearch import crash_points
from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.quick_record import quick_record
from batchsearch.storage.ledger.crowd import PAUSE, Crowd
from batchsearch.storage.ledger.damage import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from batchsearch.storage.ledger.entries import UsageKey

_MOST_GROUPED: Final = 2_000

_UNUSABLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Primary result codes of SQLite (https://www.sqlite.org/rescode.html) that are no single record's fault."""


_Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What became of a record: what its statements returned, or why it was refused."""


@quick_record
class Record:
    """One thing to commit.

    Attributes:
        apply: Its statements, run inside a transaction; the caller gets what it returns.
        usage: What it adds to the counters.
        committed: Given what `apply` returned, in the writing thread, once the commit is on disk.
        value: What `apply_all` is given of it.
        apply_all: Does for several records in a row what `apply` does for each, by fewer statements: each
            costs a wait for the interpreter. Such records return nothing.
    """

    apply: Callable[[sqlite3.Connection], Any]
    usage: Mapping[UsageKey, int] = field(default_factory=dict)
    committed: Callable[[Any], None] | None = None
    value: Any = None
    apply_all: Callable[[sqlite3.Connection, list[Any]], None] | None = None


@quick_record
class _Waiting:
    """A record in the queue, and whom to tell."""

    record: Record
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


def _tell(told: Iterable[tuple[_Waiting, _Outcome]]) -> None:
    """Tell everybody what became of their records: each event loop is woken once."""
    of_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for waiting, outcome in told:
        of_loops.setdefault(waiting.loop, []).append((waiting.future, outcome))
    for loop, settled in of_loops.items():
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: list[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, (result, error) in settled:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


class GroupCommits:
    """Commits records over one connection, from a thread of its own.

    Args:
        path: The ledger's file, for messages.
        connection: Used, and closed at the end, by the writing thread only.
        add_usage: Adds counters, inside a transaction.
        after_failure: Called in the writing thread after a transaction that failed, before anybody is told.

    Nothing that a record does or holds can stop the thread; should it die all the same, everybody who waits
    and everybody who comes later is told.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        *,
        add_usage: Callable[[sqlite3.Connection, Mapping[UsageKey, int]], None],
        after_failure: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._path = path
        self._connection = connection
        self._add_usage = add_usage
        self._after_failure = after_failure
        self._crowd = Crowd()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        # Guards the decision that nothing may be handed over any more: what is in the queue is settled.
        self._handing_over = threading.Lock()
        self._refusal = ""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, record: Record) -> asyncio.Future[Any]:
        """Hand a record over; the future resolves after its commit to what its `apply` returned.

        Raises:
            OutputError: Nothing can be written any more; from the future: this could not be.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._handing_over:
            if self._refusal:
                raise OutputError(self._refusal)
            self._queue.put(_Waiting(record, future, loop))
        return future

    def close(self) -> None:
        """Commit what is waiting, stop the thread and close the connection; more than once does nothing."""
        self._refuse(f"{self._path}: the ledger is closed")
        self._queue.put(None)
        self._thread.join()

    def _refuse(self, why: str) -> None:
        with self._handing_over:
            self._refusal = self._refusal or why

    def _run(self) -> None:
        group: list[_Waiting] = []
        try:
            stopping = False
            while not stopping:
                group, stopping = self._next_group()
                if group:
                    self._commit(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            refusing = self._error("the ledger can no longer be written", error)
            self._refuse(str(refusing))
            _tell((waiting, (None, refusing)) for waiting in (*group, *self._left()))
        finally:
            with suppress(sqlite3.Error):
                self._connection.close()

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """What waits, at least one thing, and whether nothing comes after it."""
        group: list[_Waiting] = []
        taken = self._queue.get()
        for _ in range(self._crowd.pauses(time.monotonic()) if taken is not None else 0):
            before = self._queue.qsize()
            time.sleep(PAUSE)
            if self._queue.qsize() == before:
                break  # whoever might have come waits for this commit
        while taken is not None:
            group.append(taken)
            if len(group) == _MOST_GROUPED or self._queue.empty():
                self._crowd.came(len(group))
                return group, False
            taken = self._queue.get()
        return group, True

    def _left(self) -> list[_Waiting]:
        left = []
        while not self._queue.empty():
            taken = self._queue.get()
            if taken is not None:
                left.append(taken)
        return left

    def _commit(self, group: list[_Waiting]) -> None:
        failed = False
        try:
            outcomes = self._together(group)
        except BaseException as error:  # noqa: BLE001 - an innocent record must not suffer for another one
            failed = True
            self._roll_back()
            outcomes = self._apart(group, error)
        for waiting, (result, refused) in zip(group, outcomes, strict=True):
            if refused is None and waiting.record.committed is not None:
                waiting.record.committed(result)
        if failed:
            self._after_failure(self._connection)
        _tell(zip(group, map(self._told, outcomes), strict=True))

    def _together(self, group: list[_Waiting]) -> list[_Outcome]:
        """All records in one transaction; any error is everybody's."""
        usage: Counter[UsageKey] = Counter()
        results: list[Any] = []
        self._connection.execute("BEGIN IMMEDIATE")
        for apply_all, alike in groupby((waiting.record for waiting in group), attrgetter("apply_all")):
            records = list(alike)
            if apply_all is None:
                results += [record.apply(self._connection) for record in records]
            else:
                apply_all(self._connection, [record.value for record in records])
                results += [None] * len(records)
            for record in records:
                for key, amount in record.usage.items():
                    usage[key] += amount
        self._add_usage(self._connection, usage)
        crash_points.reached("ledger_commit_before")
        self._connection.execute("COMMIT")
        crash_points.reached("ledger_commit_after")
        return [(result, None) for result in results]

    def _apart(self, group: list[_Waiting], first: BaseException) -> list[_Outcome]:
        """The records again, each undone alone when it fails; every one with its result or its error."""
        if len(group) == 1 or _unusable(first):
            return [(None, first)] * len(group)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._alone(waiting.record) for waiting in group]
            self._connection.execute("COMMIT")
        except BaseException as error:  # noqa: BLE001 - told to every record of the group
            self._roll_back()
            return [(None, error)] * len(group)
        return outcomes

    def _alone(self, record: Record) -> _Outcome:
        self._connection.execute("SAVEPOINT record")
        outcome: _Outcome
        try:
            result = record.apply(self._connection)
            self._add_usage(self._connection, record.usage)
        except BaseException as error:
            # SQLite itself ends the whole transaction on some errors: then there is no savepoint to go to.
            if _unusable(error) or not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO record")
            outcome = None, error
        else:
            outcome = result, None
        self._connection.execute("RELEASE record")
        return outcome

    def _told(self, outcome: _Outcome) -> _Outcome:
        """What became of a record, an error in words for who waits."""
        result, refused = outcome
        return result, None if refused is None else self._error("the ledger cannot be written", refused)

    def _error(self, what: str, error: BaseException) -> OutputError:
        told = refusal(self._path, what, error)
        if isinstance(told, OutputDamagedError):
            return told
        return OutputError(f"{self._path}: {what}: {_told(error)}; {_KEPT}")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")


_KEPT: Final = "what was answered before is kept, running again resumes"


def _unusable(error: BaseException) -> bool:
    """Whether the database or its disk refuses, and not one record is to blame."""
    code = getattr(error, "sqlite_errorcode", None)
    # The low byte of an extended result code is its primary one.
    return isinstance(error, sqlite3.Error) and code is not None and code & 0xFF in _UNUSABLE


def _told(error: BaseException) -> str:
    return (
        str(error) if isinstance(error, sqlite3.Error | OutputError) else f"{type(error).__name__}: {error}"
    )
