"""The pipeline put together from a job's settings: every stage made, and taken down again."""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.config.model import PRIORITY
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.job.request_facts import facts_of, rules_of
from batchsearch.engine.job.window import CallsLeft
from batchsearch.engine.renewal.change_detection import sources_of
from batchsearch.engine.retry.policy import RetryRules
from batchsearch.engine.rows.answer_cache import AnswerCache
from batchsearch.engine.rows.held_items import HeldItems
from batchsearch.engine.rows.other_folders import answers_of, other_folders
from batchsearch.engine.rows.preparer import Preparer
from batchsearch.engine.rows.row_reader import RowReader
from batchsearch.engine.run.deletions import guard_deletions, is_guarded
from batchsearch.engine.run.direct_calls import DirectClient, calls_at_once
from batchsearch.engine.run.held_output import HolderClient, KeptLedger
from batchsearch.engine.run.instance_access import Services, client_of, pacer_for, uploader_of
from batchsearch.engine.run.places import image_root
from batchsearch.engine.run.runner import Runner
from batchsearch.engine.run.stages import Stages, admitted_at_once
from batchsearch.errors import RunEndedError
from batchsearch.images.workshop import open_workshop_at
from batchsearch.pacing.in_flight import FixedLimit, InFlightLimit
from batchsearch.pacing.unpaced import Unpaced
from batchsearch.service.form import build_call, build_handed_call
from batchsearch.service.http_exchange import new_session
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.engine.job.instance_worker import InstanceWorker
    from batchsearch.engine.job.window import Limits
    from batchsearch.engine.parts.sealer import Sealer
    from batchsearch.engine.rows.pending_row import JobFacts
    from batchsearch.engine.run.opened import Opened
    from batchsearch.engine.run.stand_in import StandIn
    from batchsearch.images.workshop import Workshop
    from batchsearch.service.client import Client
    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.telemetry.stats import Stats

_HOUR = 3600.0


@asynccontextmanager
async def assembled(
    opened: Opened, stats: Stats, sealer: Sealer, limits: Limits, stand_in: StandIn | None = None
) -> AsyncIterator[InstanceWorkers]:
    """The instance workers of a job over everything they need.

    Args:
        opened: The job.
        stats: What the run counts.
        sealer: Writes parts.
        limits: When it ends, and after how many calls.
        stand_in: Takes the calls in place of the instances.

    Raises:
        ConfigError: There are no credentials, an endpoint is unusable, or an optional part is missing.
    """
    settings = opened.settings
    async with AsyncExitStack() as stack:
        shared = _Shared(
            opened,
            stats,
            sealer,
            CallsLeft(limits.max_calls),
            workshop=await stack.enter_async_context(
                open_workshop_at(
                    settings.workers,
                    image_root(settings),
                    settings.images,
                    patience=settings.calls.max_outage_seconds,
                )
            ),
            answers=await asyncio.to_thread(_answer_cache, opened, stack),
            services=Services(settings, stack),
            held=await asyncio.to_thread(HeldItems.of, settings),
            stand_in=stand_in,
        )
        manned = [await _manned(worker, shared, stack) for worker in workers_of(settings)]
        if is_guarded(settings) and stand_in is None:
            await guard_deletions(settings, shared.clients, opened.rows.left)
        yield InstanceWorkers(manned, sealer)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the instance workers of a run have in common.

    Attributes:
        opened: The job.
        stats: What the run counts.
        sealer: Writes parts.
        calls_left: How many calls the run may make.
        workshop: Reads images and makes them fit.
        answers: Finds answers to equal requests.
        services: Finds where calls go.
        held: Knows what the instance holds already.
        stand_in: Takes the calls in place of the instances.
        clients: Who calls each instance, by its name.
    """

    opened: Opened
    stats: Stats
    sealer: Sealer
    calls_left: CallsLeft
    workshop: Workshop
    answers: AnswerCache
    services: Services
    held: HeldItems | None = None
    stand_in: StandIn | None = None
    clients: list[tuple[str, Client | DirectClient]] = field(default_factory=list)


async def _manned(worker: InstanceWorker, shared: _Shared, stack: AsyncExitStack) -> ActiveWorker:
    """One instance worker, ready to run."""
    opened = shared.opened
    settings, calls, instance = opened.settings, opened.settings.calls, worker.instance
    if shared.stand_in is not None:
        return _stood_in_for(worker, shared, shared.stand_in)
    rate = instance.qps_of(opened.operation.budget) * instance.share
    in_flight = _in_flight(rate, calls.max_in_flight)
    session = await stack.enter_async_context(new_session(connections=in_flight.ceiling))
    endpoint, credentials = await shared.services.of(instance)
    over_http = client_of(settings, session, endpoint, credentials)
    direct = shared.services.direct_to(instance)
    client = over_http if direct is None else direct
    shared.clients.append((instance.name, client))
    embedded_here = instance.endpoint == EMULATOR
    pacer = pacer_for(instance, opened.operation.budget, endpoint.authority, embedded=embedded_here)
    stack.push_async_callback(pacer.close)
    several_keys = len(opened.rows.manifest.quoted) > 1
    facts = facts_of(settings, opened.operation, opened.run_id, instance, several_keys=several_keys)
    uploader = None
    if facts.prefixes:
        uploader = uploader_of(settings, instance, endpoint, session, credentials, over_http)
    stages = Stages(
        reader=_reader(opened, facts, worker),
        preparer=_preparer(
            shared, facts, instance, by_address=uploader is not None, handed=direct is not None
        ),
        pacer=pacer,
        in_flight=in_flight,
        client=client if opened.output.mirror is None else HolderClient(client, opened.output.mirror),
        uploader=uploader,
        ledger=_ledger_of(opened),
        sealer=shared.sealer,
        answers=shared.answers,
        calls_left=shared.calls_left,
        admitted=admitted_at_once(rate, in_flight.ceiling),
    )
    return _active(stages, facts, shared, rate)


def _ledger_of(opened: Opened) -> Ledger | KeptLedger:
    """What outcomes are committed to; they count when they are in the store, where that is wanted."""
    ledger, mirror = opened.output.ledger, opened.output.mirror
    return ledger if mirror is None or not mirror.keeps_answers else KeptLedger(ledger, mirror)


def _stood_in_for(worker: InstanceWorker, shared: _Shared, stand_in: StandIn) -> ActiveWorker:
    """An instance worker whose calls go to who stands in for the instance."""
    opened = shared.opened
    several_keys = len(opened.rows.manifest.quoted) > 1
    facts = replace(
        facts_of(
            opened.settings, opened.operation, opened.run_id, worker.instance, several_keys=several_keys
        ),
        spends=False,
    )
    usual = _preparer(shared, facts, worker.instance, handed=True)
    in_flight = FixedLimit(stand_in.at_once)
    stages = Stages(
        reader=_reader(opened, facts, worker),
        preparer=usual if stand_in.preparer is None else stand_in.preparer(facts, usual),
        pacer=Unpaced(),
        in_flight=in_flight,
        client=stand_in.client,
        uploader=None,
        ledger=opened.output.ledger,
        sealer=shared.sealer,
        answers=shared.answers,
        calls_left=shared.calls_left,
        admitted=admitted_at_once(math.inf, in_flight.ceiling),
    )
    return _active(stages, facts, shared, math.inf)


def _reader(opened: Opened, facts: JobFacts, worker: InstanceWorker) -> RowReader:
    return RowReader(
        opened.rows.manifest,
        opened.output.ledger,
        facts,
        worker,
        carried=opened.output.passthrough,
        by_priority=PRIORITY in opened.settings.manifest.columns,
        table=opened.rows.reading.table,
        only_renewed=opened.rows.only_renewed,
    )


def _preparer(
    shared: _Shared, facts: JobFacts, instance: InstanceSettings, *, handed: bool, by_address: bool = False
) -> Preparer:
    opened = shared.opened
    return Preparer(
        facts,
        rules_of(opened.settings, opened.operation, instance),
        shared.workshop,
        sources=sources_of(opened.settings, image_root(opened.settings)),
        cached=shared.answers.find,
        may_be_answered=shared.answers.may_hold,
        by_address=by_address,
        build=build_handed_call if handed else build_call,
        held=shared.held,
    )


def _active(stages: Stages, facts: JobFacts, shared: _Shared, rate: float) -> ActiveWorker:
    """A runner over the stages, and how many rows it prepares at once."""
    settings, calls = shared.opened.settings, shared.opened.settings.calls
    runner = Runner(
        stages,
        facts,
        RetryRules(
            max_attempts=calls.max_attempts,
            max_seconds=calls.max_retry_seconds,
            end_after=calls.end_after,
            max_outage=calls.max_outage_seconds,
            actions=settings.codes,
        ),
        shared.stats,
        # Bound once: the lazy one would be bound anew for every event.
        log=logger().bind(),
    )
    return ActiveWorker(runner, shared.workshop.size + max(4, int(min(32, rate))))


def _in_flight(rate: float, most: int | None) -> InFlightLimit | FixedLimit:
    if math.isinf(rate):
        return FixedLimit(min(most or calls_at_once(), calls_at_once()))
    return InFlightLimit(rate, floor=min(2, most or 2), ceiling=most)


def _answer_cache(opened: Opened, stack: AsyncExitStack) -> AnswerCache:
    return AnswerCache(
        opened.output.ledger,
        Path(opened.settings.output.dir),
        round_began=opened.round_began,
        max_age=opened.settings.reuse.max_age_hours * _HOUR,
        others=answers_of(other_folders(opened.settings), stack),
        rows=opened.rows.left,
    )


@dataclass(frozen=True, slots=True)
class ActiveWorker:
    """An instance worker's runner, and how many rows it prepares at once."""

    runner: Runner
    preparers: int


class InstanceWorkers:
    """Runs all instance workers of a run to their ends.

    An instance that can no longer be called ends its own worker; the others go on. A disk that refuses ends
    all of them.

    Args:
        manned: The instance workers.
        sealer: Writes parts of what they bring.
    """

    def __init__(self, manned: Sequence[ActiveWorker], sealer: Sealer) -> None:
        self._manned = tuple(manned)
        self._sealer = sealer
        self._ended: list[RunEndedError] = []

    @property
    def unfinished(self) -> bool:
        """Whether rows are left without an outcome."""
        return any(each.runner.unfinished for each in self._manned)

    @property
    def stopped_because(self) -> str:
        """Why instance workers stopped before their end; empty when none did."""
        return "; ".join(dict.fromkeys(filter(None, (each.runner.stopped_because for each in self._manned))))

    def stop(self, why: str) -> None:
        """Send nothing more; calls that are out may still answer."""
        for each in self._manned:
            each.runner.stop(why)

    async def run(self) -> None:
        """Work until every row has its outcome, or until stopped; what is known is sealed on return.

        Raises:
            RunEndedError: An answer that no row can survive.
            OutputError: The ledger or the output cannot be written.
        """
        sealing = asyncio.create_task(self._sealer.run())
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_watch(sealing))
                await asyncio.wait([group.create_task(self._run(each)) for each in self._manned])
                watch.cancel()
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
        finally:
            sealing.cancel()
            await asyncio.gather(sealing, return_exceptions=True)
        await self._sealer.finish(at_least_one=not self.unfinished)
        if self._ended:
            raise self._ended[0]

    async def _run(self, manned: ActiveWorker) -> None:
        try:
            await manned.runner.run(manned.preparers)
        except RunEndedError as error:
            self._ended.append(error)


async def _watch(sealing: asyncio.Task[None]) -> None:
    await asyncio.wait([sealing])
    sealing.result()
