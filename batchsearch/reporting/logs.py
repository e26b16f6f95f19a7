"""Structured log events on stderr: a closed list of names, for people or as JSON.

Events carry codes, counts, names and row keys. Pictures, keys, signatures and query strings have no
place in them, and nothing that holds one is ever passed to a logger.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger

LogFormat = Literal["console", "json"]

EVENTS: Final = {
    "run_started": "A run begins: what it will do and where results go.",
    "run_resumed": "An earlier run over this output was interrupted: what is already done.",
    "nothing_left": "Every row of the manifest has its outcome already: no call is made.",
    "leftovers_removed": "Files that a killed run had not sealed were removed; their rows are in the ledger.",
    "instance_indexing": "The embedded instance takes in its catalogue.",
    "instance_ready": "The embedded instance answers.",
    "column_renamed": "A manifest column has the name of a results column and is written under another.",
    "progress": "How far the run is, at intervals, when stderr is no terminal.",
    "row_finished": "A row has its outcome (debug).",
    "call_retried": "An answer is to be asked for again, and why (debug).",
    "call_denied": "The service's flow control refused a call (debug).",
    "run_waiting": "Nothing was answered for some seconds: what the run waits for.",
    "run_stopping": "The run was asked to stop: nothing more is sent.",
    "run_ending": "An answer that no row can survive: the run ends.",
    "part_sealed": "A part of the results is final (debug).",
    "command_failed": "The command ended with an error; its text says what to do.",
    "run_finished": "The run is over.",
    "check_started": "A check of pictures begins: what is checked and where the verdicts go.",
    "check_progress": "How far a check of pictures is, at intervals, when stderr is no terminal.",
    "check_finished": "The check of pictures is over.",
    "emulator_listening": "The embedded instance serves on this address.",
    "emulator_stopped": "The embedded instance has stopped.",
}
"""Every event there is, and when it is seen."""


class _CurrentStderr:
    """Writes to whatever `sys.stderr` is at the moment, so that a progress bar can step aside."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _known(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if event["event"] not in EVENTS:
        raise KeyError(f"{event['event']!r} is not in the list of events")
    return event


_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """Text from outside with its control characters spelt out: none of them reaches a terminal."""
    return text.translate(_CONTROLS)


def _printable_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event


def configure(log_format: LogFormat, level: str) -> None:
    """Send events of `level` and above to stderr, as lines for people or one JSON object a line."""
    for_people = log_format == "console"
    renderer: Any = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if for_people
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            _known,
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people),
            *([_printable_values] if for_people else []),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(_CurrentStderr()),  # type: ignore[arg-type]  # a file in all it is asked for
        cache_logger_on_first_use=False,
    )


def logger() -> FilteringBoundLogger:
    """The logger for batchsearch's own events."""
    log: FilteringBoundLogger = structlog.get_logger()
    return log
