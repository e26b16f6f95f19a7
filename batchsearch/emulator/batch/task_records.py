"""An instance's batch tasks on disk, in the file of its items: they outlive the process as those do."""

from __future__ import annotations

import json
import secrets
import zlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from batchsearch.emulator.search.items import ItemStore

TaskKind = Literal["increment", "dump"]
PROCESSING: Final = "PROCESSING"
SUCCESS: Final = "SUCCESS"
FAIL: Final = "FAIL"

KEPT_DUMPS: Final = 10
"""Exports whose content is kept; that of older ones goes when a new one is begun."""

_COLUMNS: Final = (
    "id, kind, status, code, message, bucket, path, callback, created, modified, tag, position, line, failed"
)
_WANTED: Final = (
    "kind = :kind AND (:id IS NULL OR id = :id) AND (:bucket IS NULL OR bucket = :bucket) "
    "AND (:path IS NULL OR path = :path)"
)
_SECRET: Final = "file secret"  # noqa: S105 - its name


class TaskRunsError(Exception):
    """A task of this kind is in progress."""


@dataclass(frozen=True, slots=True)
class BatchTask:
    """One task.

    Attributes:
        id: Its number, of all tasks of the instance.
        kind: What it does.
        status: `PROCESSING`, `SUCCESS` or `FAIL`.
        code: Why it failed.
        message: The same in words, or what it did.
        bucket: Of an increment: where the list is.
        path: Folder of the list.
        callback: Who was to be told of its end; nobody is.
        created: When it was begun, milliseconds since 1970.
        modified: When something of it last changed, the same.
        tag: What the list was when it was begun with.
        position: Bytes of the list that are done.
        line: Lines that are done, or written.
        failed: Lines that failed.
    """

    id: int
    kind: TaskKind
    status: str
    code: str | None
    message: str | None
    bucket: str | None
    path: str | None
    callback: str | None
    created: int
    modified: int
    tag: str | None
    position: int
    line: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A line that failed."""

    line: int
    product_id: str | None
    pic_name: str | None
    code: str
    message: str


class TaskRecords:
    """The tasks of one instance. Calls may come from any thread.

    Args:
        store: The file of the instance's items.
        now: Clock, seconds since 1970.
    """

    def __init__(self, store: ItemStore, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        script = resources.files(__package__).joinpath("tasks.sql").read_text(encoding="utf-8")
        statements = [statement for statement in script.split(";") if statement.strip()]

        def prepare(connection: sqlite3.Connection) -> str:
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (_SECRET, secrets.token_hex(32)))
            found = connection.execute("SELECT value FROM meta WHERE name = ?", (_SECRET,)).fetchone()
            return str(found[0])

        self.secret = bytes.fromhex(store.write(prepare))
        """What addresses of the instance's files are signed with: those given out outlive the process."""

    def _stamp(self) -> int:
        return int(self._now() * 1000)

    def begin(
        self,
        kind: TaskKind,
        *,
        bucket: str | None = None,
        path: str | None = None,
        callback: str | None = None,
    ) -> BatchTask:
        """A new task.

        Raises:
            TaskRunsError: One of its kind is in progress.
        """
        stamp = self._stamp()

        def insert(connection: sqlite3.Connection) -> int:
            running = connection.execute(
                "SELECT 1 FROM tasks WHERE kind = ? AND status = ?", (kind, PROCESSING)
            ).fetchone()
            if running is not None:
                raise TaskRunsError(kind)
            made = connection.execute(
                "INSERT INTO tasks (kind, status, bucket, path, callback, created, modified) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kind, PROCESSING, bucket, path, callback, stamp, stamp),
            )
            if kind == "dump":
                connection.execute(
                    "DELETE FROM dumped WHERE task NOT IN "
                    "(SELECT id FROM tasks WHERE kind = 'dump' ORDER BY id DESC LIMIT ?)",
                    (KEPT_DUMPS,),
                )
            return int(made.lastrowid or 0)

        (task,) = self.listed(kind, id=self._store.write(insert))[0]
        return task

    def listed(
        self,
        kind: TaskKind,
        *,
        id: int | None = None,  # noqa: A002 - as the vendor calls it
        bucket: str | None = None,
        path: str | None = None,
        start: int = 0,
        num: int = 1,
    ) -> tuple[list[BatchTask], int]:
        """A page of the tasks of a kind, the newest first, and how many there are."""
        wanted = {"kind": kind, "id": id, "bucket": bucket, "path": path, "start": start, "num": num}

        def read(connection: sqlite3.Connection) -> tuple[list[BatchTask], int]:
            page = connection.execute(
                f"SELECT {_COLUMNS} FROM tasks WHERE {_WANTED} "  # noqa: S608 - constants only
                "ORDER BY id DESC LIMIT :num OFFSET :start",
                wanted,
            ).fetchall()
            total = connection.execute(
                f"SELECT count(*) FROM tasks WHERE {_WANTED}",  # noqa: S608 - constants only
                wanted,
            ).fetchone()[0]
            return [BatchTask(*row) for row in page], int(total)

        return self._store.ask(read)

    def _asked(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._store.ask(lambda connection: connection.execute(statement, values).fetchall())

    def _write(self, statement: str, *values: Any) -> None:
        self._store.write(lambda connection: connection.execute(statement, values))

    def unfinished(self) -> list[BatchTask]:
        """The tasks in progress, the oldest first."""
        wanted = f"SELECT {_COLUMNS} FROM tasks WHERE status = ? ORDER BY id"  # noqa: S608 - constants only
        return [BatchTask(*row) for row in self._asked(wanted, PROCESSING)]

    def end(self, task: int, status: str, code: str | None, message: str | None) -> None:
        """A task is over."""
        change = "UPDATE tasks SET status = ?, code = ?, message = ?, modified = ? WHERE id = ?"
        self._write(change, status, code, message, self._stamp(), task)

    def mark(self, task: int, tag: str) -> None:
        """What an increment's list is, now that it was judged."""
        self._write("UPDATE tasks SET tag = ? WHERE id = ?", tag, task)

    def advance(
        self,
        connection: sqlite3.Connection,
        task: int,
        *,
        position: int,
        line: int,
        failures: Sequence[Failure],
    ) -> None:
        """An increment got so far: within the transaction of what it changed."""
        connection.execute(
            "UPDATE tasks SET position = ?, line = ?, failed = failed + ?, modified = ? WHERE id = ?",
            (position, line, len(failures), self._stamp(), task),
        )
        connection.executemany(
            "INSERT INTO task_failures VALUES (?, ?, ?, ?, ?, ?)",
            [
                (task, failure.line, failure.product_id, failure.pic_name, failure.code, failure.message)
                for failure in failures
            ],
        )

    def failures(self, task: int) -> bytes:
        """The lines that failed: a JSON object each."""
        wanted = "SELECT product_id, pic_name, code, message FROM task_failures WHERE task = ? ORDER BY line"
        names = ("ProductId", "PicName", "Code", "Message")
        lines = (dict(zip(names, row, strict=True)) for row in self._asked(wanted, task))
        return "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()

    def begin_dump(self, task: int) -> None:
        """A dump begins, perhaps anew."""
        self._write("DELETE FROM dumped WHERE task = ?", task)

    def keep(self, task: int, number: int, content: bytes, *, line: int) -> None:
        """A piece of what a dump writes."""
        packed = zlib.compress(content)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO dumped VALUES (?, ?, ?)", (task, number, packed))
            connection.execute(
                "UPDATE tasks SET line = ?, modified = ? WHERE id = ?", (line, self._stamp(), task)
            )

        self._store.write(write)

    def dumped(self, task: int) -> bytes:
        """What a dump wrote."""
        found = self._asked("SELECT content FROM dumped WHERE task = ? ORDER BY number", task)
        return b"".join(zlib.decompress(content) for (content,) in found)

    def has_dumped(self, task: int) -> bool:
        """Whether what a dump wrote is still kept; one of an empty instance wrote nothing."""
        wanted = "SELECT min(id) FROM (SELECT id FROM tasks WHERE kind = 'dump' ORDER BY id DESC LIMIT ?)"
        [(oldest,)] = self._asked(wanted, KEPT_DUMPS)
        return oldest is not None and task >= int(oldest)
