"""One night of dedup: the instance kept in step, the search, then tonight's pairs and clusters.

Every step is resumable: search and upkeep are ordinary runs with their own ledgers, and the tables are
computed anew from what those hold. A kill at any point leaves the tables of the night before or tonight's.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.engine.job.run_options import PLAIN_RUN, RunOptions
from batchsearch.engine.run.job import run_step
from batchsearch.engine.run.opening import new_run_id, open_manifest
from batchsearch.engine.run.order import refuse_damage
from batchsearch.engine.run.to_end import progress_beside_logs, to_end
from batchsearch.errors import ExitCode, StoppedError
from batchsearch.images.workshop import workers_held
from batchsearch.publish import made_folder, write_text
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.output_layout import FOLLOWED, INSIDE, NIGHT_LOCK, SEARCH
from batchsearch.tasks.dedup.candidates.catalogue_reading import read_images
from batchsearch.tasks.dedup.candidates.hits import hidden_rows
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.own_image import CatalogueNotHeldError
from batchsearch.tasks.dedup.candidates.precheck import LocalLooks
from batchsearch.tasks.dedup.clusters.building import build, hit_rules, hits_wanted
from batchsearch.tasks.dedup.clusters.components import components
from batchsearch.tasks.dedup.clusters.earlier_tables import set_damaged_aside
from batchsearch.tasks.dedup.clusters.judgements import read_judgements
from batchsearch.tasks.dedup.clusters.table_rows import Sources
from batchsearch.tasks.dedup.dedup_page import DedupSummary
from batchsearch.tasks.dedup.night_jobs import (
    DISTINCT,
    dedup_settings,
    given_columns,
    result_columns,
    search_job,
    told_now,
)
from batchsearch.tasks.dedup.nights import keep_night, read_record, write_record
from batchsearch.tasks.dedup.upkeep.upkeep_steps import (
    add_returned,
    ask_again,
    began_as,
    goes_by_task,
    guard_deletions,
    searched_too_early,
    take_over_former,
    upkeep_jobs,
)
from batchsearch.tasks.dedup.verifying.opencv import opencv
from batchsearch.tasks.load.loading import load_job
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.config.load import LoadedJob
    from batchsearch.config.model import JobSettings
    from batchsearch.engine.job.stop_signals import StopSignals
    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.dedup.candidates.catalogue_images import Columns
    from batchsearch.tasks.dedup.night_jobs import Given
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions

LOCK: Final = Path(NIGHT_LOCK)
_UNFINISHED: Final = frozenset({int(ExitCode.INCOMPLETE), int(ExitCode.ENDED)})


class NightStoppedError(StoppedError):
    """A night was stopped between two of its steps; what was answered is kept."""

    def __init__(self) -> None:
        super().__init__("stopped; what was answered is kept, run the same command again to go on")


def dedup_to_end(
    job: LoadedJob,
    terminal: TerminalOptions,
    options: RunOptions = PLAIN_RUN,
    *,
    delete_all_missing: bool = False,
) -> DedupSummary:
    """Work through a night; for the command line.

    Args:
        job: The job.
        terminal: How it shows what it does.
        options: Of its runs; the calls are those of the search.
        delete_all_missing: Delete whatever has left the manifest, however much it is.

    Raises:
        NightStoppedError: A signal came between two steps.
        BatchsearchError: As `run_night` raises.
    """
    progress = progress_beside_logs(terminal)

    async def main(signals: StopSignals) -> DedupSummary:
        shown = replace(options, progress=progress, signals=signals)
        return await run_night(job.settings, shown, delete_all_missing=delete_all_missing)

    return to_end(main, progress, NightStoppedError)


async def run_night(
    settings: JobSettings, options: RunOptions = PLAIN_RUN, *, delete_all_missing: bool = False
) -> DedupSummary:
    """Work through a night until its tables are written or it has to stop.

    Args:
        settings: The job, its paths absolute.
        options: Of its runs; the calls are those of the search.
        delete_all_missing: Delete whatever has left the manifest, however much it is: `dedup.max_deleted`
            is not asked.

    Raises:
        ConfigError: The job cannot run as it is set, or the judgements are not usable.
        MissingExtraError: scipy is not installed, or OpenCV where the job verifies.
        ManifestError: The manifest is not usable, or has lost more than may be deleted.
        OutputInUseError: Another night works in the output folder.
        OutputError: The output cannot be written.
    """
    night = _Night(settings, options, delete_all_missing=delete_all_missing)
    with ExitStack() as stack:
        # Looking and searching take turns; the workers are the same.
        await asyncio.to_thread(stack.enter_context, workers_held(settings.workers))
        return await night.run()


class _Night:
    def __init__(self, settings: JobSettings, options: RunOptions, *, delete_all_missing: bool) -> None:
        self._settings = settings
        self._dedup = dedup_settings(settings)
        self._options = options
        self._delete_all_missing = delete_all_missing
        self._folder = Path(settings.output.dir)
        self._night = new_run_id()
        self._started = datetime.now(UTC)
        self._stop = threading.Event()

    async def run(self) -> DedupSummary:
        try:
            return await self._run_through()
        except asyncio.CancelledError:
            # A thread that looks at images ends soon, too, and keeps what it has seen.
            self._stop.set()
            raise

    async def _run_through(self) -> DedupSummary:
        step("getting ready")
        # What the tables need is found out before anything is spent.
        await asyncio.to_thread(components, 1, np.empty(0, np.int64), np.empty(0, np.int64))
        if self._dedup.verify is not None:
            await asyncio.to_thread(opencv)
        manifest = open_manifest(self._settings, OPERATIONS[self._settings.operation])
        names = manifest.schema_carried.names
        given = given_columns(self._settings, names)
        judgements = read_judgements([Path(file) for file in self._dedup.judgements])
        made_folder(self._folder / LOCK.parent)
        with OutputLock(self._folder / LOCK, self._night), ExitStack() as stack:
            # Each of its outputs before a call for any of them.
            for inside in INSIDE:
                await asyncio.to_thread(refuse_damage, self._folder / inside)
            await asyncio.to_thread(take_over_former, self._folder)
            await asyncio.to_thread(
                guard_deletions, self._settings, given, self._night, anyway=self._delete_all_missing
            )
            began = await asyncio.to_thread(began_as, self._folder / SEARCH)
            search_settings = search_job(self._settings, given, began)
            wanted = hits_wanted(search_settings)
            fingerprints = stack.enter_context(LocalLooks(self._settings, self._dedup, manifest, self._stop))
            search_settings = await fingerprints.before_search(search_settings, given)
            sync: dict[str, Summary] = {}
            if self._dedup.order == "add_first":
                sync = await self._bring_in_step(given)
                if any(run.exit_code in _UNFINISHED for run in sync.values()):
                    # Without tonight's images in the instance the search would miss their pairs.
                    return self._summary(None, sync, {}, given, fingerprints)
                await self._search_what_came_late()
            search = await self._run(search_settings)
            if self._dedup.order == "search_first" and search.exit_code not in _UNFINISHED:
                sync = await self._bring_in_step(given)
            columns = result_columns(self._settings, given, names)
            if search_settings.parameters.get(DISTINCT) is True and search.exit_code not in _UNFINISHED:
                search = await self._ask_hidden(
                    search, search_settings, columns, manifest, fingerprints, wanted
                )
            looks_at_images = self._dedup.verify is not None or self._dedup.colours is not None
            sources = Sources(
                folder=self._folder,
                search=self._folder / SEARCH,
                columns=columns,
                keys=manifest.keys(),
                judgements=judgements,
                local=fingerprints.matches if self._dedup.precheck != "none" else None,
                compare=fingerprints.compared if looks_at_images else None,
                changed_at=fingerprints.changed_at,
                told=partial(told_now, manifest, columns),
                copies=fingerprints.copies,
                night=self._night,
                now=self._started,
                flat=fingerprints.flat,
                held_by=self._settings.instance.name if self._finds_itself() else None,
            )
            logger().info("dedup_started", night=self._night, output=str(self._folder))
            step("reading what was found")
            await asyncio.to_thread(set_damaged_aside, self._folder)
            await asyncio.to_thread(keep_night, self._folder, self._dedup.keep_nights)
            try:
                counts = await asyncio.to_thread(build, wanted, self._dedup, sources)
            except CatalogueNotHeldError as error:
                rows = [digest_of(key) for key in error.rows]
                await ask_again(self._folder / SEARCH, rows, self._night)
                raise
            step("putting images in order")
            await asyncio.to_thread(fingerprints.forget_others)
            summary = self._summary(search, sync, counts, given, fingerprints)
            write_text(self._folder / FOLLOWED, judgements.as_csv())
            await asyncio.to_thread(write_record, self._folder, summary.as_dict())
        logger().info(
            "dedup_finished",
            night=self._night,
            pairs=counts["accepted"],
            clusters=counts["clusters"],
            exit_code=summary.exit_code,
        )
        return summary

    async def _ask_hidden(  # noqa: PLR0917 - what was searched and how
        self,
        search: Summary,
        settings: JobSettings,
        columns: Columns,
        manifest: Manifest,
        fingerprints: LocalLooks,
        wanted: int,
    ) -> Summary:
        """Search the rows again whose lists name a product by an image that has changed since."""

        def rows() -> list[bytes]:
            folder = self._folder / SEARCH
            copies, room = fingerprints.copies, Room(self._folder)
            images = read_images(folder, columns, manifest.keys(), copies=copies, room=room)
            changed_at = fingerprints.changed_at(images)
            if not images.renewed.any() and not changed_at.any():
                return []
            keys = hidden_rows(folder, images, hit_rules(self._dedup, wanted), changed_at)
            return [digest_of(key) for key in keys]

        again = await asyncio.to_thread(rows)
        if not again:
            return search
        await ask_again(self._folder / SEARCH, again, self._night)
        return await self._run(settings)

    async def _search_what_came_late(self) -> None:
        """Have rows searched again whose images came into the instance after their search."""
        before = read_record(self._folder)
        previous = None if before is None else before.get("finished_at")
        ended = previous if isinstance(previous, str) else None
        late = await asyncio.to_thread(searched_too_early, self._folder, ended, datetime.now(UTC))
        await ask_again(self._folder / SEARCH, late, self._night)

    async def _bring_in_step(self, given: Given) -> dict[str, Summary]:
        """Delete, add and update, as far as the job asks for it; a step that does not end ends the upkeep."""
        ended: dict[str, Summary] = {}
        if "add" in self._dedup.upkeep:
            await add_returned(self._settings, given, self._night)
        jobs = upkeep_jobs(self._settings, given, self._night)
        while (found := await asyncio.to_thread(next, jobs, None)) is not None:
            name, job = found
            if name == "add" and await asyncio.to_thread(goes_by_task, job, self._dedup.load_above):
                ended[name] = await self._loaded(job)
            else:
                ended[name] = await self._run(job, replace(self._options, max_calls=None))
            if ended[name].exit_code in _UNFINISHED:
                break
        return ended

    async def _loaded(self, settings: JobSettings) -> Summary:
        """Bring a job's images by batch tasks."""
        ended = await load_job(settings, self._options)
        return ended.outcomes or ended.staging

    async def _run(self, settings: JobSettings, options: RunOptions | None = None) -> Summary:
        return await run_step(settings, options or self._options)

    def _finds_itself(self) -> bool:
        """Whether every image that was searched should be among what its search lists."""
        limited = {*self._settings.parameters, *self._settings.manifest.columns} & _LIMITS
        return self._dedup.order == "add_first" and self._dedup.outside == "drop" and not limited

    def _summary(
        self,
        search: Summary | None,
        sync: Mapping[str, Summary],
        counts: dict[str, object],
        given: Given,
        fingerprints: LocalLooks,
    ) -> DedupSummary:
        codes = [run.exit_code for run in (*sync.values(), search) if run is not None]
        before = read_record(self._folder)
        return DedupSummary(
            exit_code=max(codes, key=_GRAVITY.index, default=int(ExitCode.DONE)),
            night=self._night,
            previous_night=None if before is None else str(before.get("night")),
            folder=str(self._folder),
            started_at=self._started.isoformat(timespec="seconds"),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            complete=search is not None and search.exit_code not in _UNFINISHED,
            search=search,
            sync=sync,
            counts=counts,
            settings=self._dedup.model_dump(mode="json"),
            columns={"product": given.product, "pic_name": given.pic_name},
            instance=self._settings.instance.name,
            precheck=fingerprints.counts,
        )


_LIMITS: Final = frozenset({"filter", "category_id", "start", "score_threshold"})
"""Parameters that can keep an image out of its own list."""

_GRAVITY: Final = [
    int(code) for code in (ExitCode.DONE, ExitCode.TOO_MANY_FAILED, ExitCode.INCOMPLETE, ExitCode.ENDED)
]
"""Exit codes of runs, the graver the later."""
