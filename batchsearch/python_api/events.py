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

LOGGER: Final = logging.getLogger("batchsearch")
"""Where events go; silent until a program adds a handler or configures `logging`."""

LOGGER.addHandler(logging.NullHandler())

_lock: Final = threading.Lock()
_users = 0


@contextmanager
def events_to_logging() -> Iterator[None]:
    """Events inside go to the logger `batchsearch`, unless the program has configured structlog itself.

    Several threads may be inside at once; what was configured before comes back when the last one leaves.
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
                if _users == 0:
                    structlog.reset_defaults()


def _configure() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"], sort_keys=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=lambda *_: LOGGER,
        cache_logger_on_first_use=False,
    )
