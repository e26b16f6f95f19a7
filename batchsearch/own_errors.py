"""Telling this program's own errors from what comes in: nobody is told to mend an image that is whole.

Decoders raise nearly anything on hostile files. What they raise is raised in their code; an error whose
last step is in this package is a fault of this package, and is said to be one.
"""

from __future__ import annotations

import errno
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERNAL_ERROR: Final = "Local.InternalError"

_PACKAGE: Final = __name__.partition(".")[0]


def is_own(error: BaseException) -> bool:
    """Whether an error was raised by this package's code, not by a package that it called."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and _module_of(trace.tb_frame.f_globals) is not None


def told(error: BaseException) -> str:
    """What happened and where in this package, for a report: never the error's text, which may quote data."""
    what = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        what += f" {errno.errorcode.get(error.errno, error.errno)}"
    place = ""
    trace = error.__traceback__
    while trace is not None:
        module = _module_of(trace.tb_frame.f_globals)
        if module is not None:
            file = PurePath(trace.tb_frame.f_code.co_filename).name
            place = f" at {module} ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return f"this program failed: {what}{place}; please report it"


def _module_of(names: Mapping[str, object]) -> str | None:
    module = str(names.get("__name__", ""))
    return module if module.partition(".")[0] == _PACKAGE else None
