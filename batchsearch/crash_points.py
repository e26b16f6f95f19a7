"""Places at which a test may end this process as a power switch would: by SIGKILL, with no farewell.

They do nothing unless `BATCHSEARCH_CRASH_AT` was set when the process started: `part_rename:2` kills it the
second time that it comes to that place, `part_rename:2,before_send:40` at whichever comes first. The names
are closed; the table says what each place stands between. Off, a place costs one look at a module's name.
"""

from __future__ import annotations

import os
import signal
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "BATCHSEARCH_CRASH_AT"

POINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "before_send": "A row has its slot; its request has not left.",
        "answer_read": "An answer is read; the ledger does not have it yet.",
        "ledger_commit_before": "Statements of a transaction are done; nothing of it is on disk for sure.",
        "ledger_commit_after": "A transaction is on disk; nobody who waits for it has been told.",
        "part_write": "A row group goes into a part's temporary file.",
        "part_sync": "A part's temporary file is whole; it is not on disk for sure.",
        "part_rename": "A part's temporary file is on disk; it does not have its name yet.",
        "part_between": "A part's hits have their name, its results do not.",
        "part_seal_before": "Both files of a part have their names; the ledger does not count it yet.",
        "part_seal_after": "A part is sealed.",
        "open_leftovers": "A run that begins has cleared away what no seal covers.",
        "open_counted": "A run that begins has counted what earlier ones have done; no call was made.",
        "compact_build": "A part of the next generation is written, beside those that readers see.",
        "compact_intent": "The next generation is whole and durable; the ledger does not know of it.",
        "compact_exchange_hits": "The ledger knows what is coming; both folders are the old ones.",
        "compact_exchange_results": "The ledger knows what is coming; the folder of results is the old one.",
        "compact_switch": "Both folders are exchanged; the ledger still counts the old parts.",
        "recover_begun": "The ledger that was there is put aside; every part is where it was.",
        "recover_settled": "Every part that counts is in its place; what it replaces is there too.",
        "recover_cleared": "Only what counts is in its place; there is no ledger yet.",
        "task_taken": "Lines belong to a batch task; it was not asked for.",
        "task_listed": "The list of a batch task is in the bucket.",
        "task_asking": "The journal knows which tasks there were; the next request asks for one.",
        "task_asked": "A batch task was asked for; the journal does not know its id.",
        "task_noted": "A batch task runs, and the journal knows its id.",
        "task_ended": "A batch task is over, and so are its lines; no row has its outcome from it.",
        "compact_clean": "The exchange is over; what it has replaced still lies beside.",
    }
)
"""Every place, and what the world is like when the process ends there."""


class _Countdown:
    """How often each place may still be passed; safe to ask from any thread."""

    def __init__(self, left: dict[str, int]) -> None:
        self._left = left
        self._lock = threading.Lock()

    def passed(self, name: str) -> None:
        with self._lock:
            if name not in self._left:
                return
            self._left[name] -= 1
            if self._left[name] == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_countdown: _Countdown | None = None


def reached(name: str) -> None:
    """The process is at this place (one of `POINTS`); it ends here when it was told to."""
    if _countdown is not None:
        _countdown.passed(name)


def arm(text: str) -> None:
    """Say at which places this process is to end, as `BATCHSEARCH_CRASH_AT` does; empty text for none.

    Args:
        text: `name:count`, or several with commas between them; `count` is at least 1.

    Raises:
        ValueError: A name is not in `POINTS`, or a count is none.
    """
    global _countdown  # noqa: PLW0603 - one process, one switch
    _countdown = _Countdown(_parsed(text)) if text.strip() else None


def _parsed(text: str) -> dict[str, int]:
    left: dict[str, int] = {}
    for entry in text.split(","):
        name, _, count = entry.strip().partition(":")
        if name not in POINTS:
            raise ValueError(f"{VARIABLE}: there is no place {name!r}; there are {', '.join(POINTS)}")
        if not (count.isascii() and count.isdigit() and int(count) > 0):
            raise ValueError(f"{VARIABLE}: {entry.strip()!r} needs a count from 1, like `{name}:1`")
        left[name] = int(count)
    return left


arm(os.environ.get(VARIABLE, ""))
