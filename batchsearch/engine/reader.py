"""Rows that are left to do, in the order in which they are worked on.

Rows come in manifest order, or by a priority column: highest first, and within one priority in manifest
order. For each priority the manifest is read once more, so that memory holds one batch whatever its size.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.model import PRIORITY
from batchsearch.errors import ManifestError
from batchsearch.ledger.records import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from batchsearch.engine.work import JobFacts, Work
    from batchsearch.ledger.store import Ledger
    from batchsearch.manifest.rows import Row, RowBatch
    from batchsearch.manifest.source import Manifest

ROWS_A_BATCH: Final = 256
MOST_PRIORITIES: Final = 100


def priority_of(row: Row) -> float:
    """A row's priority; the lowest of all when it has none.

    Raises:
        ManifestError: The value is no number.
    """
    value: Any = row.parameters.get(PRIORITY)
    if value is None or value == "":
        return -math.inf
    try:
        priority = float(value)
    except (TypeError, ValueError):
        priority = math.nan
    if math.isnan(priority):
        raise ManifestError(
            f"row {row.number + 1}: the priority {str(value)[:40]!r} is no number; "
            "higher numbers go first, empty cells last"
        )
    return priority


class RowReader:
    """Reads the rows without an outcome, once.

    Args:
        manifest: The rows.
        ledger: Knows which have their outcome, and what was tried for the others.
        facts: What holds for every row.
        by_priority: The manifest has a priority column.
    """

    def __init__(self, manifest: Manifest, ledger: Ledger, facts: JobFacts, *, by_priority: bool) -> None:
        self._manifest = manifest
        self._ledger = ledger
        self._facts = facts
        self._by_priority = by_priority
        self._histories = ledger.histories()

    async def rows(self) -> AsyncIterator[Work]:
        """Rows to be worked on, one after another.

        Raises:
            ManifestError: The manifest cannot be read to its end, or a priority is no number.
        """
        passes: list[float | None] = [None]
        if self._by_priority:
            passes = list(await asyncio.to_thread(self._priorities))
        for priority in passes:
            batches = self._manifest.batches(ROWS_A_BATCH)
            while (found := await asyncio.to_thread(self._next, batches, priority)) is not None:
                for work in found:
                    yield work

    def _priorities(self) -> list[float]:
        found: set[float] = set()
        for batch in self._manifest.batches(ROWS_A_BATCH):
            found.update(map(priority_of, batch.rows))
            if len(found) > MOST_PRIORITIES:
                raise ManifestError(
                    f"the priority column has more than {MOST_PRIORITIES} different values; "
                    "the manifest is read once for each: use fewer"
                )
        return sorted(found, reverse=True)

    def _next(self, batches: Iterator[RowBatch], priority: float | None) -> list[Work] | None:
        """The rows left to do in the next batch, None after the last."""
        batch = next(batches, None)
        if batch is None:
            return None
        rows = [row for row in batch.rows if priority is None or priority_of(row) == priority]
        digests = [digest_of(row.key) for row in rows]
        done = self._ledger.finished(digests)
        return [
            self._facts.work_for(row, batch.carried, digest, self._histories.pop(digest, None))
            for row, digest in zip(rows, digests, strict=True)
            if digest not in done
        ]
