"""The journal of a load: what the bucket holds, which lines wait, which task took them and how it ended.

SQLite, in the output folder. Everything is committed before anybody acts on it, so that a kill at any moment
leaves a line waiting or taken by a task, and a task asked for, running or ended.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.errors import OutputError
from batchsearch.tasks.load.journal_records import EndedTask, LineState, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from batchsearch.tasks.load.journal_records import StagedLine

_MANY: Final = 10_000


class Journal:
    """Opens or makes a journal; a context manager. May be used from any thread.

    Args:
        path: Its file.

    Raises:
        OutputError: From every method: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            script = resources.files(__package__).joinpath("journal.sql").read_text(encoding="utf-8")
            self._base.executescript(script)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._base.close()

    # -- the bucket ----------------------------------------------------------------------------------

    def knows_bucket(self) -> bool:
        """Whether anything is known of what the bucket holds."""
        return bool(self._rows("SELECT 1 FROM objects LIMIT 1"))

    def know(self, objects: Iterable[tuple[str, str, int]]) -> None:
        """Note what the store lists: names, tags and sizes."""
        with self._writing() as base:
            base.executemany("INSERT OR IGNORE INTO objects (name, tag, bytes) VALUES (?, ?, ?)", objects)

    def holds(self, name: str, sha256: str, md5: Callable[[], str]) -> bool:
        """Whether the bucket has these bytes under a name already.

        Args:
            name: Of the object.
            sha256: Of the bytes.
            md5: Gives theirs, hexadecimal, where that alone can tell.
        """
        found = self._rows("SELECT sha256, tag FROM objects WHERE name = ?", name)
        if not found:
            return False
        known, tag = found[0]
        return known == sha256 if known is not None else tag is not None and tag == md5()

    def owner_of(self, staged: StagedLine) -> str | None:
        """The other product that has another image under the same name; None where the name is free."""
        found = self._rows(
            "SELECT product_id FROM lines WHERE name = ? AND sha256 IS NOT ? AND sha256 IS NOT NULL "
            "AND NOT (product_id = ? AND pic_name = ?) LIMIT 1",
            staged.name,
            staged.sha256,
            staged.product_id,
            staged.pic_name,
        )
        return found[0][0] if found else None

    # -- lines ---------------------------------------------------------------------------------------

    def stage(self, staged: StagedLine, *, size: int | None = None) -> None:
        """Have a line wait for a task, unless it is known as it is.

        Args:
            staged: The line.
            size: Bytes of its image, which the bucket has now; None where the line deletes.
        """
        with self._writing() as base:
            if size is not None:
                base.execute(
                    "INSERT INTO objects (name, sha256, bytes) VALUES (?, ?, ?) ON CONFLICT (name) "
                    "DO UPDATE SET sha256 = excluded.sha256, tag = NULL, bytes = excluded.bytes",
                    (staged.name, staged.sha256, size),
                )
            base.execute(
                "INSERT INTO lines (product_id, pic_name, name, sha256, line, state) "
                "VALUES (?, ?, ?, ?, ?, 'staged') ON CONFLICT (product_id, pic_name) DO UPDATE SET "
                "name = excluded.name, sha256 = excluded.sha256, line = excluded.line, state = 'staged', "
                "task = NULL, code = NULL, message = NULL "
                "WHERE lines.line <> excluded.line OR lines.sha256 IS NOT excluded.sha256",
                (staged.product_id, staged.pic_name, staged.name, staged.sha256, staged.line),
            )

    def line(self, product_id: str, pic_name: str) -> LineState | None:
        """How the line of an image stands; None where there is none."""
        found = self._rows(
            "SELECT l.state, l.name, t.id, l.code, l.message FROM lines l LEFT JOIN tasks t "
            "ON t.number = l.task WHERE l.product_id = ? AND l.pic_name = ?",
            product_id,
            pic_name,
        )
        return LineState(*found[0]) if found else None

    def counts(self) -> dict[str, int]:
        """How many lines there are in each state."""
        return dict(self._rows("SELECT state, count(*) FROM lines GROUP BY state"))

    def failed_codes(self) -> dict[str, int]:
        """How many lines failed with each code."""
        return dict(self._rows("SELECT code, count(*) FROM lines WHERE state = 'failed' GROUP BY code"))

    def put_back(self, codes: Iterable[str]) -> int:
        """Have lines wait again that failed with one of these codes; how many did."""
        with self._writing() as base:
            return sum(
                base.execute(
                    "UPDATE lines SET state = 'staged', task = NULL, code = NULL, message = NULL "
                    "WHERE state = 'failed' AND code = ?",
                    (code,),
                ).rowcount
                for code in codes
            )

    def size_of_bucket(self) -> tuple[int, int]:
        """Objects that are known, and their bytes."""
        count, size = self._rows("SELECT count(*), coalesce(sum(bytes), 0) FROM objects")[0]
        return count, size

    # -- tasks ---------------------------------------------------------------------------------------

    def task_under_way(self) -> Task | None:
        """The task that is not over; there is one at most."""
        found = self._rows(
            "SELECT number, state, lines, known, mark, id FROM tasks WHERE state <> 'ended' "
            "ORDER BY number LIMIT 1"
        )
        if not found:
            return None
        number, state, lines, known, mark, task_id = found[0]
        return Task(number, state, lines, frozenset(json.loads(known)), mark, task_id)

    def begin_task(self, most: int) -> Task | None:
        """Give lines that wait to a new task; None where none waits.

        Args:
            most: Lines that it may have.
        """
        with self._writing() as base:
            number = base.execute("SELECT coalesce(max(number), 0) + 1 FROM tasks").fetchone()[0]
            taken = base.execute(
                "UPDATE lines SET state = 'asked', task = ? WHERE (product_id, pic_name) IN "
                "(SELECT product_id, pic_name FROM lines WHERE state = 'staged' LIMIT ?)",
                (number, most),
            ).rowcount
            if not taken:
                return None
            base.execute(
                "INSERT INTO tasks (number, state, lines, known, began_at) VALUES (?, 'new', ?, '[]', ?)",
                (number, taken, _now()),
            )
        return Task(number, "new", taken, frozenset(), None, None)

    def lines_of(self, number: int) -> Iterator[str]:
        """The lines that a task has taken."""
        last = ("", "")
        while True:
            found = self._rows(
                "SELECT product_id, pic_name, line FROM lines WHERE task = ? AND state = 'asked' "
                "AND (product_id, pic_name) > (?, ?) ORDER BY product_id, pic_name LIMIT ?",
                number,
                *last,
                _MANY,
            )
            if not found:
                return
            for *_, line in found:
                yield line
            last = found[-1][:2]

    def asking(self, number: int, known: Iterable[str], mark: str | None) -> None:
        """Note that a task is about to be asked for, which tasks there were, and which list it is for."""
        with self._writing() as base:
            base.execute(
                "UPDATE tasks SET state = 'asking', known = ?, mark = ? WHERE number = ?",
                (json.dumps(sorted(known)), mark, number),
            )

    def give_back(self, number: int, status: str, code: str, message: str) -> None:
        """Note that a task is over which may have read another list: its lines wait again."""
        with self._writing() as base:
            base.execute(
                "UPDATE lines SET state = 'staged', task = NULL WHERE task = ? AND state = 'asked'", (number,)
            )
            base.execute(
                "UPDATE tasks SET state = 'ended', status = ?, code = ?, message = ?, ended_at = ? "
                "WHERE number = ?",
                (status, code, message, _now(), number),
            )

    def running(self, number: int, task_id: str) -> None:
        """Note a task's id."""
        with self._writing() as base:
            base.execute("UPDATE tasks SET state = 'running', id = ? WHERE number = ?", (task_id, number))

    def end_task(
        self,
        number: int,
        status: str,
        failures: Iterable[tuple[str | None, str, str, str | None]],
        *,
        code: str | None,
        message: str | None,
        unread: Callable[[], int],
    ) -> None:
        """Note how a task ended, and with it each of its lines.

        Args:
            number: Of the task.
            status: The service's word for it.
            failures: Product (None where it is not said), name, code and message of each line that failed.
            code: Of all other lines, where the whole task failed; None where they went well.
            message: The same in words.
            unread: Asked last: lines of the error file that say nothing of any image.
        """
        with self._writing() as base:
            failed = 0
            for product, name, reason, said in failures:
                which = "name = ?" if product is None else "name = ? AND product_id = ?"
                values = (name,) if product is None else (name, product)
                failed += base.execute(
                    f"UPDATE lines SET state = 'failed', code = ?, message = ? WHERE task = ? AND {which} "  # noqa: S608 - of two constants
                    "AND state = 'asked'",
                    (reason, said, number, *values),
                ).rowcount
            if code is not None:
                failed += base.execute(
                    "UPDATE lines SET state = 'failed', code = ?, message = ? "
                    "WHERE task = ? AND state = 'asked'",
                    (code, message, number),
                ).rowcount
            base.execute("UPDATE lines SET state = 'done' WHERE task = ? AND state = 'asked'", (number,))
            base.execute(
                "UPDATE tasks SET state = 'ended', status = ?, code = ?, message = ?, failed = ?, "
                "unread = ?, ended_at = ? WHERE number = ?",
                (status, code, message, failed, unread(), _now(), number),
            )

    def ended_tasks(self, after: int) -> list[EndedTask]:
        """The tasks that are over, but for those up to a number."""
        found = self._rows(
            "SELECT number, id, status, lines, failed, unread, code, message, began_at, ended_at FROM tasks "
            "WHERE state = 'ended' AND number > ? ORDER BY number",
            after,
        )
        return [
            EndedTask(number, task_id, status, lines, failed, unread, code, message, _seconds(began, ended))
            for number, task_id, status, lines, failed, unread, code, message, began, ended in found
        ]

    def last_task(self) -> int:
        """The number of the last task that is over; 0 where none is."""
        number: int = self._rows("SELECT coalesce(max(number), 0) FROM tasks WHERE state = 'ended'")[0][0]
        return number

    # -- rows ----------------------------------------------------------------------------------------

    def put_rows(self, rows: Iterable[tuple[bytes, Mapping[str, Any]]]) -> None:
        """Note what the staging made of the manifest's rows; what was noted before is dropped."""
        with self._writing() as base:
            base.execute("DELETE FROM rows")
            base.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?)",
                ((digest, json.dumps(record, ensure_ascii=False)) for digest, record in rows),
            )

    def row(self, digest: bytes) -> dict[str, Any] | None:
        """What the staging made of a row; None where it has not seen it."""
        found = self._rows("SELECT record FROM rows WHERE digest = ?", digest)
        return None if not found else dict(json.loads(found[0][0]))

    # -- the database --------------------------------------------------------------------------------

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._told(), self._lock, closing(self._base.execute(statement, values)) as cursor:
            return cursor.fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._told(), self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: cannot be read or written: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
