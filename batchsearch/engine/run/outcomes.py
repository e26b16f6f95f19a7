"""How rows leave the pipeline: with a new outcome committed, or with the one that they have.

Equal requests share what was answered: whoever waited for a row's answer leaves with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.renewal.renewal_rules import stands
from batchsearch.engine.rows.answer_cache import from_record
from batchsearch.engine.rows.outcome_columns import finished_row
from batchsearch.storage.ledger.entries import UsageKey
from batchsearch.telemetry.logs import is_told

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from structlog.typing import FilteringBoundLogger

    from batchsearch.engine.rows.answer_cache import CachedAnswer
    from batchsearch.engine.rows.coalesce import Coalescer
    from batchsearch.engine.rows.pending_row import Failure, JobFacts, PendingRow
    from batchsearch.engine.run.stages import Stages
    from batchsearch.storage.ledger.entries import FinishedRow
    from batchsearch.telemetry.stats import Stats


_SPENT: Final = frozenset({"calls", "denied"})


@dataclass(eq=False)
class Outcomes:
    """Commits what rows end as, counts it, and tells who waited for the same answer.

    Attributes:
        stages: The ledger, what seals its outcomes, and what knows earlier answers.
        facts: What holds for every row.
        stats: Counters of the run.
        coalescer: Knows who waits for whose answer.
        log: Where events go.
        heard: Told that something moved.
        left: Told that a row has left the pipeline.
        clock: A steady clock, seconds.
    """

    stages: Stages
    facts: JobFacts
    stats: Stats
    coalescer: Coalescer
    _: KW_ONLY
    log: FilteringBoundLogger
    heard: Callable[[], None]
    left: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    _group: asyncio.TaskGroup | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._began = datetime.now(UTC)
        self._day = self._began.date()
        self._usage_keys: dict[str, UsageKey] = {}

    def begin(self, group: asyncio.TaskGroup) -> None:
        """Rows leave in tasks of this group from now on, so that the run ends only after them."""
        self._group = group

    async def finish(
        self,
        pending: PendingRow,
        failure: Failure | None,
        spent: Mapping[str, int],
        *,
        lasting: bool = False,
        apart: bool = True,
    ) -> None:
        """Give a row its outcome.

        Args:
            pending: The row.
            failure: What it ended as; None for success.
            spent: Counters of the usage statement that it adds to.
            lasting: Every equal request would be answered in the same way.
            apart: In a task of its own, since whoever waits may be cancelled; a task that only the group
                cancels needs none.

        Raises:
            OutputError: The ledger cannot be written.
        """
        through = self._through if apart else _at_once
        if pending.renewal is not None and stands(pending.renewal, failure, lasting=lasting):
            # Of an image that was seen and refused as before, what it comes from now is noted.
            seen = failure is not None and failure.code == pending.renewal.code
            source = pending.source.digest if seen and pending.source is not None else None
            await through(self._stand(pending, source, spent, failure))
        else:
            await through(self._commit(pending, failure, spent, lasting=lasting))

    async def finish_as(self, pending: PendingRow, cached: CachedAnswer, *, lasting: bool = True) -> None:
        """Give a row the answer to an equal request."""
        pending.cached = cached
        here = cached.answered_at >= self._began
        self.stats.coalesced += here
        self.stats.reused += not here
        await self.finish(pending, cached.failure, {"coalesced" if here else "reused": 1}, lasting=lasting)

    async def stand(self, pending: PendingRow) -> None:
        """Let a row keep its outcome: it looked changed, but would ask what it has asked before."""
        source = pending.source.digest if pending.source is not None else None
        await self._through(self._stand(pending, source, {}, None))

    def usage(self, counted: Mapping[str, int]) -> dict[UsageKey, int]:
        """These counters, of today, this instance and this operation; calls only where they were any."""
        return self._usage(counted, datetime.now(UTC))

    def _usage(self, counted: Mapping[str, int], now: datetime) -> dict[UsageKey, int]:
        if now.date() != self._day:
            self._day, self._usage_keys = now.date(), {}
        return {
            self._usage_key(name): amount
            for name, amount in counted.items()
            if self.facts.spends or name not in _SPENT
        }

    def _usage_key(self, name: str) -> UsageKey:
        """What a counter of today counts for, made once a day."""
        found = self._usage_keys.get(name)
        if found is None:
            found = UsageKey(self._day.isoformat(), self.facts.instance, self.facts.operation, name)
            self._usage_keys[name] = found
        return found

    async def _through(self, leaving: Coroutine[Any, Any, None]) -> None:
        """Await it; whoever waits may be cancelled, what is committed is counted all the same."""
        if self._group is None:
            leaving.close()
            raise AssertionError("rows leave only while the run is on")
        await asyncio.shield(self._group.create_task(leaving))

    async def _commit(
        self, pending: PendingRow, failure: Failure | None, spent: Mapping[str, int], *, lasting: bool
    ) -> None:
        now = datetime.now(UTC)
        row = finished_row(self.facts, pending, failure, now, lasting=lasting)
        counted = {**spent, "rows_ok" if failure is None else "rows_failed": 1}
        self.stats.committing += 1
        try:
            await self.stages.ledger.finish(row, self._usage(counted, now))
        finally:
            self.stats.committing -= 1
        self.heard()
        self.stages.sealer.added()
        self._count(pending, row)
        self.left()
        if pending.cached is None:
            if lasting and pending.request_key is not None:
                self.stages.answers.note(pending.request_key)
            await self._tell_followers(pending, row, lasting=lasting)

    def _count(self, pending: PendingRow, row: FinishedRow) -> None:
        hits = row.hits.count(b"\n")
        self.stats.hits += hits
        if row.code is None:
            self.stats.ok += 1
        else:
            self.stats.failed += 1
            self.stats.codes[row.code] += 1
        self.stats.finished(row.code, self.clock())
        if not is_told(self.log, logging.DEBUG):
            return
        last = pending.attempts[-1] if pending.attempts else None
        self.log.debug(
            "row_finished",
            row=pending.row.key,
            code=row.code,
            attempts=len(pending.attempts),
            denied=pending.denied_here,
            answered_by=None if pending.cached is None else pending.cached.row_key,
            hits=hits,
            prepare_ms=round(pending.prepare_seconds * 1000, 1),
            latency_ms=None if last is None else round(last.latency * 1000, 1),
        )

    async def _stand(
        self, pending: PendingRow, source: bytes | None, spent: Mapping[str, int], failure: Failure | None
    ) -> None:
        if pending.renewal is None:
            raise AssertionError("only a row that is renewed has an outcome to keep")
        await self.stages.ledger.stand(pending.digest, source, self.usage(spent))
        self.heard()
        self.log.debug("row_stands", row=pending.row.key, code=failure.code if failure else None)
        self.stats.resumed += 1
        self.stats.stood += 1
        self.stats.kept(self.clock())
        if pending.renewal.code is not None:
            self.stats.earlier_codes[pending.renewal.code] += 1
        self.left()
        if failure is not None and pending.cached is None:
            row = finished_row(self.facts, pending, failure, datetime.now(UTC))
            await self._tell_followers(pending, row, lasting=False)

    async def _tell_followers(self, pending: PendingRow, row: FinishedRow, *, lasting: bool) -> None:
        """Give the rows that waited for this one's answer what it was."""
        followers = self.coalescer.finished(pending, lasting=lasting)
        if followers:
            cached = from_record(row.result, row.hits)
            await asyncio.gather(
                *(self.finish_as(follower, cached, lasting=lasting) for follower in followers)
            )


async def _at_once(leaving: Coroutine[Any, Any, None]) -> None:
    """Await it in the task that there is."""
    await leaving
