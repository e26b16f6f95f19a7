"""One job from its settings to its summary: opened, worked through, and closed again."""

from __future__ import annotations

import asyncio
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.api.client import Client
from batchsearch.api.credentials import default_chain
from batchsearch.api.endpoint import Endpoint, parse_endpoint
from batchsearch.api.exchange import Timeouts, new_session
from batchsearch.api.upload import OPEN_PLATFORM, Uploader
from batchsearch.engine import embedded
from batchsearch.engine.closing import summarise
from batchsearch.engine.opening import EMULATOR, open_job
from batchsearch.engine.policy import RetryRules
from batchsearch.engine.prepare import Preparer
from batchsearch.engine.runner import ROWS_A_BATCH, Runner, Stages, admitted_at_once
from batchsearch.engine.sealer import Sealer
from batchsearch.engine.signals import StopSignals
from batchsearch.engine.stats import Stats
from batchsearch.engine.work import JobFacts
from batchsearch.errors import ExitCode, OutputError, RunEndedError
from batchsearch.images.fetch import Fetcher
from batchsearch.images.rules import rules_for
from batchsearch.pacing.in_flight import InFlightLimit
from batchsearch.pacing.pacer import Pacer
from batchsearch.reporting.logs import LogFormat, configure, logger
from batchsearch.reporting.progress import progress_for
from batchsearch.service import endpoint_of

if TYPE_CHECKING:
    from batchsearch.api.credentials import CredentialsProvider
    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.engine.opening import Opened
    from batchsearch.reporting.progress import Progress
    from batchsearch.reporting.summary import Summary

_PROGRESS_SECONDS: Final = 0.25


def run_to_end(
    job: LoadedJob, *, show_progress: bool = True, log_format: str = "console", log_level: str = "info"
) -> Summary:
    """Work through a job until it is done or has to stop; for the command line.

    Raises:
        BatchsearchError: Nothing could be started; the output is as it was.
    """
    chosen: LogFormat = "json" if log_format == "json" else "console"
    configure(chosen, log_level)
    progress = progress_for(job.settings.instance.qps, wanted=show_progress and chosen == "console")

    async def main() -> Summary:
        signals = StopSignals()
        signals.install()
        return await run_job(job.settings, progress=progress, signals=signals)

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise StoppedEarlyError from None


class StoppedEarlyError(OutputError):
    """The run was stopped before it had begun to call; nothing was spent."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self) -> None:
        super().__init__("stopped before the first call; nothing was spent, run the same command again")


async def run_job(
    settings: JobSettings, *, progress: Progress | None = None, signals: StopSignals | None = None
) -> Summary:
    """Work through a job until it is done or has to stop.

    Args:
        settings: The job, its paths absolute.
        progress: Shown the counters while it runs.
        signals: Told which runner to stop.

    Raises:
        ConfigError: The job cannot run as it is set.
        ManifestError: The manifest is not usable.
        OutputInUseError: Another run holds the output.
        OutputError: The output or the ledger cannot be written.
    """
    async with open_job(settings) as opened:
        return await _run(opened, progress or progress_for(0, wanted=False), signals)


def _endpoint(settings: JobSettings) -> str:
    instance = settings.instance
    if instance.endpoint is not None:
        return instance.endpoint
    return endpoint_of(instance.region or "", vpc=instance.vpc)


def _open_platform(settings: JobSettings, endpoint: str) -> Endpoint:
    """Where permissions to upload are given; the embedded instance gives its own."""
    if settings.calls.open_platform is not None:
        return parse_endpoint(settings.calls.open_platform)
    return parse_endpoint(endpoint) if settings.instance.endpoint == EMULATOR else OPEN_PLATFORM


async def _run(opened: Opened, progress: Progress, signals: StopSignals | None) -> Summary:
    settings, ledger, log = opened.settings, opened.ledger, logger()
    stats = Stats(total=opened.total, resumed=opened.total - opened.left)
    started, began = datetime.now(UTC), time.monotonic()
    await ledger.begin_run(opened.run_id, started)
    log.info(
        "run_resumed" if stats.resumed else "run_started",
        run_id=opened.run_id,
        operation=settings.operation,
        instance=settings.instance.name,
        rows=opened.total,
        done=stats.resumed,
        qps=settings.instance.qps,
        output=settings.output.dir,
    )
    ended: RunEndedError | None = None
    sealer = Sealer(
        ledger,
        opened.writer,
        rows_per_part=settings.output.rows_per_part,
        seconds=settings.output.seal_seconds,
        log=log,
    )
    unfinished = False
    if opened.left:
        try:
            unfinished = await _work(opened, stats, sealer, progress, signals)
        except RunEndedError as error:
            ended, unfinished = error, True
    else:
        await sealer.finish()
    summary = await asyncio.to_thread(summarise, opened, stats, time.monotonic() - began, ended, unfinished)
    await ledger.end_run(opened.run_id, datetime.now(UTC), summary.as_dict())
    with suppress(OSError):
        path = Path(settings.output.dir) / "summary.json"
        path.write_text(summary.as_json() + "\n", encoding="utf-8")
    log.info("run_finished", run_id=opened.run_id, exit_code=summary.exit_code, done=summary.done)
    return summary


async def _work(
    opened: Opened, stats: Stats, sealer: Sealer, progress: Progress, signals: StopSignals | None
) -> bool:
    """Run the pipeline; whether rows are left."""
    settings, log = opened.settings, logger()
    calls = settings.calls
    threads = settings.images.threads or os.cpu_count() or 1
    in_flight = InFlightLimit(
        settings.instance.qps, floor=min(2, calls.max_in_flight or 2), ceiling=calls.max_in_flight
    )
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="prepare"))
        session = await stack.enter_async_context(new_session(connections=in_flight.ceiling))
        endpoint = _endpoint(settings)
        credentials: CredentialsProvider
        if endpoint != EMULATOR:
            credentials = await _account()
        else:
            emulator = await asyncio.to_thread(embedded.start, settings)
            stack.push_async_callback(asyncio.to_thread, emulator.stop)
            await embedded.fill(settings, emulator, log)
            endpoint, credentials = emulator.endpoint, embedded.credentials_of(emulator)
            log.info("instance_ready", endpoint=endpoint, instance=settings.instance.name)
        root = Path(settings.images.root or Path(settings.manifest.path).parent)
        fetcher = await stack.enter_async_context(Fetcher(root, settings.images))
        roles = tuple(picture.role for picture in opened.operation.pictures)
        facts = JobFacts.of(
            run_id=opened.run_id,
            operation=settings.operation,
            instance=settings.instance.name,
            service_type=settings.instance.service_type,
            parameters=settings.parameters,
            results_per_row=settings.results_per_row,
            roles=roles,
            has_hits=opened.operation.paged,
        )
        by_address = calls.upload == "url" and bool(roles)
        # By address each picture travels alone; in one body they share its size.
        rules = rules_for(
            settings.instance.service_type, settings.images, pictures=1 if by_address else max(1, len(roles))
        )
        preparer = Preparer(facts, rules, fetcher, pool, by_address=by_address, jitter=random.random)
        timeouts = Timeouts(connect=calls.connect_timeout, total=calls.timeout)
        client = Client(
            session, parse_endpoint(endpoint), credentials, timeouts=timeouts, signature=calls.signing
        )
        uploader = None
        if by_address:
            uploader = Uploader(
                session,
                settings.instance.region or "",
                credentials,
                clock=client.service_time,
                platform=_open_platform(settings, endpoint),
                timeouts=timeouts,
            )
        stages = Stages(
            batches=opened.manifest.batches(ROWS_A_BATCH),
            preparer=preparer,
            pacer=Pacer(settings.instance.qps),
            in_flight=in_flight,
            client=client,
            uploader=uploader,
            ledger=opened.ledger,
            sealer=sealer,
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
            admitted=admitted_at_once(settings.instance.qps, in_flight.limit()),
            log=log,
        )
        if signals is not None:
            signals.runner = runner
        with progress:
            showing = asyncio.create_task(_show(progress, stats))
            try:
                await runner.run(preparers=threads + min(32, max(4, int(settings.instance.qps))))
            finally:
                showing.cancel()
                progress.update(stats)
        return runner.unfinished


async def _show(progress: Progress, stats: Stats) -> None:
    while True:
        progress.update(stats)
        await asyncio.sleep(_PROGRESS_SECONDS)


async def _account() -> CredentialsProvider:
    """The account's credentials, found before anything is spent."""
    chain = default_chain()
    await chain.get()
    return chain
