"""Bringing the instance in step with the manifest: deleting, adding and updating, each with a ledger."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import microseconds
from batchsearch.engine.job.deletion_guard import check_deletions
from batchsearch.engine.job.held import FINGERPRINT, told_settings
from batchsearch.engine.run.opening import open_manifest, taken
from batchsearch.publish import disk_errors
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER, SEARCH, SYNC, UPKEEP
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of, places
from batchsearch.tasks.dedup.night_jobs import dedup_settings, sync_job
from batchsearch.tasks.dedup.upkeep.attributes import changed_attributes_job
from batchsearch.tasks.dedup.upkeep.removed import removed_images, removed_job
from batchsearch.tasks.load.lines import bare_name
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.dedup_settings import SyncName
    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.dedup.night_jobs import Given

_FORMER: Final = ".former"


def guard_deletions(settings: JobSettings, given: Given, night: str, *, anyway: bool) -> None:
    """Refuse a night that would delete more than it may, before it changes anything.

    Args:
        settings: The job.
        given: Columns of its manifest.
        night: Tonight's id.
        anyway: Delete whatever has left the manifest, this once.

    Raises:
        ManifestError: It would.
        OutputError: The results of earlier nights cannot be read.
    """
    dedup = dedup_settings(settings)
    if "delete" not in dedup.upkeep:
        return
    removed = removed_images(settings, given, night)
    check_deletions(
        settings.manifest.path,
        present=removed.present,
        missing=removed.pending,
        rows=removed.rows,
        max_deleted=dedup.max_deleted,
        anyway=anyway,
    )


def upkeep_jobs(
    settings: JobSettings, given: Given, night: str, *, into: Path | None = None
) -> Iterator[tuple[SyncName, JobSettings]]:
    """The runs that bring the instance in step, in their order; each is made when the one before has ended.

    Args:
        settings: The job.
        given: Columns of its manifest.
        night: Tonight's id.
        into: Where tables of rows are written; the output folder when absent.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The results of earlier runs cannot be read, or a table cannot be written.
    """
    dedup = dedup_settings(settings)
    folder = Path(settings.output.dir)
    for step in dedup.upkeep:
        job = sync_job(settings, given, step)
        if step == "delete":
            removed = removed_images(settings, given, night)
            job = removed_job(job, removed, into or folder)
            if not removed.pending:
                continue
        elif step == "update" and "add" in dedup.upkeep:
            manifest = open_manifest(settings, OPERATIONS[settings.operation])
            attributes = [
                column for name, column in dedup.attributes.items() if name in OPERATIONS["UpdateImage"].keys
            ]
            job = changed_attributes_job(job, manifest, attributes, folder, into or folder)
        yield step, job


def began_as(folder: Path) -> dict[str, Any] | None:
    """What the job of an output folder was when it began, by setting; None where none has begun.

    Raises:
        OutputError: Its ledger cannot be read.
    """
    ledger = folder / LEDGER
    if not ledger.is_file():
        return None
    with LedgerReader(ledger, oldest=1) as reader:
        return told_settings(reader, FINGERPRINT) or None


async def ask_again(folder: Path, rows: list[bytes], run_id: str) -> None:
    """Have finished rows of a run asked for once more when it is next run.

    Args:
        folder: Its output folder.
        rows: Their digests.
        run_id: Who holds the folder meanwhile.

    Raises:
        OutputInUseError: Another run holds it.
        OutputError: Its ledger cannot be written.
    """
    if not rows or not (folder / LEDGER).is_file():
        return
    async with taken(folder, run_id) as ledger:
        await ledger.mark(dict.fromkeys(rows, "retry"))


async def add_returned(settings: JobSettings, given: Given, night: str) -> None:
    """Have images added again that were deleted and are in the manifest once more.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The upkeep's results cannot be read, or its ledger cannot be written.
    """
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, OPERATIONS[settings.operation])
    await ask_again(folder / UPKEEP["add"], returned_rows(folder, manifest, given), night)


def searched_too_early(folder: Path, previous: str | None, now: datetime) -> list[bytes]:
    """Rows whose image came into the instance after their search, by digest.

    Products that were searched meanwhile have not found it, and it has not found them: it was away, or could
    not be added, or was added by a job that searched first.

    Args:
        folder: The dedup's output folder.
        previous: When the last whole night ended, ISO 8601; None where there was none.
        now: What bears a later time was written by a clock that went wrong, and says nothing.

    Raises:
        OutputError: Results cannot be read.
    """
    searches = folder / SEARCH / RESULTS
    since = 0
    for batch in batches_of(searches, ["finished_at"]):
        since = max(since, int(microseconds(batch.column("finished_at")).max(initial=0)))
    if not since:
        return []
    if previous is not None:
        since = min(since, _microsecond(datetime.fromisoformat(previous)))
    until = _microsecond(now)
    keys, moments = [], []
    for batch in batches_of(folder / UPKEEP["add"] / RESULTS, ["row_key", "outcome", "finished_at"]):
        at = microseconds(batch.column("finished_at"))
        well = pc.fill_null(pc.equal(batch.column("outcome"), pa.scalar("ok")), pa.scalar(value=False))
        late = (at > since) & (at <= until) & well.to_numpy(zero_copy_only=False)
        keys.append(batch.column("row_key").filter(pa.array(late)))
        moments.append(at[late])
    added = pa.concat_arrays(keys) if keys else pa.array([], pa.string())
    if not len(added):
        return []
    added_at, again = np.concatenate(moments), []
    for batch in batches_of(searches, ["row_key", "finished_at"]):
        place = places(batch.column("row_key"), added)
        early = (place >= 0) & (added_at[place] > microseconds(batch.column("finished_at")))
        again += [digest_of(key) for key in batch.column("row_key").filter(pa.array(early)).to_pylist()]
    return again


def _microsecond(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def take_over_former(folder: Path) -> None:
    """Put the one upkeep that version 0.1.0 kept in `sync/` where this version keeps the same upkeep.

    Raises:
        OutputError: It cannot be read or moved.
    """
    sync, former = folder / SYNC, folder / f"{_FORMER}-{SYNC}"
    with disk_errors(sync, "cannot be taken over"):
        if (sync / LEDGER).is_file() and not former.exists():
            sync.rename(former)
        if not former.is_dir():
            return
        with LedgerReader(former / LEDGER, oldest=1) as reader:
            job = reader.meta("job") or ""
        for step, operation in (("add", '"AddImage"'), ("update", '"UpdateImage"')):
            place = folder / UPKEEP[step]
            if operation in job and not place.exists():
                sync.mkdir(exist_ok=True)
                former.rename(place)
                return
        # Deletions are made over another table now; made twice they do no harm.


def returned_rows(folder: Path, manifest: Manifest, given: Given) -> list[bytes]:
    """Rows of the manifest whose image was deleted after it was last added, by digest.

    Args:
        folder: The dedup's output folder.
        manifest: The job's rows.
        given: Columns of the manifest.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The upkeep's results cannot be read.
    """
    deleted, deleted_at = _latest(folder / UPKEEP["delete"], "product_id", "pic_name")
    if not len(deleted) or given.pic_name is None:
        return []
    names = manifest.schema_carried.names
    written = dict(zip(names, passthrough_names("AddImage", names), strict=True))
    there = pa.concat_arrays([pa.array(keys, pa.string()) for keys in manifest.keys()])  # noqa: SIM118 - a table's row keys
    again: list[bytes] = []
    product, image = written[given.product], written[given.pic_name]
    for batch in _ended_well(folder / UPKEEP["add"], product, image):
        place = places(_images(batch, product, image), deleted)
        left = (
            (place >= 0)
            & (deleted_at[place] > microseconds(batch.column("finished_at")))
            & (places(batch.column("row_key"), there) >= 0)
        )
        again += [digest_of(key) for key in batch.column("row_key").filter(pa.array(left)).to_pylist()]
    return again


def _latest(folder: Path, product: str, image: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """The images of a run's rows that ended well, each once, and the last moment of each."""
    images, moments = [], []
    for batch in _ended_well(folder, product, image):
        images.append(_images(batch, product, image))
        moments.append(microseconds(batch.column("finished_at")))
    if not images:
        return pa.array([], pa.string()), np.empty(0, np.int64)
    texts = pa.concat_arrays(images)
    each = pc.unique(texts)
    last = np.zeros(len(each), np.int64)
    np.maximum.at(last, places(texts, each), np.concatenate(moments))
    return each, last


def _ended_well(folder: Path, product: str, image: str) -> list[pa.RecordBatch]:
    wanted = ["row_key", product, image, "outcome", "finished_at"]
    return [
        batch.filter(pc.equal(batch.column("outcome"), "ok"))
        for batch in batches_of(folder / RESULTS, wanted)
    ]


def _images(batch: pa.RecordBatch, product: str, image: str) -> pa.Array:
    return pc.binary_join_element_wise(
        batch.column(product).cast(pa.string()), batch.column(image).cast(pa.string()), "\x1f"
    )


def goes_by_task(add: JobSettings, load_above: int | None) -> bool:
    """Whether the images that a job adds are brought by a batch task.

    Images whose names have no extension are added by calls: a task would name them otherwise.

    Args:
        add: The job that adds images.
        load_above: As the setting says; None for never.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The ledger of earlier nights cannot be read.
    """
    if load_above is None:
        return False
    waiting, plain = _waiting(add)
    if waiting > load_above and plain:
        logger().warning("names_without_extension", rows=plain)
    return waiting > load_above and not plain


def _waiting(add: JobSettings) -> tuple[int, int]:
    """Rows that have no outcome yet, and how many of them have a name without an image's extension."""
    manifest = open_manifest(add, OPERATIONS[add.operation])
    ledger = Path(add.output.dir) / LEDGER
    waiting = plain = 0
    with ExitStack() as stack:
        reader = stack.enter_context(LedgerReader(ledger, oldest=1)) if ledger.is_file() else None
        for batch in manifest.batches():
            digests = batch.digests()
            done = reader.finished(digests) if reader is not None else set()
            for row, digest in zip(batch.rows, digests, strict=True):
                if digest not in done:
                    name = str(row.parameters.get("pic_name", ""))
                    waiting += 1
                    plain += bare_name(name) == name
    return waiting, plain
