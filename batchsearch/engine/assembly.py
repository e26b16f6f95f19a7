"""The pipeline put together from a job's settings: every stage made, and taken down again."""

from __future__ import annotations

import asyncio
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.api.client import Client
from batchsearch.api.credentials import default_chain
from batchsearch.api.endpoint import Endpoint, parse_endpoint
from batchsearch.api.exchange import Timeouts, new_session
from batchsearch.api.operations import OPERATIONS
from batchsearch.api.upload import OPEN_PLATFORM, Uploader
from batchsearch.config.model import EMULATOR, PRIORITY
from batchsearch.engine import embedded
from batchsearch.engine.earlier import EarlierAnswers
from batchsearch.engine.places import picture_root
from batchsearch.engine.policy import RetryRules
from batchsearch.engine.prepare import Preparer
from batchsearch.engine.rate import pacer_for
from batchsearch.engine.reader import RowReader
from batchsearch.engine.runner import Runner
from batchsearch.engine.stages import Stages, admitted_at_once
from batchsearch.engine.survey import sources_of
from batchsearch.engine.work import JobFacts
from batchsearch.images.fetch import Fetcher
from batchsearch.images.isolate import Decoders
from batchsearch.images.rules import rules_for
from batchsearch.pacing.in_flight import InFlightLimit
from batchsearch.reporting.logs import logger
from batchsearch.service import endpoint_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchsearch.api.credentials import CredentialsProvider
    from batchsearch.api.operations import Operation
    from batchsearch.config.model import JobSettings
    from batchsearch.engine.opening import Opened
    from batchsearch.engine.sealer import Sealer
    from batchsearch.engine.stats import Stats
    from batchsearch.engine.window import Limits
    from batchsearch.images.rules import Rules

_HOUR = 3600.0


@asynccontextmanager
async def assembled(
    opened: Opened, stats: Stats, sealer: Sealer, limits: Limits
) -> AsyncIterator[tuple[Runner, int]]:
    """A runner over everything it needs, and how many rows it should prepare at once.

    Raises:
        ConfigError: There are no credentials, an endpoint is unusable, or an optional part is missing.
    """
    settings = opened.settings
    calls, rate = settings.calls, rate_of(settings)
    threads = settings.images.threads or os.cpu_count() or 1
    in_flight = InFlightLimit(rate, floor=min(2, calls.max_in_flight or 2), ceiling=calls.max_in_flight)
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="prepare"))
        session = await stack.enter_async_context(new_session(connections=in_flight.ceiling))
        endpoint, credentials = await _service(settings, stack)
        timeouts = Timeouts(connect=calls.connect_timeout, total=calls.timeout)
        client = Client(session, endpoint, credentials, timeouts=timeouts, signature=calls.signing)
        pacer = pacer_for(
            settings.instance,
            opened.operation.budget,
            endpoint.authority,
            embedded=settings.instance.endpoint == EMULATOR,
        )
        stack.push_async_callback(pacer.close)
        facts = facts_of(settings, opened.operation, opened.run_id)
        uploader = None
        if calls.upload == "url" and facts.prefixes:
            uploader = Uploader(
                session,
                settings.instance.region or "",
                credentials,
                clock=client.service_time,
                platform=_open_platform(settings, endpoint),
                timeouts=timeouts,
            )
        earlier = await asyncio.to_thread(_earlier_answers, opened)
        stages = Stages(
            reader=RowReader(
                opened.manifest,
                opened.ledger,
                facts,
                by_priority=PRIORITY in settings.manifest.columns,
                only_renewed=opened.only_renewed,
            ),
            preparer=Preparer(
                facts,
                rules_of(settings, opened.operation),
                await stack.enter_async_context(Fetcher(picture_root(settings), settings.images)),
                pool,
                sources=sources_of(settings, picture_root(settings)),
                repair=stack.enter_context(Decoders(settings.images)).repair,
                earlier=earlier.find,
                by_address=uploader is not None,
                jitter=random.random,
            ),
            pacer=pacer,
            in_flight=in_flight,
            client=client,
            uploader=uploader,
            ledger=opened.ledger,
            sealer=sealer,
            earlier=earlier,
        )
        runner = Runner(
            stages,
            facts,
            RetryRules(
                max_attempts=calls.max_attempts,
                max_seconds=calls.max_retry_seconds,
                end_after=calls.end_after,
            ),
            actions=settings.codes,
            stats=stats,
            admitted=admitted_at_once(rate, in_flight.ceiling),
            limits=limits,
            max_outage=calls.max_outage_seconds,
            log=logger(),
        )
        yield runner, threads + min(32, max(4, int(rate)))


def facts_of(settings: JobSettings, operation: Operation, run_id: str) -> JobFacts:
    """What holds for every row of a job."""
    return JobFacts.of(
        run_id=run_id,
        operation=operation.name,
        instance=settings.instance.name,
        service_type=settings.instance.service_type,
        parameters=settings.parameters,
        results_per_row=settings.results_per_row,
        roles=tuple(picture.role for picture in operation.pictures),
        has_hits=operation.paged,
        symmetric=settings.reuse.symmetric_pairs,
        reusable=operation.response in {"search", "compare"},
    )


def rate_of(settings: JobSettings) -> float:
    """Calls per second that the job may make: its share of the budget that its operation draws on."""
    return settings.instance.qps_of(OPERATIONS[settings.operation].budget) * settings.instance.share


def rules_of(settings: JobSettings, operation: Operation) -> Rules:
    """What a picture of this job must be; those that travel in one body share its size."""
    together = 1 if settings.calls.upload == "url" else max(1, len(operation.pictures))
    return rules_for(settings.instance.service_type, settings.images, pictures=together)


def _earlier_answers(opened: Opened) -> EarlierAnswers:
    return EarlierAnswers(
        opened.ledger,
        Path(opened.settings.output.dir),
        run_began=time.time(),
        max_age=opened.settings.reuse.max_age_hours * _HOUR,
    )


async def _service(settings: JobSettings, stack: AsyncExitStack) -> tuple[Endpoint, CredentialsProvider]:
    """Where calls go and who makes them; found before anything is spent."""
    instance = settings.instance
    if instance.endpoint == EMULATOR:
        emulator = await asyncio.to_thread(embedded.start, settings)
        stack.push_async_callback(asyncio.to_thread, emulator.stop)
        await embedded.fill(settings, emulator, logger())
        logger().info("instance_ready", endpoint=emulator.endpoint, instance=instance.name)
        return parse_endpoint(emulator.endpoint), embedded.credentials_of(emulator)
    chain = default_chain()
    await chain.get()
    host = instance.endpoint or endpoint_of(instance.region or "", vpc=instance.vpc)
    return parse_endpoint(host), chain


def _open_platform(settings: JobSettings, endpoint: Endpoint) -> Endpoint:
    """Where permissions to upload are given; the embedded instance gives its own."""
    if settings.calls.open_platform is not None:
        return parse_endpoint(settings.calls.open_platform)
    return endpoint if settings.instance.endpoint == EMULATOR else OPEN_PLATFORM
