"""Rows on their way in: from the manifest to a call that waits for its slot, or to an outcome without one."""

from __future__ import annotations

import asyncio
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Final

from batchsearch.engine.rows.outcome_columns import request_name
from batchsearch.errors import MachineError
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.upload import Uploaded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchsearch.engine.retry.health import Health
    from batchsearch.engine.rows.coalesce import Coalescer
    from batchsearch.engine.rows.pending_row import PendingRow
    from batchsearch.engine.run.outcomes import Outcomes
    from batchsearch.engine.run.stages import Stages
    from batchsearch.service.client import Answer
    from batchsearch.service.codes.table import ErrorCode
    from batchsearch.telemetry.stats import Stats

_LOOK_SECONDS: Final = 0.5


@dataclass(eq=False)
class Intake:
    """Prepares rows, several at once.

    Attributes:
        stages: What prepares, uploads and keeps.
        outcomes: Takes rows that need no call.
        coalescer: Knows whether an equal request is under way.
        health: Whether the way to the service is open.
        stats: Counters of the run.
        ready: Takes rows whose call may be made.
        refused: Takes a row whose upload was refused, with the answer and what its code means.
        clock: A steady clock, seconds.
    """

    stages: Stages
    outcomes: Outcomes
    coalescer: Coalescer
    health: Health
    stats: Stats
    _: KW_ONLY
    ready: Callable[[PendingRow], None]
    refused: Callable[[PendingRow, Answer, ErrorCode], Awaitable[None]]
    clock: Callable[[], float]
    _uploading: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._rows: asyncio.Queue[PendingRow] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """Rows that nobody prepares yet."""
        return self._rows.qsize()

    def put(self, pending: PendingRow) -> None:
        """Take a row."""
        self._rows.put_nowait(pending)

    async def work(self, stop: Callable[[str], None]) -> None:
        """Prepare one row after the other until cancelled; `stop` is told what ends the run."""
        while True:
            pending = await self._rows.get()
            self.stats.preparing += 1
            try:
                await self._prepare(pending)
            except MachineError as error:
                stop(str(error))
            finally:
                self.stats.preparing -= 1

    async def _prepare(self, pending: PendingRow) -> None:
        if pending.request_key is None:
            failure = await self.stages.preparer.prepare(pending)
            if pending.forgotten:
                await self.stages.ledger.forget(pending.digest)
            if failure is None and _is_unchanged(pending):
                await self.outcomes.stand(pending)
                return
            if failure is not None:
                await self.outcomes.finish(
                    pending, failure, {"rejected": 1} if failure.origin == "local" else {}
                )
                return
            if not await self._leads(pending):
                return
        if pending.call is None:
            if not await self._uploaded(pending):
                return
            failure = await self.stages.preparer.build(pending)
            if failure is not None:
                await self.outcomes.finish(pending, failure, {"rejected": 1})
                return
        self.ready(pending)

    async def _leads(self, pending: PendingRow) -> bool:
        """Whether a call has to be made for this row; if not, it gets an equal request's answer."""
        if pending.cached is None and self.coalescer.was_answered(pending):
            # Its answer was committed after this row had looked for it.
            await asyncio.to_thread(self.stages.preparer.look_again, pending)
        if pending.cached is not None:
            await self.outcomes.finish_as(pending, pending.cached)
            return False
        return self.coalescer.leads(pending)

    async def _uploaded(self, pending: PendingRow) -> bool:
        """Whether all images are where the service can fetch them; if not, the row's fate is decided."""
        uploader = self.stages.uploader
        if uploader is None:
            return True
        for image in pending.images[len(pending.addresses) :]:
            await self._may_upload()
            if pending.first_sent is None:
                pending.first_sent = self.clock()
            self._uploading += 1
            try:
                put = await uploader.upload(image.data)
            finally:
                self._uploading -= 1
            if isinstance(put, Uploaded):
                self.health.answered(self.clock())
                pending.addresses += (put.url,)
                continue
            await self.refused(pending, put, code_for(put.code or "", put.http_status))
            return False
        return True

    async def _may_upload(self) -> None:
        """Wait while the service or the network is failing: then one request at a time tries it."""
        while True:
            pause = self.health.until_probe(self.clock())
            if not pause and not (self.health.paused and self._uploading):
                return
            await asyncio.sleep(pause or _LOOK_SECONDS)


def _is_unchanged(pending: PendingRow) -> bool:
    """Whether a row that looked changed would ask what it has asked before."""
    return pending.renewal is not None and pending.renewal.is_same(*map(request_name, pending.request_keys))
