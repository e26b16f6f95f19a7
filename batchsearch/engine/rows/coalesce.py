"""Equal requests are one call: who asks, who waits for the answer, and what was answered just now (pure)."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchsearch.engine.rows.pending_row import PendingRow

REMEMBERED: Final = 4_096
"""Answered requests kept in mind: more than rows can be on their way from looking to asking."""


class Coalescer:
    """Knows which requests are being asked, and which rows wait for the same answer."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[PendingRow]] = {}
        self._answered: OrderedDict[str, None] = OrderedDict()

    def leads(self, pending: PendingRow) -> bool:
        """Whether this row asks for all; if not, it waits for the one that does, without its bytes."""
        key = pending.request_key or ""
        if key in self._waiting:
            pending.let_go()
            self._waiting[key].append(pending)
            return False
        self._waiting[key] = []
        return True

    def was_answered(self, pending: PendingRow) -> bool:
        """Whether an equal request got a lasting answer a moment ago."""
        return pending.request_key in self._answered

    def finished(self, pending: PendingRow, *, lasting: bool) -> list[PendingRow]:
        """Close a request; the rows that waited for it."""
        key = pending.request_key or ""
        if lasting:
            self._answered[key] = None
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        return self._waiting.pop(key, [])
