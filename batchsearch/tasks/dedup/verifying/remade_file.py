"""SQLite files whose content can be made again: one of another version, or that is none, is made anew."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


def opened(
    path: Path, version: int, schema: str, *, synchronous: Literal["OFF", "NORMAL"]
) -> sqlite3.Connection:
    """Open such a file, in whose folder others may be; any thread may use it.

    Args:
        path: Where it is.
        version: Of what it holds; above 0.
        schema: Statements that make its tables where they are not there.
        synchronous: What a crash of the machine may cost: the file, or the last of what was written.

    Raises:
        OSError: The disk refuses.
        sqlite3.Error: Likewise.
    """
    for _ in range(2):
        with ExitStack() as undo, suppress(sqlite3.DatabaseError):
            file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            undo.callback(file.close)
            found = file.execute("PRAGMA user_version").fetchone()[0]
            if found in {0, version}:
                file.execute("PRAGMA journal_mode = WAL")
                file.execute(f"PRAGMA synchronous = {synchronous}")
                file.executescript(schema)
                file.execute(f"PRAGMA user_version = {version}")
                undo.pop_all()
                return file
        for ending in ("", "-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    raise sqlite3.OperationalError("cannot be made anew")
