"""Lanes placed on a cluster's workers, asked after, moved when a worker dies, until all have ended.

A lane is on one worker at a time by the lease of its own output: where a worker died, the next one is refused
until that lease has lapsed, and is tried again until then.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from concurrent.futures import CancelledError as FutureCancelledError
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.job.instance_worker import rate_of
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.errors import ExitCode
from batchsearch.tasks.lanes import lane_worker
from batchsearch.tasks.lanes.followed_lane import FollowedLane
from batchsearch.tasks.lanes.lane_order import LaneEnd, LaneOrder, LaneReading, travelling
from batchsearch.tasks.lanes.lane_places import placed, shares
from batchsearch.tasks.lanes.lanes_together import together
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from batchsearch.config.model import JobSettings
    from batchsearch.images.cluster.cluster_connection import Cluster
    from batchsearch.telemetry.progress import Progress

_ANSWER_SECONDS: Final = 10.0
"""How long the scheduler is waited for in one look."""
_MOST_IN_VAIN: Final = 5
"""So often a lane moves without having got on before it is given up."""
_AGAIN_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 30.0
_HANGING: Final = 2
"""A worker that has not answered for so many times the silence is given up: its lanes have stopped then."""
_PASSING: Final = frozenset({ExitCode.OUTPUT_FAILED, ExitCode.INCOMPLETE})
"""What may be the worker's own trouble: its disk, its way to the store, its file descriptors."""


@dataclass(frozen=True, slots=True)
class Watching:
    """How lanes are watched over, seconds.

    Attributes:
        tick: Between two looks at workers and ends.
        ask: Between two questions to a worker.
        silence: A lane that nobody asks after for so long stops; a scheduler that does not answer for so long
            is lost.
    """

    tick: float = 0.5
    ask: float = 2.0
    silence: float = 30.0


class LaneKeeper:
    """Keeps the lanes of a job on a cluster until each has ended; what `StopSignals` stops.

    Args:
        cluster: Where.
        lanes: The lanes' settings by instance.
        settings: The whole job.
        options: Of the run; the lanes share its calls.
        ends: When the run ends, for people.
        log_level: Of the workers' logs.
        watching: How often what is looked at.
        clock: A steady clock, seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        lanes: Mapping[str, JobSettings],
        settings: JobSettings,
        options: RunOptions,
        *,
        ends: datetime | None,
        log_level: str,
        watching: Watching | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._options = RunOptions(options.until, chosen=options.chosen)
        self._ends = ends
        self._log_level = log_level
        self._watching = watching or Watching()
        self._clock = clock
        self._jobs = {name: travelling(lane) for name, lane in lanes.items()}
        calls = shares(options.max_calls, len(lanes))
        self._lanes = [
            FollowedLane(name, lane, most) for (name, lane), most in zip(lanes.items(), calls, strict=True)
        ]
        self._stopping = ""
        self._told_to_stop = False
        self._silent_since: float | None = None
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._asked_at: dict[str, float] = {}

    @property
    def ends(self) -> dict[str, LaneEnd]:
        """How lanes ended, by instance."""
        return {lane.instance: lane.end for lane in self._lanes if lane.end is not None}

    @property
    def unfinished(self) -> dict[str, str]:
        """Why the others did not, by instance."""
        return {lane.instance: lane.why_not for lane in self._lanes if lane.end is None}

    @property
    def readings(self) -> dict[str, LaneReading]:
        """The last that was heard of lanes, by instance."""
        return {lane.instance: lane.shown for lane in self._lanes if lane.shown is not None}

    @property
    def before(self) -> dict[str, list[LaneReading]]:
        """What workers had counted that lanes have moved from, by instance."""
        return {lane.instance: lane.before for lane in self._lanes}

    @property
    def stopped_because(self) -> str:
        """Why all lanes were stopped; empty when they were not."""
        return self._stopping

    def stop(self, why: str) -> None:
        """Stop all lanes in good order; those that have not begun do not begin."""
        if not self._stopping:
            self._stopping = why
            logger().info("run_stopping", why=why, in_flight=sum(map(_in_flight, self._lanes)))

    async def keep(self, progress: Progress) -> None:
        """Watch over the lanes until none is left; a scheduler that is lost leaves them unfinished."""
        try:
            with progress:
                while not all(lane.is_over for lane in self._lanes):
                    await self._look()
                    self._show(progress)
                    if not all(lane.is_over for lane in self._lanes):
                        await asyncio.sleep(self._watching.tick)
        finally:
            await self._let_go()

    def _show(self, progress: Progress) -> None:
        readings = [lane.shown for lane in self._lanes if lane.shown is not None]
        if readings:
            progress.update(together(readings, self._settings, self._ends, time.monotonic()))

    async def _look(self) -> None:
        """One look at workers and lanes, and what follows from it."""
        try:
            workers = set(await self._asked(self._cluster.threads))
            self._silent_since = None
        except Exception:  # noqa: BLE001 - Dask has many ways to say that nobody answers
            self._not_answered()
            return
        for lane in self._lanes:
            if lane.future is not None and lane.future.done():
                await self._ended(lane)
            elif lane.future is not None and lane.worker not in workers:
                self._moves(lane, f"its worker {lane.worker} is gone")
        if self._stopping:
            for lane in self._lanes:
                if lane.future is None and not lane.is_over:
                    lane.why_not = self._stopping
            if not self._told_to_stop:
                await self._run(lane_worker.stop, self._stopping)
                self._told_to_stop = True
        else:
            self._place(workers)
        self._read()

    def _read(self) -> None:
        """Ask after the lanes: that alone keeps them working. A worker that hangs keeps nobody waiting."""
        now = self._clock()
        for worker in {lane.worker for lane in self._lanes if lane.future is not None}:
            asking = self._asking.get(worker)
            is_time = now - self._asked_at.get(worker, -math.inf) >= self._watching.ask
            if is_time and (asking is None or asking.done()):
                self._asked_at[worker] = now
                self._asking[worker] = asyncio.create_task(self._ask(worker))
        patience = _HANGING * self._watching.silence
        for lane in self._lanes:
            if lane.future is not None and self._clock() - lane.heard_at > patience:
                lane.avoided.add(lane.worker)
                self._moves(lane, f"its worker {lane.worker} does not answer")

    async def _ask(self, worker: str) -> None:
        answers = await self._run(lane_worker.ask, only=worker)
        for lane in self._lanes:
            if lane.future is None or lane.token not in answers.get(lane.worker, {}):
                continue
            lane.heard_at = self._clock()
            reading = answers[lane.worker][lane.token]
            if reading is not None:
                lane.reading, lane.read_at = reading, lane.heard_at
                lane.refused_since = None

    def _not_answered(self) -> None:
        now = self._clock()
        self._silent_since = self._silent_since or now
        if now - self._silent_since > self._watching.silence:
            why = (
                "the cluster's scheduler does not answer any more; its workers stop in good order, and the "
                "same command goes on where they were"
            )
            for lane in self._lanes:
                if not lane.is_over:
                    lane.why_not = why

    def _place(self, workers: set[str]) -> None:
        now = self._clock()
        waiting = {
            lane.instance: lane
            for lane in self._lanes
            if lane.future is None and not lane.is_over and lane.not_before <= now
        }
        working = {lane.instance: lane.worker for lane in self._lanes if lane.future is not None}
        avoided = {name: lane.avoided for name, lane in waiting.items()}
        for name, worker in placed(waiting, working, workers, avoided).items():
            self._begin(waiting[name], worker)

    def _begin(self, lane: FollowedLane, worker: str) -> None:
        if lane.calls_left is not None and lane.calls_left <= 0:
            lane.why_not = "its share of the calls that were allowed is made"
            return
        lane.token, lane.worker = secrets.token_hex(8), worker
        order = LaneOrder(
            lane.token,
            lane.instance,
            self._jobs[lane.instance],
            replace(self._options, max_calls=lane.calls_left),
            silence=self._watching.silence,
            log_level=self._log_level,
        )
        lane.future = self._cluster.client.submit(
            lane_worker.work,
            order,
            key=f"batchsearch-lane-{lane.instance}-{lane.token}",
            workers=[worker],
            allow_other_workers=False,
            pure=False,
        )
        lane.read_at = lane.heard_at = self._clock()
        if not lane.not_before:
            logger().info("lane_placed", instance=lane.instance, worker=worker)

    async def _ended(self, lane: FollowedLane) -> None:
        """Take what a lane has ended with; what is no end of the lane itself lets it go on elsewhere."""
        future = lane.future
        if future is None:
            return
        try:
            end: LaneEnd = await asyncio.to_thread(future.result, timeout=_ANSWER_SECONDS)
        except Exception as error:
            if not _is_the_clusters(error):
                raise
            self._moves(lane, f"its worker {lane.worker} was lost ({type(error).__name__})")
            return
        if end.error is not None and end.error[0] == ExitCode.OUTPUT_IN_USE and not self._stopping:
            self._refused(lane, end)
        elif self._stopping or not (end.moves or (end.error is not None and end.error[0] in _PASSING)):
            lane.future, lane.end = None, end
        else:
            lane.avoided.add(lane.worker)
            why = end.error[1] if end.error is not None else f"its worker {lane.worker} is closing"
            self._moves(lane, why, end)

    def _refused(self, lane: FollowedLane, end: LaneEnd) -> None:
        """Wait until the lease of an earlier holder has lapsed; one that lives on has the lane."""
        now = self._clock()
        lane.refused_since = lane.refused_since or now
        patience = lane.settings.output.lease_seconds + self._watching.silence + _GRACE_SECONDS
        if now - lane.refused_since > patience:
            lane.future, lane.end = None, end
            return
        self._freed(lane)
        lane.not_before = now + _AGAIN_SECONDS

    def _moves(self, lane: FollowedLane, why: str, end: LaneEnd | None = None) -> None:
        """Let a lane go on on another worker, unless it has moved in vain too often."""
        self._spend(lane, end)
        lane.leave(end)
        self._freed(lane)
        lane.not_before = 0.0
        if lane.in_vain >= _MOST_IN_VAIN:
            lane.why_not = f"moved {lane.in_vain} times without getting on; at last: {why}"
        if self._stopping:
            lane.why_not = self._stopping
        logger().warning("lane_moved", instance=lane.instance, why=why)

    def _spend(self, lane: FollowedLane, end: LaneEnd | None) -> None:
        """Take off what a lane may have called: of calls since its last reading nobody knows."""
        if lane.calls_left is None:
            return
        if end is not None and end.summary is not None:
            lane.calls_left -= int(end.summary.get("calls", 0))
            return
        counts = lane.reading.counts if lane.reading is not None else {}
        unseen = rate_of(lane.settings) * (self._clock() - lane.read_at)
        lane.calls_left -= int(counts.get("calls", 0)) + (
            lane.calls_left if math.isinf(unseen) else math.ceil(unseen)
        )

    def _freed(self, lane: FollowedLane) -> None:
        if lane.future is not None:
            lane.future.release()
        lane.future, lane.worker, lane.token = None, "", ""

    async def _let_go(self) -> None:
        """Leave no lane behind that nobody watches over."""
        for asking in self._asking.values():
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        if any(lane.future is not None for lane in self._lanes):
            await self._run(lane_worker.stop, self._stopping or "its client has ended")
        for lane in self._lanes:
            self._freed(lane)

    async def _run(self, what: Callable[..., Any], *more: Any, only: str | None = None) -> dict[str, Any]:
        """Call a function of `lane_worker` on each worker with a lane, or on one; answers by worker."""
        at_work = [lane for lane in self._lanes if lane.future is not None and only in {None, lane.worker}]
        if not at_work:
            return {}
        tokens = [lane.token for lane in at_work]
        workers = sorted({lane.worker for lane in at_work})
        try:
            found: dict[str, Any] = await self._asked(
                lambda: self._cluster.client.run(what, tokens, *more, workers=workers, on_error="ignore")
            )
        except Exception:  # noqa: BLE001 - whoever is gone shows at the next look
            return {}
        return found

    async def _asked(self, question: Callable[[], Any]) -> Any:
        """An answer of the cluster, waited for only so long."""
        return await asyncio.wait_for(asyncio.to_thread(question), _ANSWER_SECONDS)


def _in_flight(lane: FollowedLane) -> int:
    return 0 if lane.reading is None else lane.reading.counts.get("in_flight", 0)


def _is_the_clusters(error: Exception) -> bool:
    """Whether an error says that the cluster has lost a task, and not that the task itself failed."""
    return isinstance(error, FutureCancelledError | OSError | TimeoutError) or (
        type(error).__module__.partition(".")[0] == "distributed"
    )
