"""Where the events of a run go when no command line has said so: to `logging`, which a program sets up.

A library prints nothing by itself. Without this the logger of events writes to stdout until somebody
configures it.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import Processor

LOGGER: Final = logging.getLogger("batchsearch")
"""Where events go; silent until a program adds a handler or configures `logging`."""

LOGGER.addHandler(logging.NullHandler())

_PROCESSORS: Final[list[Processor]] = [
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.processors.format_exc_info,
    structlog.processors.KeyValueRenderer(key_order=["event"], sort_keys=True),
]

_lock: Final = threading.Lock()
_users = 0


@contextmanager
def events_to_logging() -> Iterator[None]:
    """Events inside go to the logger `batchsearch`, unless the program has configured structlog itself.

    Several threads may be inside at once. When the last one leaves, structlog is as it was found, unless the
    program has configured it meanwhile.
    """
    global _users  # noqa: PLW0603 - structlog's configuration is one for the whole process
    with _lock:
        mine = _users > 0 or not structlog.is_configured()
        if mine:
            _users += 1
            if _users == 1:
                _configure()
    try:
        yield
    finally:
        if mine:
            with _lock:
                _users -= 1
                if _users == 0 and structlog.get_config()["processors"] is _PROCESSORS:
                    structlog.reset_defaults()


def _logger(*_names: object) -> logging.Logger:
    return LOGGER


def _configure() -> None:
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=_logger,
        cache_logger_on_first_use=False,
    )
