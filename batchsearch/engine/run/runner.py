"""The pipeline seen whole: manifest rows in, committed outcomes out, one slot for each request.

::

    reader ──▶ preparers ──▶ ready ──▶ dispatcher ──▶ calls ──▶ ledger ──▶ sealer
     (rows       (threads)    (heap,     (one slot,    (send,     (commit)   (parts)
      without                 oldest     capped in     judge)
      outcome)                first)     flight)  ▲      │
                                 └── a repeat, after its wait ◀┘

A row is admitted before it is prepared and leaves when its outcome is committed; how many are admitted
at once is bounded, so memory holds a few seconds' worth of images and never the manifest. Equal requests
are one call: rows that ask what another row is asking wait for its answer, rows that ask what is answered
already get that answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import time
from typing import TYPE_CHECKING

from batchsearch import crash_points
from batchsearch.engine.retry.judge import Judge, run_ended
from batchsearch.engine.retry.policy import EndRun, Retry
from batchsearch.engine.rows.coalesce import Coalescer
from batchsearch.engine.rows.outcome_columns import page_answer
from batchsearch.engine.rows.pending_row import Attempt, Failure
from batchsearch.engine.run.intake import Intake
from batchsearch.engine.run.outcomes import Outcomes
from batchsearch.errors import ConfigError, MachineError, RunEndedError
from batchsearch.service.codes.lookup import code_for
from batchsearch.telemetry.watchdog import Snapshot, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from batchsearch.engine.retry.policy import RetryRules
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.engine.run.stages import Stages
    from batchsearch.service.client import Answer
    from batchsearch.service.codes.table import ErrorCode
    from batchsearch.telemetry.stats import Stats


class Runner:
    """Runs one instance worker's rows through the stages, once.

    Args:
        stages: The parts of the pipeline.
        facts: What holds for every row of the job.
        rules: Bounds on repeating calls.
        stats: Counters that this run keeps up to date.
        log: Where events go.
        clock: A steady clock, seconds.
        jitter: Random numbers in [0, 1).
    """

    def __init__(
        self,
        stages: Stages,
        facts: JobFacts,
        rules: RetryRules,
        stats: Stats,
        *,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stages = stages
        self._facts = facts
        self._address = stages.client.address
        self._judge = Judge(rules, stages.pacer, stats, address=self._address, clock=clock, jitter=jitter)
        self.stats = stats
        self._log = log
        self._clock = clock
        self._admission = asyncio.Semaphore(stages.admitted)
        self._ready: list[tuple[int, int, PendingRow]] = []
        self._wake = asyncio.Event()
        self._open = 0
        self._in_flight = 0
        # Calls that a kill would repeat: those that are out, and those whose answers are not committed yet.
        self._unsettled = 0
        self._admitted = 0
        self._read_all = False
        self._stopping = False
        self._ended: RunEndedError | None = None
        self._stoppable: list[asyncio.Task[None]] = []
        coalescer = Coalescer()
        self.stopped_because = ""
        self._watchdog = Watchdog(log, clock)
        self._outcomes = Outcomes(
            stages,
            facts,
            stats,
            coalescer,
            log=log,
            heard=self._watchdog.heard,
            left=self._left,
            clock=clock,
        )
        self._intake = Intake(
            stages,
            self._outcomes,
            coalescer,
            self._judge.health,
            stats,
            ready=self._make_ready,
            refused=self._upload_refused,
            clock=clock,
        )
        self._out: dict[PendingRow, float] = {}

    async def run(self, preparers: int) -> None:
        """Work until every row has its outcome, or until stopped; what is known is committed on return.

        Args:
            preparers: Rows prepared at once.

        Raises:
            RunEndedError: An answer that no row can survive.
            OutputError: The ledger or the output cannot be written.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._outcomes.begin(group)
                self._stoppable = [
                    group.create_task(self._read()),
                    group.create_task(self._watchdog.run(self._snapshot)),
                ]
                self._stoppable += [group.create_task(self._intake.work(self.stop)) for _ in range(preparers)]
                dispatching = group.create_task(self._dispatch(group))
                self._stoppable.append(dispatching)
                await asyncio.wait([dispatching])
                for task in self._stoppable:
                    task.cancel()
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
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

    def _snapshot(self) -> Snapshot | None:
        if not self._open:
            return None
        now, stats, stages = self._clock(), self.stats, self._stages
        return Snapshot(
            in_flight=self._in_flight,
            oldest_call=now - min(self._out.values(), default=now),
            ready=len(self._ready),
            preparing=stats.preparing + self._intake.waiting,
            repeating=stats.repeating,
            committing=stats.committing,
            until_probe=self._judge.health.wait(now),
            silent_for=self._judge.health.silent_for(now),
            trouble=self.stats.troubles.get(self._address, ""),
            denied_share=self._judge.denied_share,
            rate=stages.pacer.rate,
            tier=stages.pacer.ceiling,
            most_in_flight=stages.in_flight.limit(),
        )

    # -- rows in -------------------------------------------------------------------------------------

    async def _read(self) -> None:
        async for pending in self._stages.reader.rows():
            await self._admission.acquire()
            self._open += 1
            self._admitted += 1
            pending.place = self._admitted
            self._intake.put(pending)
        self._read_all = True
        self._wake.set()

    def _make_ready(self, pending: PendingRow) -> None:
        heapq.heappush(self._ready, (pending.place, pending.page, pending))
        self.stats.ready += 1
        if len(self._ready) == 1:
            # Where others are ready already, something else is waited for.
            self._wake.set()

    # -- calls ---------------------------------------------------------------------------------------

    async def _dispatch(self, group: asyncio.TaskGroup) -> None:
        while not self._stopping and not (self._read_all and self._open == 0):
            most = 1 if self._judge.health.paused else self._stages.in_flight.limit()
            if not self._ready or self._unsettled >= most:
                await self._woken()
                continue
            pause = self._judge.health.until_probe(self._clock())
            if pause > 0:
                await self._woken(pause)
                continue
            # Returns at once unless credentials were refused: then no slot is spent until there are others.
            if not await self._refreshed_credentials():
                return
            if not self._stages.calls_left.take():
                self.stop(f"{self._stages.calls_left.most:,} calls are made, as many as were allowed")
                return
            try:
                slot_at = await self._stages.pacer.slot()
            except BaseException:
                self._stages.calls_left.give_back()
                raise
            _, _, pending = heapq.heappop(self._ready)
            self.stats.ready -= 1
            self._unsettled += 1
            self._in_flight += 1
            self.stats.in_flight += 1
            if self._facts.spends:
                self.stats.sent(self._clock())
            group.create_task(self._settled(pending, slot_at))

    async def _woken(self, most: float | None = None) -> None:
        """Wait until something has changed, at most so many seconds."""
        self._wake.clear()
        if most is None:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._wake.wait()

    async def _settled(self, pending: PendingRow, slot_at: float) -> None:
        """Make a call and commit what came of it: until then a kill would repeat it."""
        began = self._clock()
        try:
            await self._call(pending, slot_at)
        except MachineError as error:
            self.stop(str(error))
        finally:
            self._unsettled -= 1
            self._stages.in_flight.observe(self._clock() - began)
            self._wake.set()

    async def _call(self, pending: PendingRow, slot_at: float) -> None:
        call = pending.call
        if call is None:
            raise AssertionError("a row without a call was made ready")
        if pending.first_sent is None:
            pending.first_sent = self._clock()
        self._out[pending] = self._clock()
        self._stages.pacer.departed(slot_at)
        crash_points.reached("before_send")
        try:
            answer = await self._stages.client.send(call)
        finally:
            self._in_flight -= 1
            self.stats.in_flight -= 1
            del self._out[pending]
        crash_points.reached("answer_read")
        self._watchdog.heard()
        self.stats.retries += bool(pending.attempts) and pending.attempts[-1].code is not None
        entry = code_for(answer.code, answer.http_status) if answer.code is not None else None
        denied = entry is not None and entry.throttles
        attempt = Attempt.of(
            pending.page, answer, denied=denied, request=pending.request_key, run=self._facts.run_id
        )
        pending.attempts.append(attempt)
        self.stats.answered(
            answer.latency,
            None if entry is None else entry.name,
            denied=denied,
            now=self._clock(),
            sent_bytes=len(call.body),
        )
        if entry is None:
            self._judge.succeeded(slot_at, answer.latency)
            await self._answered(pending, answer)
        else:
            await self._refused(pending, answer, entry, slot_at, again=self._make_ready)

    async def _answered(self, pending: PendingRow, answer: Answer) -> None:
        page = page_answer(pending, answer)
        pending.answers[pending.page] = page
        if self._facts.is_last(pending.page, len(page.hits)):
            await self._outcomes.finish(pending, None, {"calls": 1}, lasting=True, apart=False)
            return
        await self._stages.ledger.attempt(
            pending.digest,
            len(pending.attempts),
            pending.attempts[-1].as_json(),
            self._outcomes.usage({"calls": 1}),
            page=(pending.page, page.as_json()),
        )
        pending.begin_page(pending.page + 1)
        failure = await self._stages.preparer.build(pending)
        if failure is not None:
            await self._outcomes.finish(pending, failure, {})
        else:
            self._make_ready(pending)

    async def _refused(
        self,
        pending: PendingRow,
        answer: Answer,
        entry: ErrorCode,
        slot_at: float | None,
        *,
        again: Callable[[PendingRow], None],
    ) -> None:
        """Carry out what an unsuccessful answer means: to a call, or (without a slot) to an upload."""
        pending.refusal = page_answer(pending, answer)
        verdict = self._judge.judge(pending, answer, entry, slot_at)
        decision, throttled = verdict.decision, verdict.throttled
        spent = {"calls": int(slot_at is not None), "denied": int(throttled)}
        if not isinstance(decision, Retry | EndRun):
            failure = Failure(
                entry.name, answer.origin or "api", entry.owner, answer.message or entry.meaning
            )
            await self._outcomes.finish(pending, failure, spent, lasting=verdict.lasting)
            return
        if slot_at is not None:
            await self._stages.ledger.attempt(
                pending.digest,
                len(pending.attempts),
                pending.attempts[-1].as_json(),
                self._outcomes.usage(spent),
            )
            pending.has_history = True
        if isinstance(decision, EndRun):
            self._end(entry, answer)
            return
        event = "call_denied" if throttled else "call_retried"
        wait, left = decision.wait, self._judge.health.until_end(self._clock())
        if left is not None:
            # Whether the outage is over is found out when its time is, not when this row's wait is.
            wait = max(min(wait, left), answer.retry_after or 0.0)
        self._log.debug(event, row=pending.row.key, code=entry.name, wait=round(wait, 3))
        if self._judge.health.is_given_up:
            self._stop_after_outage()
        pending.resigned = pending.resigned or decision.resign
        if decision.refresh and not await self._refreshed_credentials():
            return
        self.stats.repeating += 1
        asyncio.get_running_loop().call_later(wait, self._repeat, again, pending)

    async def _upload_refused(self, pending: PendingRow, put: Answer, entry: ErrorCode) -> None:
        await self._refused(pending, put, entry, None, again=self._intake.put)

    def _stop_after_outage(self) -> None:
        trouble = self.stats.troubles.get(self._address)
        named = f"; {trouble}" if trouble else ""
        outage = self._judge.health.outage
        self.stop(f"nothing was answered for {outage:.0f} seconds: service or network is down{named}")

    async def _refreshed_credentials(self) -> bool:
        """Whether there are credentials that were not refused; without, the run stops, resumable."""
        try:
            await self._stages.client.refresh_credentials()
        except ConfigError as error:
            self.stop(f"the credentials were refused and there are no others: {error}")
            return False
        return True

    def _repeat(self, again: Callable[[PendingRow], None], pending: PendingRow) -> None:
        self.stats.repeating -= 1
        again(pending)

    def _end(self, entry: ErrorCode, answer: Answer) -> None:
        if self._ended is None:
            self._ended = run_ended(entry, answer, self._address)
            self._log.error(
                "run_ending",
                code=entry.name,
                message=answer.message,
                request_id=answer.request_id,
                access_denied_detail=self._ended.denial,
                advice=entry.advice,
            )
        self.stop(f"the service answered {entry.name}")

    # -- rows out ------------------------------------------------------------------------------------

    def _left(self) -> None:
        self._open -= 1
        self._admission.release()
        if not self._open:
            self._wake.set()
