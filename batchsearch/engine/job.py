"""One job from its settings to its summary: everything is opened here, joined, and closed again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.api.client import Client
from batchsearch.api.codes import code_for
from batchsearch.api.credentials import default_chain
from batchsearch.api.endpoint import parse_endpoint
from batchsearch.api.exchange import Timeouts, new_session
from batchsearch.api.local_codes import LOCAL_CODES as PARAMETER_CODES
from batchsearch.api.operations import OPERATIONS
from batchsearch.emulator.installed import check_installed
from batchsearch.engine import embedded
from batchsearch.engine.fingerprint import differences, fingerprint
from batchsearch.engine.policy import RetryRules
from batchsearch.engine.prepare import Preparer
from batchsearch.engine.runner import ROWS_A_BATCH, Runner, Stages, admitted_at_once
from batchsearch.engine.sealer import Sealer
from batchsearch.engine.stats import Stats
from batchsearch.engine.work import JobFacts
from batchsearch.errors import ConfigError, ExitCode, OutputError, RunEndedError
from batchsearch.images.fetch import Fetcher
from batchsearch.images.rules import LOCAL_CODES as IMAGE_CODES
from batchsearch.images.rules import rules_for
from batchsearch.ledger.lock import OutputLock
from batchsearch.ledger.records import digest_of
from batchsearch.ledger.store import Ledger
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.output.parts import HITS, RESULTS, PartWriter
from batchsearch.output.schemas import carried_names, hits_schema, own_results_schema, results_schema
from batchsearch.pacing.in_flight import InFlightLimit
from batchsearch.pacing.pacer import Pacer
from batchsearch.reporting.logs import LogFormat, configure, logger
from batchsearch.reporting.progress import progress_for
from batchsearch.reporting.summary import Summary, Truth
from batchsearch.reporting.truth import compare_with_truth
from batchsearch.service import endpoint_of

if TYPE_CHECKING:
    from batchsearch.api.credentials import CredentialsProvider
    from batchsearch.api.operations import Operation
    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.reporting.progress import Progress

LEDGER_FOLDER: Final = "ledger"
EMULATOR: Final = "emulator"
_PROGRESS_SECONDS: Final = 0.25


class _Signals:
    """SIGTERM and SIGINT: the first stops the run in good order, a second one ends the process at once."""

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self._main = asyncio.current_task()
        self._count = 0

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: int) -> None:
        self._count += 1
        if self._count > 1:
            os._exit(int(ExitCode.INCOMPLETE))
        if self.runner is not None:
            self.runner.stop(signal.Signals(number).name)
        elif self._main is not None:
            self._main.cancel()


def new_run_id() -> str:
    """A name for a run: when it began, and a little chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


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
        signals = _Signals()
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


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a job works with, once everything is checked."""

    settings: JobSettings
    operation: Operation
    manifest: Manifest
    ledger: Ledger
    writer: PartWriter
    total: int
    left: int
    run_id: str


async def run_job(
    settings: JobSettings, *, progress: Progress | None = None, signals: _Signals | None = None
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
    log = logger()
    run_id = new_run_id()
    operation = OPERATIONS[settings.operation]
    if settings.instance.endpoint == EMULATOR:
        check_installed()
    roles = tuple(picture.role for picture in operation.pictures)
    required = tuple(name for name in operation.required if name not in settings.parameters)
    manifest = Manifest.open(
        settings.manifest,
        base=Path(settings.manifest.path).parent,
        wanted=Wanted(images=roles, required=required, allowed=operation.keys),
    )
    total = await asyncio.to_thread(manifest.check)
    folder = Path(settings.output.dir)
    ledger_folder = folder / LEDGER_FOLDER
    try:
        ledger_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{ledger_folder}: cannot make the folder: {error.strerror}") from error
    with ExitStack() as stack:
        stack.enter_context(OutputLock(ledger_folder / "lock", run_id))
        ledger = Ledger(ledger_folder / "ledger.sqlite3")
        stack.callback(ledger.close)
        writer = _part_writer(settings, manifest)
        await _hold_fingerprint(settings, manifest, ledger)
        writer.prepare()
        removed = writer.remove_unsealed({part.name for part in ledger.parts()})
        if removed:
            log.info("leftovers_removed", files=removed)
        left = await asyncio.to_thread(_rows_left, manifest, ledger, total)
        opened = _Opened(settings, operation, manifest, ledger, writer, total, left, run_id)
        return await _run(opened, progress or progress_for(0, wanted=False), signals)


def _part_writer(settings: JobSettings, manifest: Manifest) -> PartWriter:
    carried = manifest.schema_carried
    for old, new in zip(carried.names, carried_names(settings.operation, carried.names), strict=True):
        if old != new:
            logger().info("column_renamed", column=old, written_as=new)
    return PartWriter(
        Path(settings.output.dir),
        results_schema=results_schema(settings.operation, carried),
        own_schema=own_results_schema(settings.operation),
        hits_schema=hits_schema(),
        carried_schema=carried,
    )


async def _hold_fingerprint(settings: JobSettings, manifest: Manifest, ledger: Ledger) -> None:
    now = fingerprint(settings, manifest.schema_carried)
    before = ledger.meta("fingerprint")
    if before is None:
        await ledger.set_meta("fingerprint", json.dumps(now))
        return
    changed = differences(json.loads(before), json.loads(json.dumps(now)))
    if changed:
        raise ConfigError(
            f"{settings.output.dir}: holds the results of another job; what changed since:\n  "
            + "\n  ".join(changed)
            + "\nGive this job another `output.dir`, or change the settings back."
        )


def _rows_left(manifest: Manifest, ledger: Ledger, total: int) -> int:
    if ledger.finished_count() == 0:
        return total
    return total - sum(
        len(ledger.finished([digest_of(row.key) for row in batch.rows])) for batch in manifest.batches()
    )


def _endpoint(settings: JobSettings) -> str:
    instance = settings.instance
    if instance.endpoint is not None:
        return instance.endpoint
    return endpoint_of(instance.region or "", vpc=instance.vpc)


async def _run(opened: _Opened, progress: Progress, signals: _Signals | None) -> Summary:
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
    summary = await asyncio.to_thread(_summary, opened, stats, time.monotonic() - began, ended, unfinished)
    await ledger.end_run(opened.run_id, datetime.now(UTC), summary.as_dict())
    with suppress(OSError):
        path = Path(settings.output.dir) / "summary.json"
        path.write_text(summary.as_json() + "\n", encoding="utf-8")
    log.info("run_finished", run_id=opened.run_id, exit_code=summary.exit_code, done=summary.done)
    return summary


async def _work(
    opened: _Opened, stats: Stats, sealer: Sealer, progress: Progress, signals: _Signals | None
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
        rules = rules_for(settings.instance.service_type, settings.images, pictures=max(1, len(roles)))
        preparer = Preparer(facts, rules, fetcher, pool, jitter=random.random)
        client = Client(
            session,
            parse_endpoint(endpoint),
            credentials,
            timeouts=Timeouts(connect=calls.connect_timeout, total=calls.timeout),
        )
        stages = Stages(
            batches=opened.manifest.batches(ROWS_A_BATCH),
            preparer=preparer,
            pacer=Pacer(settings.instance.qps),
            in_flight=in_flight,
            client=client,
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


def _summary(
    opened: _Opened, stats: Stats, seconds: float, ended: RunEndedError | None, unfinished: bool
) -> Summary:
    settings = opened.settings
    codes: Counter[str] = Counter()
    origins: dict[str, str] = {}
    for (code, origin), count in opened.ledger.outcomes().items():
        if code is not None:
            codes[code] += count
            origins[code] = origin or ""
    done = opened.ledger.finished_count()
    failed = codes.total()
    exit_code = ExitCode.DONE
    if ended is not None:
        exit_code = ExitCode.ENDED
    elif unfinished:
        exit_code = ExitCode.INCOMPLETE
    elif failed > settings.failures_allowed(opened.total):
        exit_code = ExitCode.TOO_MANY_FAILED
    folder = Path(settings.output.dir)
    return Summary(
        exit_code=int(exit_code),
        run_id=opened.run_id,
        operation=settings.operation,
        instance=settings.instance.name,
        rows=opened.total,
        done=stats.done,
        resumed=stats.resumed,
        ok=done - failed,
        failed=failed,
        codes=dict(codes),
        origins=origins,
        calls=stats.calls,
        denied=stats.denied,
        retries=stats.retries,
        hits=stats.hits,
        seconds=round(seconds, 3),
        calls_per_second=round(stats.mean_rate(), 3),
        tier=settings.instance.qps,
        results=str(folder / RESULTS),
        hits_folder=str(folder / HITS),
        message=str(ended) if ended is not None else "",
        truth=_truth(settings, opened.manifest, folder),
        advice={code: _advice(code) for code in codes},
    )


def _advice(code: str) -> str:
    for table in (IMAGE_CODES, PARAMETER_CODES):
        if code in table:
            return table[code].advice
    return code_for(code, None).advice


def _truth(settings: JobSettings, manifest: Manifest, folder: Path) -> Truth | None:
    names = manifest.schema_carried.names
    written = dict(zip(names, carried_names(settings.operation, names), strict=True))
    columns = {}
    for name, column in (("first_hit", settings.truth.first_hit), ("outcome", settings.truth.outcome)):
        if column is not None and column not in written:
            raise ConfigError(
                f"truth.{name}: the manifest has no column {column!r}; it has {', '.join(names)}"
            )
        columns[name] = written[column] if column is not None else None
    return compare_with_truth(folder / RESULTS, folder / HITS, **columns)
