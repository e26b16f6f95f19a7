"""How a command works to its end: events and progress on stderr, stopped by signals in good order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from batchsearch.engine.job.stop_signals import StopSignals, run_stoppable
from batchsearch.telemetry.logs import configure
from batchsearch.telemetry.progress import Progress, progress_for, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from batchsearch.errors import StoppedError
    from batchsearch.telemetry.terminal_options import TerminalOptions

T = TypeVar("T")


def progress_beside_logs(terminal: TerminalOptions) -> Progress:
    """Begin to write events, and make the progress that suits them."""
    configure("json" if terminal.as_events else "console", terminal.log_level)
    return progress_for(as_events=terminal.as_events, wanted=terminal.progress)


def to_end(
    work: Callable[[StopSignals], Coroutine[Any, Any, T]], progress: Progress, stopped: type[StoppedError]
) -> T:
    """Run a coroutine to its end in the main thread, its progress shown.

    Args:
        work: Is given what it may tell which runner to stop.
        progress: Shows how far it is.
        stopped: Raised when a signal comes while no runner can be told; its message is its own.
    """
    try:
        with shown(progress):
            return run_stoppable(work)
    except asyncio.CancelledError:
        raise stopped from None
