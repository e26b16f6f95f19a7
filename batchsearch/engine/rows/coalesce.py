"""Equal requests are one call: who asks, who waits for the answer, and what was answered just now (pure)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchsearch.engine.rows.pending_row import Work

REMEMBERED: Final = 4_096
"""Answered requests kept in mind: more than rows can be on their way from looking to asking."""


class Coalescer:
    """Knows which requests are being asked, and which rows wait for the same answer."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Work]] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()

    def leads(self, work: Work) -> bool:
        """Whether this row asks for all; if not, it waits for the one that does, without its bytes."""
        key = work.request_key or ""
        if key in self._waiting:
            work.let_go()
            self._waiting[key].append(work)
            return False
        self._waiting[key] = []
        return True

    def was_answered(self, work: Work) -> bool:
        """Whether an equal request got a lasting answer a moment ago."""
        return work.request_key in self._answered

    def finished(self, work: Work, *, lasting: bool) -> list[Work]:
        """Close a request; the rows that waited for it."""
        key = work.request_key or ""
        if lasting:
            self._answered[key] = None
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        return self._waiting.pop(key, [])
