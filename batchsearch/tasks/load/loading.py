"""A load from its settings to its summary: staged, brought by batch tasks, each row given its outcome.

Three steps, each resumable by itself. The staging is a run with a ledger of its own whose calls put images
into the bucket. The tasks are in the journal. The outcomes are a run over the same manifest in the output
folder itself, whose calls ask the journal: so every row has one outcome, as of any job.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.config.model import TruthSettings
from batchsearch.config.sections.notify_settings import NotifySettings
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.engine.rows.held_items import HeldItems
from batchsearch.engine.run.deletions import guard_deletions, is_guarded
from batchsearch.engine.run.instance_calls import instance_calls
from batchsearch.engine.run.job import run_step
from batchsearch.engine.run.opening import new_run_id
from batchsearch.engine.run.remote_output import localised
from batchsearch.engine.run.stand_in import StandIn
from batchsearch.engine.run.to_end import progress_beside_logs, to_end
from batchsearch.errors import (
    ConfigError,
    ExitCode,
    Problem,
    StoppedError,
)
from batchsearch.publish import made_folder
from batchsearch.service.codes.lookup import action_of, code_for
from batchsearch.steps import step
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.output_layout import LEDGER, LOAD, STAGING
from batchsearch.tasks.load.bucket import is_embedded, open_bucket, place_of
from batchsearch.tasks.load.importing import Importer
from batchsearch.tasks.load.journal import Journal
from batchsearch.tasks.load.load_page import LoadSummary
from batchsearch.tasks.load.staged_rows import LineClient, LoadedRows, OnlyNewRows, staged_rows
from batchsearch.tasks.load.staging import BucketClient
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.load_settings import LoadSettings
    from batchsearch.engine.job.stop_signals import StopSignals
    from batchsearch.engine.rows.pending_row import JobFacts
    from batchsearch.engine.run.stand_in import RowPreparer
    from batchsearch.tasks.load.bucket import Bucket, Place
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions

LOADED: Final = ("AddImage", "DeleteImage")
"""Operations that a batch task does."""
_JOURNAL: Final = "journal.sqlite3"
_LOCK: Final = "lock/load"
_UNFINISHED: Final = frozenset({int(ExitCode.INCOMPLETE), int(ExitCode.ENDED)})
_LINES_AT_ONCE: Final = 8


class LoadStoppedError(StoppedError):
    """A load was stopped between two of its steps; what is in the bucket is kept, a task goes on."""

    def __init__(self) -> None:
        super().__init__(
            "stopped; what is in the bucket stays, and a task that runs goes on: run the same command again "
            "to follow it"
        )


def load_to_end(job: LoadedJob, terminal: TerminalOptions) -> LoadSummary:
    """Work through a load; for the command line.

    Args:
        job: The job.
        terminal: How it shows what it does.

    Raises:
        LoadStoppedError: A signal came between two steps.
        BatchsearchError: As `load_job` raises.
    """
    progress = progress_beside_logs(terminal)

    async def main(signals: StopSignals) -> LoadSummary:
        return await load_job(job.settings, RunOptions(progress=progress, signals=signals))

    return to_end(main, progress, LoadStoppedError)


async def load_job(settings: JobSettings, options: RunOptions = PLAIN_RUN) -> LoadSummary:
    """Bring the images of a job to its instance by batch tasks, or take them from it.

    Args:
        settings: The job, its paths absolute: AddImage or DeleteImage, with a `load` section.
        options: What its runs are shown by, and what stops them.

    Raises:
        ConfigError: The job cannot be loaded as it is set.
        ManifestError: The manifest is not usable, or would delete more than it may.
        OutputInUseError: Another run holds the output.
        RunEndedError: The service refused a task.
        UnansweredError: The service could not be asked for long; a task that runs goes on.
        OutputError: The output, the journal or the bucket cannot be written.
    """
    load = _checked(settings)
    place = place_of(settings)
    local = localised(settings)
    folder = Path(local.output.dir) / LOAD
    made_folder(folder / Path(_LOCK).parent)
    run_id = new_run_id()
    with ExitStack() as stack:
        stack.enter_context(OutputLock(folder / _LOCK, run_id))
        journal = stack.enter_context(Journal(folder / _JOURNAL))
        bucket = await asyncio.to_thread(open_bucket, settings, place)
        stack.callback(bucket.close)
        loading = _Load(settings, local, load, place, bucket, journal, options)
        return await loading.run()


def _checked(settings: JobSettings) -> LoadSettings:
    problems = []
    if settings.operation not in LOADED:
        what = f"batch tasks add and delete images: {' or '.join(LOADED)}, not {settings.operation}"
        problems.append(Problem("operation", what))
    if settings.instances:
        problems.append(Problem("instances", "a load fills one instance; give each a job file of its own"))
    if problems:
        raise ConfigError(problems)
    place_of(settings)
    if settings.load is None:
        raise AssertionError("without the section there is no place")
    return settings.load


class _Load:
    """One load over what it needs."""

    def __init__(  # noqa: PLR0917 - a job, and everything that it is loaded with
        self,
        settings: JobSettings,
        local: JobSettings,
        load: LoadSettings,
        place: Place,
        bucket: Bucket,
        journal: Journal,
        options: RunOptions,
    ) -> None:
        self._settings = settings
        self._load = load
        self._place = place
        self._bucket = bucket
        self._journal = journal
        self._options = RunOptions(progress=options.progress, signals=options.signals)
        self._folder = Path(local.output.dir)
        self._local = local

    async def run(self) -> LoadSummary:
        if not is_embedded(self._local):
            # Whether there are credentials is found out before a million images are put.
            async with instance_calls(self._local):
                pass
        before = await asyncio.to_thread(self._journal.last_task)
        with ThreadPoolExecutor(self._load.at_once, thread_name_prefix="bucket") as threads:
            client = BucketClient(self._bucket, self._journal, self._load.names, str(self._place), threads)
            if not await asyncio.to_thread(self._journal.knows_bucket):
                step("looking at what the bucket has")
                await asyncio.to_thread(lambda: self._journal.know(self._bucket.listing()))
            await asyncio.to_thread(self._put_back)
            with ExitStack() as stack:
                staging = await self._run(
                    _staging_job(self._local),
                    StandIn(client, self._load.at_once, self._only_new(stack)),
                )
        outcomes = None
        if staging.exit_code not in _UNFINISHED:
            await self._bring(staging)
            step("giving rows their outcomes")
            staged = staged_rows(self._folder / STAGING)
            await asyncio.to_thread(self._journal.put_rows, staged)
            held = await asyncio.to_thread(HeldItems.of, self._local)
            over_lines = StandIn(
                LineClient(self._journal),
                _LINES_AT_ONCE,
                lambda facts, _: LoadedRows(facts, self._journal, held),
            )
            # No image is looked at any more: hours later no cluster is asked for.
            here = self._settings.model_copy(update={"workers": WorkerSettings()})
            outcomes = await self._run(here, over_lines)
        objects, size = await asyncio.to_thread(self._journal.size_of_bucket)
        return LoadSummary(
            folder=self._settings.output.dir,
            place=str(self._place),
            staging=staging,
            outcomes=outcomes,
            put=client.sent,
            put_bytes=client.sent_bytes,
            objects=objects,
            object_bytes=size,
            tasks=tuple(await asyncio.to_thread(self._journal.ended_tasks, before)),
            errors=str(self._folder / LOAD),
        )

    def _only_new(self, stack: ExitStack) -> Callable[[JobFacts, RowPreparer], RowPreparer] | None:
        """What leaves out rows that calls have added before; None in an output that no run has worked in."""
        ledger = self._folder / LEDGER
        if not ledger.is_file():
            return None
        reader = stack.enter_context(LedgerReader(ledger))

        def is_done(digest: bytes, source: bytes | None) -> bool:
            state = reader.states([digest]).get(digest)
            return state is not None and state.code is None and state.source in {None, source}

        return lambda facts, usual: OnlyNewRows(usual, facts.operation, is_done)

    def _put_back(self) -> None:
        """Have lines wait again whose failure passes."""
        actions = self._settings.codes
        codes = [
            code
            for code in self._journal.failed_codes()
            if action_of(code_for(code, None), actions) in {"retry", "end_run"}
        ]
        again = self._journal.put_back(codes)
        if again:
            logger().info("lines_again", lines=again, codes=codes)

    async def _bring(self, staging: Summary) -> None:
        """Have batch tasks do what waits."""
        counts = await asyncio.to_thread(self._journal.counts)
        waiting = counts.get("staged", 0)
        if not waiting and not counts.get("asked"):
            return
        logger().info("lines_wait", lines=waiting, rows=staging.rows, bucket=str(self._place))
        async with instance_calls(self._local) as calls:
            if is_guarded(self._settings):
                step("asking how many images the instance holds")
                await guard_deletions(self._settings, [(calls.instance.name, calls.client)], waiting)
            importer = Importer(
                calls,
                self._bucket,
                self._place,
                self._journal,
                folder=self._folder / LOAD,
                most=self._load.images_per_task,
                poll=self._load.poll_seconds,
                patience=self._settings.calls.max_outage_seconds,
            )
            await importer.run()

    async def _run(self, settings: JobSettings, stand_in: StandIn) -> Summary:
        return await run_step(settings, replace(self._options, stand_in=stand_in))


def _staging_job(local: JobSettings) -> JobSettings:
    """The run that puts images into the bucket: the same rows, in a folder of its own."""
    folder = Path(local.output.dir)
    return local.model_copy(
        update={
            "output": local.output.model_copy(update={"dir": str(folder / STAGING)}),
            "emulator": local.emulator.model_copy(
                update={"data": local.emulator.data or str(folder / "emulator")}
            ),
            "max_failed": "100%",
            "window": None,
            "truth": TruthSettings(),
            "notify": NotifySettings(),
        }
    )
