"""The pipeline seen whole: manifest rows in, committed outcomes out, one slot for each request.

::

    reader ──▶ preparers ──▶ ready ──▶ dispatcher ──▶ calls ──▶ ledger ──▶ sealer
     (rows       (threads)    (heap,     (one slot,    (send,     (commit)   (parts)
      without                 oldest     capped in     judge)
      outcome)                first)     flight)  ▲      │
                                 └── a repeat, after its wait ◀┘

A row is admitted before it is prepared and leaves when its outcome is committed; how many are admitted
at once is bounded, so memory holds a few seconds' worth of pictures and never the manifest. Equal requests
are one call: rows that ask what another row is asking wait for its answer, rows that ask what is answered
already get that answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.api.codes import code_for
from batchsearch.api.upload import Uploaded
from batchsearch.engine.coalesce import Coalescer
from batchsearch.engine.earlier import from_record
from batchsearch.engine.health import Health
from batchsearch.engine.policy import EndRun, History, Retry, RetryRules, decide
from batchsearch.engine.records import finished_row, page_answer
from batchsearch.engine.work import Attempt, Failure
from batchsearch.errors import RunEndedError
from batchsearch.ledger.records import UsageKey, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from structlog.typing import FilteringBoundLogger

    from batchsearch.api.client import Answer, Client
    from batchsearch.api.error_code import ErrorCode
    from batchsearch.api.upload import Uploader
    from batchsearch.engine.earlier import EarlierAnswer
    from batchsearch.engine.policy import Action
    from batchsearch.engine.prepare import Preparer
    from batchsearch.engine.sealer import Sealer
    from batchsearch.engine.stats import Stats
    from batchsearch.engine.window import Limits
    from batchsearch.engine.work import JobFacts, Work
    from batchsearch.ledger.store import Ledger
    from batchsearch.manifest.rows import RowBatch
    from batchsearch.pacing.in_flight import InFlightLimit
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer

ROWS_A_BATCH: Final = 256
_AHEAD_SECONDS: Final = 3.0
_FEWEST_ADMITTED: Final = 16
_MOST_ADMITTED: Final = 256


def admitted_at_once(qps: float, in_flight_ceiling: int) -> int:
    """How many rows are held at once: some seconds of the rate beside those that wait for answers."""
    ahead = min(_MOST_ADMITTED, max(_FEWEST_ADMITTED, int(qps * _AHEAD_SECONDS)))
    return ahead + in_flight_ceiling


@dataclass(frozen=True, slots=True)
class Stages:
    """What the pipeline is made of; the runner only joins them."""

    batches: Iterator[RowBatch]
    preparer: Preparer
    pacer: Pacer | SharedPacer
    in_flight: InFlightLimit
    client: Client
    uploader: Uploader | None
    ledger: Ledger
    sealer: Sealer


class Runner:
    """Runs one job's rows through the stages, once.

    Args:
        stages: The parts of the pipeline.
        facts: What holds for every row of the job.
        rules: Bounds on repeating calls.
        actions: Another action for a code than the table's.
        stats: Counters that this run keeps up to date.
        admitted: Rows held at once.
        limits: What ends the run before its rows do.
        max_outage: A dead service or network is waited for so long, seconds.
        log: Where events go.
        clock: A steady clock, seconds.
        jitter: Random numbers in [0, 1).
    """

    def __init__(
        self,
        stages: Stages,
        facts: JobFacts,
        rules: RetryRules,
        *,
        actions: Mapping[str, Action],
        stats: Stats,
        admitted: int,
        limits: Limits,
        max_outage: float,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stages = stages
        self._facts = facts
        self._rules = rules
        self._actions = actions
        self.stats = stats
        self._log = log
        self._clock = clock
        self._jitter = jitter
        self._began = datetime.now(UTC)
        self._admission = asyncio.Semaphore(admitted)
        self._to_prepare: asyncio.Queue[Work] = asyncio.Queue()
        self._ready: list[tuple[int, int, Work]] = []
        self._wake = asyncio.Event()
        self._open = 0
        self._read_all = False
        self._stopping = False
        self._ending_in_a_row = 0
        self._ended: RunEndedError | None = None
        self._histories = stages.ledger.histories()
        self._stoppable: list[asyncio.Task[None]] = []
        self._limits = limits
        self._max_outage = max_outage
        self._health = Health()
        self._coalescer = Coalescer()
        self.stopped_because = ""

    async def run(self, preparers: int) -> None:
        """Work until every row has its outcome, or until stopped; what is known is sealed on return.

        Args:
            preparers: Rows prepared at once.

        Raises:
            RunEndedError: An answer that no row can survive.
            OutputError: The ledger or the output cannot be written.
        """
        sealing = asyncio.create_task(self._stages.sealer.run())
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(sealing))
                self._stoppable = [group.create_task(self._read())]
                self._stoppable += [group.create_task(self._prepare_rows()) for _ in range(preparers)]
                dispatching = group.create_task(self._dispatch(group))
                self._stoppable.append(dispatching)
                await asyncio.wait([dispatching])
                for task in self._stoppable:
                    task.cancel()
                watch.cancel()
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
        finally:
            sealing.cancel()
            await asyncio.gather(sealing, return_exceptions=True)
        await self._stages.sealer.finish()
        if self._ended is not None:
            raise self._ended

    @property
    def unfinished(self) -> bool:
        """Whether rows are left without an outcome."""
        return not self._read_all or self._open > 0

    def stop(self, why: str) -> None:
        """Send nothing more; calls that are out may still answer."""
        if self._stopping:
            return
        self._stopping = True
        self.stopped_because = why
        self._log.info("run_stopping", why=why, in_flight=self.stats.in_flight)
        for task in self._stoppable:
            task.cancel()

    @staticmethod
    async def _watch(sealing: asyncio.Task[None]) -> None:
        await asyncio.wait([sealing])
        sealing.result()

    # -- rows in -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            batch, digests, done = await asyncio.to_thread(self._next_batch)
            if batch is None:
                break
            for row, digest in zip(batch.rows, digests, strict=True):
                if digest in done:
                    continue
                await self._admission.acquire()
                self._open += 1
                self._to_prepare.put_nowait(
                    self._facts.work_for(row, batch.carried, digest, self._histories.pop(digest, None))
                )
        self._read_all = True
        self._wake.set()

    def _next_batch(self) -> tuple[RowBatch | None, list[bytes], set[bytes]]:
        batch = next(self._stages.batches, None)
        if batch is None:
            return None, [], set()
        digests = [digest_of(row.key) for row in batch.rows]
        return batch, digests, self._stages.ledger.finished(digests)

    async def _prepare_rows(self) -> None:
        while True:
            await self._prepare_row(await self._to_prepare.get())

    async def _prepare_row(self, work: Work) -> None:
        if work.request_key is None:
            failure = await self._stages.preparer.prepare(work)
            if failure is not None:
                await self._finish(work, failure, {"rejected": 1} if failure.origin == "local" else {})
                return
            if not await self._leads(work):
                return
        if work.call is None:
            if not await self._uploaded(work):
                return
            failure = await self._stages.preparer.build(work)
            if failure is not None:
                await self._finish(work, failure, {"rejected": 1})
                return
        self._make_ready(work)

    async def _leads(self, work: Work) -> bool:
        """Whether a call has to be made for this row; if not, it gets an equal request's answer."""
        if work.earlier is None and self._coalescer.was_answered(work):
            # Its answer was committed after this row had looked for it.
            await asyncio.to_thread(self._stages.preparer.look_again, work)
        if work.earlier is not None:
            await self._finish_as(work, work.earlier)
            return False
        return self._coalescer.leads(work)

    async def _finish_as(self, work: Work, earlier: EarlierAnswer) -> None:
        """Give a row the answer to an equal request."""
        work.earlier = earlier
        here = earlier.answered_at >= self._began
        self.stats.coalesced += here
        self.stats.reused += not here
        await self._finish(work, earlier.failure, {"coalesced" if here else "reused": 1})

    async def _uploaded(self, work: Work) -> bool:
        """Whether all pictures are where the service can fetch them; if not, the row's fate is decided."""
        uploader = self._stages.uploader
        if uploader is None:
            return True
        for picture in work.pictures[len(work.addresses) :]:
            put = await uploader.upload(picture.data)
            if isinstance(put, Uploaded):
                work.addresses += (put.url,)
                continue
            entry = code_for(put.code or "", put.http_status)
            await self._refused(work, put, entry, None, again=self._to_prepare.put_nowait)
            return False
        return True

    def _make_ready(self, work: Work) -> None:
        heapq.heappush(self._ready, (work.row.number, work.page, work))
        self._wake.set()

    # -- calls ---------------------------------------------------------------------------------------

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while not (self._read_all and self._open == 0):
            most = 1 if self._health.paused else self._stages.in_flight.limit()
            if not self._ready or self.stats.in_flight >= most:
                await self._woken()
                continue
            now = self._clock()
            if self._limits.max_calls is not None and self.stats.calls >= self._limits.max_calls:
                self.stop(f"{self.stats.calls:,} calls are made, as many as were allowed")
                return
            if self._health.silent_for(now) > self._max_outage:
                minutes = self._health.silent_for(now) / 60
                self.stop(f"nothing was answered for {minutes:.0f} minutes: service or network is down")
                return
            pause = self._health.wait(now)
            if pause > 0:
                await self._woken(pause)
                continue
            slot_at = await self._stages.pacer.slot()
            _, _, work = heapq.heappop(self._ready)
            self.stats.in_flight += 1
            self.stats.sent(self._clock())
            group.create_task(self._call(work, slot_at))

    async def _woken(self, most: float | None = None) -> None:
        """Wait until something has changed, at most so many seconds."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._wake.wait()

    async def _call(self, work: Work, slot_at: float) -> None:
        call = work.call
        if call is None:
            raise AssertionError("a row without a call was made ready")
        if work.first_sent is None:
            work.first_sent = self._clock()
        self._stages.pacer.departed(slot_at)
        try:
            answer = await self._stages.client.send(call)
        finally:
            self.stats.in_flight -= 1
            self._wake.set()
        self.stats.bytes_sent += len(call.body)
        self.stats.retries += bool(work.attempts) and work.attempts[-1].code is not None
        self._stages.in_flight.observe(answer.latency)
        entry = code_for(answer.code, answer.http_status) if answer.code is not None else None
        work.attempts.append(Attempt.of(work.page, answer, denied=entry is not None and entry.throttles))
        if entry is None:
            self._stages.pacer.granted(slot_at, answer.latency)
            self._health.answered()
            await self._answered(work, answer)
        else:
            await self._refused(work, answer, entry, slot_at, again=self._make_ready)

    async def _answered(self, work: Work, answer: Answer) -> None:
        self._ending_in_a_row = 0
        page = page_answer(work, answer)
        work.answers[work.page] = page
        self.stats.hits += len(page.hits)
        if self._facts.is_last(work.page, len(page.hits)):
            await self._finish(work, None, {"calls": 1}, lasting=True)
            return
        await self._stages.ledger.attempt(
            work.digest,
            len(work.attempts),
            work.attempts[-1].as_json(),
            self._usage({"calls": 1}),
            page=(work.page, page.as_json()),
        )
        work.begin_page(work.page + 1)
        failure = await self._stages.preparer.build(work)
        if failure is not None:
            await self._finish(work, failure, {})
        else:
            self._make_ready(work)

    async def _refused(
        self,
        work: Work,
        answer: Answer,
        entry: ErrorCode,
        slot_at: float | None,
        *,
        again: Callable[[Work], None],
    ) -> None:
        """Carry out what an unsuccessful answer means: to a call, or (without a slot) to an upload."""
        throttled = entry.throttles and slot_at is not None
        action = self._actions.get(entry.name, entry.action)
        self._learn(answer, entry, action, slot_at, throttled=throttled)
        work.denied_here += throttled
        # What is tried while everything fails says nothing about the row.
        counts = not throttled and not self._health.paused
        work.attempts_here += counts
        started = work.first_sent if work.first_sent is not None and counts else self._clock()
        decision = decide(
            action,
            History(
                attempts=work.attempts_here,
                denied=work.denied_here,
                elapsed=self._clock() - started,
                ending_in_a_row=self._ending_in_a_row,
                renewed=work.renewed,
            ),
            self._rules,
            jitter=self._jitter(),
            throttled=throttled,
            retry_after=answer.retry_after,
        )
        spent = {"calls": int(slot_at is not None), "denied": int(throttled)}
        if not isinstance(decision, Retry | EndRun):
            failure = Failure(
                entry.name, answer.origin or "api", entry.owner, answer.message or entry.meaning
            )
            lasting = action == "fail_row" and answer.origin == "api"
            await self._finish(work, failure, spent, lasting=lasting)
            return
        if slot_at is not None:
            await self._stages.ledger.attempt(
                work.digest, len(work.attempts), work.attempts[-1].as_json(), self._usage(spent)
            )
            work.has_history = True
        if isinstance(decision, EndRun):
            self._end(entry.name, answer, entry.advice)
            return
        event = "call_denied" if throttled else "call_retried"
        self._log.debug(event, row=work.row.key, code=entry.name, wait=round(decision.wait, 3))
        work.renewed = work.renewed or decision.renew
        if decision.refresh:
            await self._stages.client.refresh_credentials()
        asyncio.get_running_loop().call_later(decision.wait, again, work)

    def _learn(
        self, answer: Answer, entry: ErrorCode, action: Action, slot_at: float | None, *, throttled: bool
    ) -> None:
        """Take from an unsuccessful answer what it says about the pace, and about the run."""
        if throttled and slot_at is not None:
            self.stats.denied += 1
            self._stages.pacer.denied(slot_at, answer.latency, answer.retry_after)
        elif answer.origin == "api" and slot_at is not None:
            self._stages.pacer.granted(slot_at, answer.latency)
        if not throttled and (answer.origin == "transport" or entry.owner == "service"):
            self._health.failed(self._clock())
        else:
            self._health.answered()
        if action == "end_run":
            self._ending_in_a_row += 1
        elif answer.origin == "api" and not throttled:
            self._ending_in_a_row = 0

    def _end(self, code: str, answer: Answer, advice: str) -> None:
        if self._ended is None:
            said = f": {answer.message}" if answer.message else ""
            self._ended = RunEndedError(code, f"{code}{said} ({advice})")
            self._log.error("run_ending", code=code, message=answer.message, advice=advice)
        self.stop(f"the service answered {code}")

    # -- rows out ------------------------------------------------------------------------------------

    async def _finish(
        self, work: Work, failure: Failure | None, spent: Mapping[str, int], *, lasting: bool = False
    ) -> None:
        """Commit a row's outcome, then that of rows that asked the same; `lasting`: for later ones too."""
        row = finished_row(self._facts, work, failure, datetime.now(UTC), lasting=lasting)
        counted = Counter(spent)
        counted["rows_ok" if failure is None else "rows_failed"] += 1
        await self._stages.ledger.finish(row, self._usage(counted))
        self._stages.sealer.added()
        if failure is None:
            self.stats.ok += 1
        else:
            self.stats.failed += 1
            self.stats.codes[failure.code] += 1
        self._log.debug("row_finished", row=work.row.key, code=row.code, attempts=len(work.attempts))
        self._open -= 1
        self._admission.release()
        self._wake.set()
        if work.earlier is None:
            followers = self._coalescer.finished(work, lasting=lasting)
            if followers:
                earlier = from_record(row.result, row.hits)
                for follower in followers:
                    await self._finish_as(follower, earlier)

    def _usage(self, counted: Mapping[str, int]) -> dict[UsageKey, int]:
        day = datetime.now(UTC).date().isoformat()
        return {
            UsageKey(day, self._facts.instance, self._facts.operation, name): amount
            for name, amount in counted.items()
        }
