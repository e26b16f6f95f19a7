"""Whether a ledger's file is damaged, and how that is told."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.path_spellings import in_shell
from batchsearch.storage.ledger.checksum import NOTE, has_changed, log_of

if TYPE_CHECKING:
    from pathlib import Path

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
"""Primary result codes (https://www.sqlite.org/rescode.html) for pages that are no pages."""

_LACKING: Final = ("no such table", "no such column", "malformed database schema")
"""How SQLite tells that what every ledger has is not there."""

_NOT_LOST: Final = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.ENOENT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)
"""Why a disk takes no data although it can be read."""

_MOST_TOLD: Final = 3


def refusal(path: Path, what: str, error: BaseException) -> OutputError:
    """The error that tells what SQLite refuses: that the file is damaged, or that it cannot be used now.

    A disk that goes away while the ledger is open makes SQLite find no pages where there were some. Its pages
    are as they were when it is back: only of a disk that takes data is a file said to be damaged.

    Args:
        path: The ledger's file.
        what: What was tried: `the ledger cannot be read`.
        error: What SQLite said.
    """
    code = getattr(error, "sqlite_errorcode", None) or 0
    if not isinstance(error, sqlite3.Error):
        return OutputError(f"{path}: {what}: {error}")
    if code & 0xFF in _DAMAGED or str(error).startswith(_LACKING):
        trouble = _trouble_of_disk(path)
        if trouble is None:
            return damaged(path, what, str(error))
        return OutputError(f"{path}: {what}: its disk fails: {trouble} ({error})")
    return OutputError(f"{path}: {what}: {error}")


def _trouble_of_disk(path: Path) -> OSError | None:
    """What the disk says when something is written beside the ledger and synced; None when it takes it.

    A disk that is full, or that may only be read, loses no page: what is damaged on it is damaged.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(b"batchsearch")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return None if error.errno in _NOT_LOST else error
    return None


def damaged(path: Path, what: str, why: str) -> OutputDamagedError:
    """The error that tells that a ledger's file is damaged."""
    return OutputDamagedError(
        f"{path}: {what}, it is damaged: {why}. No part was touched. Put the ledger back from a copy, or let "
        f"`batchsearch recover {in_shell(path.parent.parent)}` make it anew from the parts, so that "
        "nothing is asked for twice."
    )


def was_left_open(path: Path) -> bool:
    """Whether the last one who wrote a ledger did not come to its end: its write-ahead log is still there."""
    try:
        return log_of(path).stat().st_size > 0
    except OSError:
        return False


def refuse_changed(path: Path) -> bool:
    """Refuse a ledger's file that is another than its last writer left; about 0.1 s for a million rows.

    A bit may turn on a page that this run does not read; taken as good once, it would be noted as good.

    Returns:
        Whether its last writer noted what it left: then it is that, byte for byte.

    Raises:
        OutputDamagedError: It has changed since.
        OutputError: It cannot be read.
    """
    is_compared = path.with_name(NOTE).exists() and not log_of(path).exists()
    try:
        changed = has_changed(path)
    except OSError as error:
        raise refusal(path, "the ledger cannot be read", error) from error
    if changed:
        raise damaged(
            path,
            "the ledger cannot be opened",
            f"its bytes are not those that its last writer left, as `{NOTE}` beside it says (who changed it "
            f"on purpose, or put an earlier copy back, removes `{NOTE}`)",
        )
    return is_compared


def damages_of(connection: sqlite3.Connection, most: int = _MOST_TOLD) -> tuple[str, ...]:
    """What SQLite finds wrong with a ledger's pages, at most so much of it; nothing when they are sound."""
    found = tuple(str(row[0]) for row in connection.execute(f"PRAGMA quick_check({most})"))
    return () if found == ("ok",) else found


def quick_check(path: Path, connection: sqlite3.Connection) -> None:
    """Read the whole file for pages that are no pages; about a second for a million rows.

    Raises:
        OutputDamagedError: There are some.
    """
    found = damages_of(connection)
    if found:
        raise damaged(
            path, "the ledger cannot be opened", "; ".join(line.replace("\n", " ") for line in found)
        )
