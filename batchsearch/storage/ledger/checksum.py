"""The SHA-256 of a ledger's file as its last writer left it: any byte that changes afterwards shows.

SQLite's own checks see a page that is no page, not a digit that became another. So whoever closes a ledger in
good order notes the file's SHA-256 beside it, and whoever opens one takes the note away before anything is
written: a note that is there speaks of the file as it must be.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError
from batchsearch.publish import own_name, sync_path, write_text
from batchsearch.storage.file_sum import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

NOTE: Final = "ledger.sum"


def note_sum(ledger: Path) -> None:
    """Note the file's SHA-256, unless somebody else still has it open; a disk that refuses is let be."""
    if log_of(ledger).exists():
        return
    note = ledger.with_name(NOTE)
    with suppress(OSError, OutputError):
        text = json.dumps({"size": ledger.stat().st_size, "sha256": sha256_of(ledger)})
        write_text(note, text, own_name(note))


def forget_sum(ledger: Path) -> None:
    """Take the note away, for good, before the file is written."""
    note = ledger.with_name(NOTE)
    with suppress(OSError):
        note.unlink()
        sync_path(ledger.parent)


def has_changed(ledger: Path) -> bool:
    """Whether the file is another than its last writer left; False where nothing was noted.

    Raises:
        OSError: The ledger cannot be read.
    """
    if log_of(ledger).exists():
        return False
    try:
        noted = json.loads(ledger.with_name(NOTE).read_text(encoding="ascii"))
        size, sha256 = noted["size"], noted["sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    differs = bool(ledger.stat().st_size != size or sha256_of(ledger) != sha256)
    # Somebody who opened it meanwhile has taken the note away first.
    return differs and ledger.with_name(NOTE).exists() and not log_of(ledger).exists()


def log_of(ledger: Path) -> Path:
    """A ledger's write-ahead log; it is there while somebody has the ledger open, or was killed."""
    return ledger.with_name(ledger.name + "-wal")
