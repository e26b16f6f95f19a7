"""One job from its settings to its summary: opened, worked through, and closed again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import bound_contextvars

from batchsearch.config.sections.rate_setting import UNLIMITED
from batchsearch.engine.job.instance_worker import names_of, tier_of, workers_of
from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.engine.job.window import Limits, limits_of, window_of
from batchsearch.engine.parts.sealer import Sealer
from batchsearch.engine.renewal.change_detection import complete_round
from batchsearch.engine.run.closing import Ending, summarise
from batchsearch.engine.run.collector import held_back
from batchsearch.engine.run.manifest_reading import READ
from batchsearch.engine.run.notifying import notifying
from batchsearch.engine.run.opening import new_run_id, open_job
from batchsearch.engine.run.order import KEYS, disagreement
from batchsearch.engine.run.remote_output import localised, mirror_of
from batchsearch.engine.run.to_end import progress_beside_logs, to_end
from batchsearch.errors import ExitCode, OutputDamagedError, RunEndedError, StoppedEarlyError
from batchsearch.publish import write_text
from batchsearch.storage.output_layout import LEDGER_FOLDER, SUMMARY
from batchsearch.telemetry.heartbeat import Owner
from batchsearch.telemetry.logs import logger
from batchsearch.telemetry.observers import watching
from batchsearch.telemetry.progress import Progress
from batchsearch.telemetry.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.engine.job.stop_signals import StopSignals
    from batchsearch.engine.run.opened import Opened
    from batchsearch.storage.remote.mirror import Mirror
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions

_PROGRESS_SECONDS: Final = 0.25
_WAIT_FOR_OPENING: Final = 600.0
"""A run that starts this little before its window opens waits for it, seconds: clocks differ."""


def run_to_end(
    job: LoadedJob,
    terminal: TerminalOptions,
    options: RunOptions = PLAIN_RUN,
    *,
    working: Callable[[JobSettings, RunOptions], Coroutine[Any, Any, Summary]] | None = None,
) -> Summary:
    """Work through a job until it is done or has to stop; for the command line.

    What was answered before an error is kept: running again resumes.

    Args:
        job: The job.
        terminal: How it shows what it does.
        options: Of this run.
        working: Works through it, in place of `run_job`.

    Raises:
        StoppedEarlyError: A signal came before the first call.
        BatchsearchError: As `run_job` raises.
    """
    beside = progress_beside_logs(terminal)
    showing = options.progress or beside
    if job.settings.dedup is not None and options.chosen is None:
        logger().warning("only_searched", section="dedup")

    async def main(signals: StopSignals) -> Summary:
        return await (working or run_job)(job.settings, replace(options, progress=showing, signals=signals))

    return to_end(main, showing, StoppedEarlyError)


async def run_job(settings: JobSettings, options: RunOptions = PLAIN_RUN) -> Summary:
    """Work through a job until it is done or has to stop.

    Args:
        settings: The job, its paths absolute.
        options: Of this run.

    Raises:
        ConfigError: The job cannot run as it is set.
        ManifestError: The manifest is not usable.
        OutputInUseError: Another run holds the output.
        OutputError: The output or the ledger cannot be written.
    """
    limits = limits_of(window_of(settings.window), options.until, options.max_calls, datetime.now(UTC))
    run_id = new_run_id()
    local = localised(settings)
    mirror = mirror_of(settings, Path(local.output.dir), run_id)
    async with AsyncExitStack() as stack:
        ended: Callable[[Summary], object] = _tell_nobody
        if options.tells:
            quiet = options.signals is not None
            ended = await stack.enter_async_context(notifying(settings, when_cancelled=quiet))
        with bound_contextvars(run_id=run_id):
            summary = await _opened(local, run_id, limits, options, mirror)
        ended(summary)
    return summary


async def run_step(settings: JobSettings, options: RunOptions) -> Summary:
    """Work through a job that is a step of a larger work, which goes on when it has ended.

    Raises:
        OutputDamagedError: What the step had written is damaged.
        BatchsearchError: As `run_job` raises.
    """
    summary = await run_job(settings, options)
    if summary.exit_code == ExitCode.DAMAGED:
        raise OutputDamagedError(summary.message)
    if options.signals is not None:
        # From here a signal cancels what waits, as no run can be told to stop.
        options.signals.running = None
    return summary


def _tell_nobody(_: Summary) -> None:
    """Somebody else tells."""


async def _opened(
    settings: JobSettings, run_id: str, limits: Limits, options: RunOptions, mirror: Mirror | None
) -> Summary:
    async with open_job(settings, run_id=run_id, chosen=options.chosen, mirror=mirror) as opened:
        if mirror is not None and mirror.keeps_answers:
            # Answers are put beside an output that is there, with what its ledger knows of the job.
            await mirror.carry()
        owner = Owner.here(run_id, settings.operation, names_of(workers_of(settings)))
        stats = Stats(
            total=opened.rows.total,
            resumed=opened.rows.finished.rows,
            earlier_codes=opened.rows.finished.codes,
            tier=tier_of(settings),
            ends=limits.deadline,
        )
        ledger_folder = Path(settings.output.dir) / LEDGER_FOLDER
        async with watching(ledger_folder, owner, stats, settings.metrics) as watch:
            running = _run(opened, stats, limits, options)
            summary = await (running if mirror is None else _carried(running, mirror))
            if mirror is not None:
                summary = replace(summary, again=summary.again.replace(settings.output.dir, mirror.address))
            watch.ended(summary.exit_code, summary.message)
    return summary


async def _carried(running: Coroutine[Any, Any, Summary], mirror: Mirror) -> Summary:
    """Run while the output is carried to its store; a store that is lost ends the run."""
    try:
        async with asyncio.TaskGroup() as group:
            watching_store = group.create_task(mirror.watch())
            summary = await running
            watching_store.cancel()
    except BaseExceptionGroup as problems:
        raise problems.exceptions[0] from None
    await mirror.finish()
    return summary


async def _run(opened: Opened, stats: Stats, limits: Limits, options: RunOptions) -> Summary:
    settings, ledger, log = opened.settings, opened.output.ledger, logger()
    left = opened.rows.left
    began = time.monotonic()
    record = Path(settings.output.dir) / SUMMARY
    with contextlib.suppress(OSError):  # a stale summary is worse than none, but no reason to stop
        record.unlink()
    await ledger.begin_run(opened.run_id, datetime.now(UTC))
    log.info(
        "run_started" if not stats.resumed else "run_resumed" if left else "nothing_left",
        operation=settings.operation,
        instance=names_of(workers_of(settings)),
        rows=opened.rows.total,
        done=stats.resumed,
        qps=tier_of(settings) or UNLIMITED,
        output=settings.output.dir,
    )
    sealer = Sealer(
        ledger,
        opened.output.writers,
        opened.output.generations,
        rows_per_part=settings.output.rows_per_part,
        seconds=settings.output.seal_seconds,
        log=log,
    )
    ending = Ending()
    if left:
        try:
            ending = await _work(opened, stats, sealer, limits, options)
        except RunEndedError as error:
            ending = Ending.after(error)
    else:
        await sealer.finish(at_least_one=True)
    if left or ledger.meta(KEYS) is None:
        complete = not ending.unfinished and not opened.rows.only_renewed
        expected = opened.rows.total + opened.rows.finished.others if complete else None
        wrong = await disagreement(ledger, Path(settings.output.dir), expected)
        if wrong:
            ending = Ending(unfinished=True, damaged=True, why=wrong)
            log.error("output_disagrees", message=wrong)
    if not ending.unfinished and not opened.rows.only_renewed:
        await complete_round(ledger)
        await ledger.set_meta(READ, opened.rows.reading.note(opened.rows.finished, opened.rows.total))
    summary = await asyncio.to_thread(summarise, opened, stats, time.monotonic() - began, ending)
    await ledger.end_run(opened.run_id, datetime.now(UTC), summary.as_dict())
    write_text(record, summary.as_json() + "\n")
    log.info(
        "run_finished",
        exit_code=summary.exit_code,
        rows=summary.rows,
        done=summary.done,
        ok=summary.ok,
        failed=summary.failed,
        calls=summary.calls,
        denied=summary.denied,
        seconds=summary.seconds,
    )
    return summary


async def _work(opened: Opened, stats: Stats, sealer: Sealer, limits: Limits, options: RunOptions) -> Ending:
    """Run the pipeline inside its limits; how it ended."""
    if limits.opens is not None:
        ahead = (limits.opens - datetime.now(UTC)).total_seconds()
        if ahead > _WAIT_FOR_OPENING:
            await sealer.finish()
            opening = limits.opens.astimezone().isoformat(timespec="minutes")
            return Ending(unfinished=True, why=f"the window opens at {opening}; nothing was sent")
        await asyncio.sleep(max(0.0, ahead))
    from batchsearch.engine.run.assembly import assembled

    progress = options.progress or Progress()
    async with assembled(opened, stats, sealer, limits, options.stand_in) as workers:
        if options.signals is not None:
            options.signals.running = workers.stop
        if limits.deadline is not None:
            left = (limits.deadline - datetime.now(UTC)).total_seconds()
            closing = limits.deadline.astimezone().isoformat(timespec="minutes")
            asyncio.get_running_loop().call_later(max(0.0, left), workers.stop, f"it is {closing}")
        with progress, held_back():
            showing = asyncio.create_task(_show(progress, stats))
            try:
                await workers.run()
            finally:
                showing.cancel()
                progress.update(stats)
        return Ending(unfinished=workers.unfinished, why=workers.stopped_because)


async def _show(progress: Progress, stats: Stats) -> None:
    while True:
        progress.update(stats)
        await asyncio.sleep(_PROGRESS_SECONDS)
