"""A copy of a ledger that is being written: one moment of it, whole, in a file of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT: Final = 60.0


def copy_ledger(ledger: Path, copy: Path) -> None:
    """Copy a ledger through SQLite's backup; its writer goes on meanwhile.

    The file is never read by other means: opening and closing it would drop the locks that this process has
    on it.

    Raises:
        OutputError: It cannot be read, or the copy cannot be written.
    """
    try:
        with (
            closing(
                sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=rw", uri=True, timeout=_TIMEOUT)
            ) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
            # One file, with no journal beside it, is what travels.
            target.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise OutputError(f"{ledger}: cannot be copied for the store: {error}") from error


def changes_of(ledger: Path) -> tuple[int, ...]:
    """What differs whenever something was committed: sizes and times of the ledger and its journal."""
    found: list[int] = []
    for file in (ledger, ledger.with_name(ledger.name + "-wal")):
        try:
            status = file.stat()
        except OSError:
            found += (0, 0)
        else:
            found += (status.st_size, status.st_mtime_ns)
    return tuple(found)
