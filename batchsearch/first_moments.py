"""What a signal does before anything is imported: one line, the exit code for it, no traceback.

It needs only what the interpreter has loaded by then: importing `signal` or `enum` takes a moment in which
Ctrl-C would show where. `interrupts` takes over.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # has no stubs; what `signal` wraps
import os

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Final, NoReturn

STOPPED_EARLY: Final = "stopped before the first call; nothing was spent, run the same command again"
"""What is said when a signal comes before there was anything to stop."""

INCOMPLETE: Final = 4
"""What the process exits with then; `ExitCode.INCOMPLETE`, whose table is not imported yet."""


def watch() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP end the process in good order; an ignored SIGHUP stays so."""
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if number != _signal.SIGHUP or _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, leave)


def leave(_number: int = 0, _frame: object = None) -> NoReturn:
    """End the process at once."""
    try:
        os.write(2, f"batchsearch: {STOPPED_EARLY}\n".encode())
    finally:
        # If nobody listens, the exit code says it.
        os._exit(INCOMPLETE)
