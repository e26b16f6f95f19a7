"""A line of the child's stderr, as a scheduler's log shows it. Pure."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Final

from batchsearch.streams import printable

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_SHOWN_BY_THE_LOG: Final = ("event", "level", "timestamp")
_LONGEST: Final = 4_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        level: Of the standard `logging` module.
        text: Its name and its facts, on one line, without control characters.
    """

    level: int
    text: str


def event_of(line: str) -> Event | None:
    """The event that a line of JSON is; None when it is anything else, a traceback's line for one."""
    try:
        facts = json.loads(line)
    except ValueError:
        return None
    if not isinstance(facts, dict) or not isinstance(facts.get("event"), str):
        return None
    parts = [facts["event"]]
    parts += [f"{name}={_plain(value)}" for name, value in facts.items() if name not in _SHOWN_BY_THE_LOG]
    return Event(_LEVELS.get(str(facts.get("level")), logging.INFO), printable(" ".join(parts))[:_LONGEST])


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
