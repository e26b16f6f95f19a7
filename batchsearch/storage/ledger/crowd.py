"""When records come so fast that a moment's wait makes one commit of many (pure).

At the rates that can be bought every record is committed as it comes. At a thousand a second a commit for
each would cost as much as the calls: then records of some milliseconds go together. Whoever waits for a
commit has a place among the calls under way, so that the wait is short beside what it spares.
"""

from __future__ import annotations

import math
from typing import Final

CROWD: Final = 600.0
"""Records a second from which on they are gathered."""

PAUSE: Final = 0.002
MOST_PAUSES: Final = 3
"""Seconds for which they are, so many times at most, and as long as others come."""

_LOOKED_AT: Final = 0.25
"""Seconds over which the rate is measured."""


class Crowd:
    """How fast records come; told of every group, asked before the next one."""

    __slots__ = ("_began", "_count", "_rate")

    def __init__(self) -> None:
        self._began = -math.inf
        self._count = 0
        self._rate = 0.0

    def came(self, records: int) -> None:
        """So many records were taken."""
        self._count += records

    def pauses(self, now: float) -> int:
        """How often to wait for others of the group, by the rate until `now`, a steady clock's seconds."""
        if now - self._began >= _LOOKED_AT:
            self._rate = self._count / (now - self._began)
            self._began, self._count = now, 0
        return MOST_PAUSES if self._rate >= CROWD else 0
