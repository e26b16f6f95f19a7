"""Rows that are left to do, in the order in which they are worked on.

New and changed rows come first, then expired ones, then repeats of what failed, each in manifest order. A
priority column goes before that: the highest first. For each priority and each of these kinds the manifest
is read once more, so that memory holds one batch whatever its size.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.model import PRIORITY
from batchsearch.engine.one_thread import one_by_one
from batchsearch.engine.renewal.renewal_rules import ASKED_FOR, ORDER, renewal_of
from batchsearch.errors import ManifestError
from batchsearch.storage.parts.passthrough_types import conformed_batch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from batchsearch.engine.job.instance_worker import InstanceWorker
    from batchsearch.engine.renewal.renewal_rules import Reason
    from batchsearch.engine.renewal.row_table import RowTable
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.manifest.rows import Row, RowBatch
    from batchsearch.manifest.source import Manifest
    from batchsearch.storage.ledger.entries import RowState
    from batchsearch.storage.ledger.store import Ledger

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


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading of the manifest.

    Attributes:
        priority: Rows of this priority only; None for all.
        reasons: Finished rows renewed for these reasons; with None among them also rows without an outcome.
    """

    priority: float | None
    reasons: frozenset[Reason | None]


class RowReader:
    """Reads the rows that are to get an outcome, once.

    Args:
        manifest: The rows.
        ledger: Knows which have their outcome, and what was tried for the others.
        facts: What holds for every row.
        worker: Which rows are read.
        carried: The manifest's columns in the output.
        by_priority: The manifest has a priority column.
        table: What becomes of each row, as far as was found when the run began.
        only_renewed: Only finished rows that somebody asked for.
    """

    def __init__(
        self,
        manifest: Manifest,
        ledger: Ledger,
        facts: JobFacts,
        worker: InstanceWorker,
        *,
        carried: pa.Schema,
        by_priority: bool,
        table: RowTable,
        only_renewed: bool = False,
    ) -> None:
        self._manifest = manifest
        self._ledger = ledger
        self._facts = facts
        self._worker = worker
        self._carried = carried
        self._by_priority = by_priority
        self._table = table
        self._only_renewed = only_renewed
        self._histories = ledger.histories()
        self._any_renewed = True

    async def rows(self) -> AsyncIterator[PendingRow]:
        """Rows to be worked on, one after another.

        Raises:
            ManifestError: The manifest cannot be read to its end, or a priority is no number.
        """
        for one_pass in await asyncio.to_thread(self._passes):
            async for found in one_by_one(self._batches(one_pass)):
                for pending in found:
                    yield pending

    def _passes(self) -> list[_Pass]:
        marked = set(self._ledger.renewals())
        self._any_renewed = bool(marked)
        kinds = [reasons for reasons in ORDER if None in reasons or reasons & marked]
        if self._only_renewed:
            kinds = [ASKED_FOR]
        priorities: Sequence[float | None] = self._priorities() if self._by_priority else [None]
        return [_Pass(priority, reasons) for priority in priorities for reasons in kinds]

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

    def _batches(self, one_pass: _Pass) -> Iterator[list[PendingRow]]:
        """The rows left to do, batch by batch."""
        left = self._table.among(one_pass.reasons)
        if not left.any():
            return
        for batch in self._manifest.batches(ROWS_A_BATCH, left):
            yield self._left_in(batch, one_pass)

    def _left_in(self, batch: RowBatch, one_pass: _Pass) -> list[PendingRow]:
        digests = batch.digests()
        if not self._any_renewed:
            done = self._ledger.finished(digests)
            if len(done) == len(digests):
                return []
            return self._works(batch, digests, {}, one_pass, without=done)
        return self._works(batch, digests, self._ledger.states(digests), one_pass)

    def _works(
        self,
        batch: RowBatch,
        digests: list[bytes],
        states: Mapping[bytes, RowState],
        one_pass: _Pass,
        *,
        without: Collection[bytes] = (),
    ) -> list[PendingRow]:
        places = [
            place
            for place in self._worker.places(batch)
            if digests[place] not in without and self._is_wanted(states.get(digests[place]), one_pass)
        ]
        found: list[PendingRow] = []
        if not places:
            return found
        carried = conformed_batch(batch.carried, self._carried)
        for place, row in zip(places, batch.pick(places), strict=True):
            if one_pass.priority is not None and priority_of(row) != one_pass.priority:
                continue
            digest = digests[place]
            pending = self._facts.work_for(row, carried, digest, self._histories.pop(digest, None))
            pending.renewal = renewal_of(states.get(digest))
            found.append(pending)
        return found

    def _is_wanted(self, state: RowState | None, one_pass: _Pass) -> bool:
        if state is None:
            return None in one_pass.reasons and not self._only_renewed
        return state.renewal is not None and state.renewal in one_pass.reasons
