"""What a job will take, found out without a call: its rows prepared as a run would, then counted.

Nothing is written and no lock is taken: an output folder that is not there stays so, and a run that works
on one is not disturbed. Every row goes through the run's own preparation, so the requests counted here are
the requests that the run will make. Memory holds the rows being prepared, and no more of the requests than
`distinct` says.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from contextlib import AsyncExitStack, ExitStack
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.engine.job.held import held_job, touched_by
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.job.request_facts import facts_of, rules_of
from batchsearch.engine.job.window import window_of
from batchsearch.engine.renewal.change_detection import DetectedChanges, round_began
from batchsearch.engine.rows.held_items import HeldItems
from batchsearch.engine.rows.other_folders import other_folders
from batchsearch.engine.rows.outcome_columns import request_name
from batchsearch.engine.rows.preparer import Preparer
from batchsearch.engine.run.manifest_check import checked
from batchsearch.engine.run.opening import open_manifest
from batchsearch.engine.run.places import image_root, require_root
from batchsearch.engine.run.remote_output import localised
from batchsearch.images.workshop import open_workshop_at
from batchsearch.service.operations import OPERATIONS
from batchsearch.steps import step
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER
from batchsearch.tasks.plan.batch_way import BatchWay
from batchsearch.tasks.plan.distinct_requests import DistinctRequests
from batchsearch.tasks.plan.estimate import NIGHT_HOURS, Pace, Plan, Price, Tally, sizes_of_pages
from batchsearch.tasks.plan.merged_plan import together
from batchsearch.tasks.plan.pending_rows import Known, PendingRows, rows_of
from batchsearch.tasks.plan.seen_images import SeenImages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.engine.job.instance_worker import InstanceWorker
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.manifest.rows import ImageReference
    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.plan.estimate import Needed
    from batchsearch.tasks.plan.pending_rows import SelectedRows

_REQUESTS_AT_ONCE: Final = 4_096
LOOKING: Final = "looking at rows"
"""The step of a plan in which rows are prepared as a run would."""

_FETCHED_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class _Request:
    """A valid row's request, waiting to be counted."""

    keys: tuple[bytes, ...]
    calls: int
    byte_count: int
    may_reuse: bool
    of_this_round: bool


async def plan_job(
    settings: JobSettings,
    *,
    sample: int | None = None,
) -> Plan:
    """Find out what a job takes if it runs now. Images are read, or fetched from their addresses.

    Args:
        settings: The job, its paths absolute.
        sample: Prepare only so many of the rows to do, spread evenly over them, and scale up.

    Raises:
        ConfigError: The job cannot run as it is set, or its output holds another job's results.
        ManifestError: The manifest is not usable.
        OutputError: The ledger cannot be read, or the temporary folder cannot be used.
    """
    settings = localised(settings)
    operation = OPERATIONS[settings.operation]
    manifest = open_manifest(settings, operation)
    require_root(settings)
    folder = Path(settings.output.dir)
    ledger = folder / LEDGER
    oldest = time.time() - settings.reuse.max_age_hours * 3600
    with ExitStack() as stack:
        reader = detected = None
        if ledger.exists():
            reader = stack.enter_context(LedgerReader(ledger))
            held = held_job(settings, reader)
            touched = await asyncio.to_thread(touched_by, held, reader, folder)
            detected = DetectedChanges(
                settings, operation, manifest, reader, image_root(settings), touched=touched
            )
            if held.changes.elsewhere:
                oldest = math.inf
        rows = await checked(manifest)
        began = time.time() if reader is None else round_began(reader)
        if oldest == math.inf:
            began = oldest
        others = [
            Known(
                stack.enter_context(LedgerReader(other.ledger)),
                None,
                other.folder,
                oldest=time.time() - other.max_age,
                round_began=math.inf,
            )
            for other in other_folders(settings)
        ]
        known = Known(reader, detected, folder, oldest=oldest, round_began=began, others=others)
        plans = [
            await _plan(
                settings,
                worker,
                manifest=manifest,
                rows=rows if worker.alone else await asyncio.to_thread(rows_of, worker, manifest),
                known=known,
                sample=sample,
            )
            for worker in workers_of(settings)
        ]
    return together(plans)


async def _plan(
    settings: JobSettings,
    worker: InstanceWorker,
    *,
    manifest: Manifest,
    rows: int,
    known: Known,
    sample: int | None,
) -> Plan:
    operation = OPERATIONS[settings.operation]
    by_address = settings.calls.upload == "url" and bool(operation.images)
    pending = await asyncio.to_thread(PendingRows, manifest, known, rows, sample, worker)
    looking = step(LOOKING, pending.wanted)
    facts = facts_of(settings, operation, "", worker.instance)
    spent = _cpu_seconds()
    async with AsyncExitStack() as stack:
        distinct = stack.enter_context(DistinctRequests())
        workshop = await stack.enter_async_context(
            open_workshop_at(settings.workers, image_root(settings), settings.images)
        )
        preparer = Preparer(
            facts,
            rules_of(settings, operation, worker.instance),
            workshop,
            by_address=by_address,
            held=await asyncio.to_thread(HeldItems.of, settings),
        )
        look = _Look(facts, preparer, known, distinct, by_address=by_address, is_local=workshop.is_local)
        await look.at_all(
            pending.batches(),
            workers=workshop.size + _FETCHED_AT_ONCE,
            counted=looking.to,
        )
        needed = await asyncio.to_thread(distinct.needed)
    # Here the processes that decode rare images have ended: only now is their part known.
    look.seen.cpu_seconds = None if settings.workers.dask else _cpu_seconds() - spent
    tally, to_do = look.tally, pending.counted
    scale = to_do / tally.looked_at if tally.looked_at else 0.0
    unreadable = tally.refused(unreadable=True, scale=scale)
    invalid = tally.refused(unreadable=False, scale=scale)
    reused = round(tally.reused * scale)
    valid = to_do - sum(refused.rows for refused in (*unreadable, *invalid))
    needed = needed.scaled(scale, most=max(0, valid - reused))
    return Plan(
        operation=settings.operation,
        instance=worker.instance.name,
        manifest=settings.manifest.path,
        output=settings.output.dir,
        rows=rows,
        done=rows - to_do,
        looked_at=tally.looked_at,
        unreadable=unreadable,
        invalid=invalid,
        reused=reused,
        needed=needed,
        pages=len(facts.pages),
        largest=tally.largest,
        by_address=by_address,
        pace=pace_of(settings, worker.instance),
        price=price_of(worker.instance),
        batch=_batch_way(settings, needed, encoded=not by_address),
        seen=look.seen,
    )


def _cpu_seconds() -> float:
    """CPU of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _batch_way(settings: JobSettings, needed: Needed, *, encoded: bool) -> BatchWay | None:
    """The same by batch tasks, where the job adds images and has a bucket for them."""
    load = settings.load
    if load is None or settings.operation != "AddImage":
        return None
    return BatchWay.of(needed, load.to, load.images_per_task, settings.images.upload_kbps, encoded=encoded)


def pace_of(settings: JobSettings, instance: InstanceSettings) -> Pace:
    """How fast the job may call an instance, and for how long each night."""
    window = window_of(settings.window)
    qps = instance.qps_of(OPERATIONS[settings.operation].budget)
    if window is None:
        return Pace(qps, instance.share, NIGHT_HOURS)
    return Pace(qps, instance.share, window.hours, has_window=True)


def price_of(instance: InstanceSettings) -> Price | None:
    """What the job file says that the instance costs; None when it does not."""
    if instance.monthly_price is None:
        return None
    return Price(instance.monthly_price, instance.currency)


@dataclass(eq=False)
class _Look:
    """Prepares rows and counts what they take; only the event loop's thread changes its counters."""

    facts: JobFacts
    preparer: Preparer
    known: Known
    distinct: DistinctRequests
    _: KW_ONLY
    by_address: bool
    is_local: Callable[[ImageReference], bool]
    _waiting: list[_Request] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.tally = Tally()
        self.seen = SeenImages()

    async def at_all(
        self, chosen: Iterator[SelectedRows], *, workers: int, counted: Callable[[int], None]
    ) -> None:
        """Look at every chosen row, `workers` at a time; `counted` is told how many were."""
        queue: asyncio.Queue[PendingRow | None] = asyncio.Queue(2 * workers)

        async def work_off() -> None:
            while (pending := await queue.get()) is not None:
                await self._at(pending)
                counted(self.tally.looked_at)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work_off())
                await self._hand_out(chosen, queue)
                for _ in range(workers):
                    await queue.put(None)
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
        self._count_waiting()

    async def _hand_out(
        self, chosen: Iterator[SelectedRows], queue: asyncio.Queue[PendingRow | None]
    ) -> None:
        histories = await asyncio.to_thread(self.known.histories)
        while (chosen_rows := await asyncio.to_thread(next, chosen, None)) is not None:
            batch, places = chosen_rows.batch, chosen_rows.places
            rows = batch.pick([place for place, _, _ in places])
            for row, (_, digest, renewal) in zip(rows, places, strict=True):
                pending = self.facts.work_for(row, batch.carried, digest, histories.pop(digest, None))
                pending.renewal = renewal
                await queue.put(pending)

    async def _at(self, pending: PendingRow) -> None:
        failure = await self.preparer.prepare(pending)
        self.tally.looked_at += 1
        if failure is not None:
            self.tally.refuse(failure, pending.row.number, pending.row.key)
            return
        self._see(pending)
        if pending.cached is not None:
            self.tally.reused += 1
            return
        if pending.request_key is None:
            raise AssertionError("a row that may be sent has a request key")
        renewal = pending.renewal
        if renewal is not None and renewal.is_same(*map(request_name, pending.request_keys)):
            self.tally.reused += 1
            return
        sizes = self._sizes(pending)
        self.tally.largest = max(self.tally.largest, *sizes)
        self._waiting.append(
            _Request(
                tuple(map(bytes.fromhex, pending.request_keys)),
                len(self.facts.pages) - pending.page,
                sum(sizes),
                may_reuse=not pending.answers,
                of_this_round=renewal is not None and renewal.asks_again,
            )
        )
        if len(self._waiting) >= _REQUESTS_AT_ONCE:
            self._count_waiting()

    def _see(self, pending: PendingRow) -> None:
        """Count the images of a row that may be sent."""
        for reference, image in zip(pending.row.images, pending.images, strict=False):
            self.seen.add(
                image.source.bytes,
                image.sent.bytes,
                repaired=bool(image.transforms),
                remote=reference is not None and not self.is_local(reference),
            )

    def _sizes(self, pending: PendingRow) -> list[int]:
        """Bytes of each request that uploads something for this row."""
        if self.by_address:
            return [len(image.data) for image in pending.images]
        if pending.call is None:
            raise AssertionError("a row that may be sent has its call built")
        return sizes_of_pages(
            self.facts.operation, len(pending.call.body), self.facts.pages, first=pending.page
        )

    def _count_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        covered = {
            fresh: self.known.covered(
                [
                    key
                    for each in waiting
                    if each.may_reuse and each.of_this_round == fresh
                    for key in each.keys
                ],
                of_this_round=fresh,
            )
            for fresh in (False, True)
        }
        for request in waiting:
            if request.may_reuse and not covered[request.of_this_round].isdisjoint(request.keys):
                self.tally.reused += 1
            else:
                self.distinct.add(request.keys[0], calls=request.calls, byte_count=request.byte_count)
