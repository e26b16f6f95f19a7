"""What SIGINT, SIGTERM and SIGHUP do to a command, from its first moment to its last.

::

    before all imports             the process ends at once (`first_moments`)
    while modules are imported     the same: nothing was begun
    while a command works          KeyboardInterrupt, so that what it holds is let go
    while a run works              the run's own: it stops in good order (`engine.job.stop_signals`)
    once the exit code is known    the process ends with it at once

An exception inside an import may be swallowed or turned into another one by what is imported; so the
first two are none. Importing this module costs next to nothing.
"""

from __future__ import annotations

import os
import signal

from batchsearch.first_moments import leave

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Final

STOPPING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a process to stop."""

_IMPORTING: Final = "<frozen importlib"


def listen_to(handler: Any) -> dict[int, Any]:
    """Have these signals handled; what handled them before, by number. Only for the main thread.

    A SIGHUP that is ignored stays ignored: somebody started the process with `nohup`.
    """
    before: dict[int, Any] = {}
    for number in STOPPING:
        if signal.getsignal(number) == signal.SIG_IGN and number == getattr(signal, "SIGHUP", None):
            continue
        before[number] = signal.signal(number, handler)
    return before


def listen() -> None:
    """Handle the signals of a process that has only begun; to be called before anything heavy is imported."""
    listen_to(_begun)


def over(code: int) -> None:
    """From here on a signal ends the process with this exit code: all is done but going away."""
    listen_to(lambda _number, _frame: os._exit(code))


def hush() -> None:
    """From here on signals are ignored: the result is known and is being handed on."""
    listen_to(signal.SIG_IGN)


def _begun(_number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            leave()
        frame = frame.f_back
    raise KeyboardInterrupt
