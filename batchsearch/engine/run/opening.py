"""Everything that a run needs is looked at and opened here, before any call is made."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch import crash_points
from batchsearch.config.model import INSTANCE, PRIORITY
from batchsearch.config.sections.image_settings import connections_of
from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.emulator.installed import check_installed
from batchsearch.engine.job.deletion_guard import check_shrink
from batchsearch.engine.job.held import FINGERPRINT, JOB, held_job, told_settings, touched_by
from batchsearch.engine.job.identity import QUOTED, quoted_before
from batchsearch.engine.job.instance_worker import rows_of_run, workers_of
from batchsearch.engine.one_thread import one_by_one
from batchsearch.engine.parts.passthrough_columns import settled
from batchsearch.engine.renewal.change_detection import DetectedChanges, Finished, round_began
from batchsearch.engine.renewal.removed_rows import mark_left
from batchsearch.engine.renewal.renewal_rules import NOTHING_TOUCHED
from batchsearch.engine.rows.other_folders import other_folders
from batchsearch.engine.run.manifest_reading import ManifestReading
from batchsearch.engine.run.opened import Opened, OpenedOutput, OpenedRows
from batchsearch.engine.run.order import examined, put_in_order, refuse_without_ledger
from batchsearch.engine.run.places import image_root, require_root
from batchsearch.errors import ConfigError, OutputError, Problem
from batchsearch.manifest.own_output import takes_in
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.publish import make_folder
from batchsearch.service.conditions import parse_conditions
from batchsearch.service.filter import FilterError
from batchsearch.service.operations import OPERATIONS, Operation
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.lock import OutputLock
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.output_layout import LEDGER, LEDGER_FOLDER, LOCK, SEARCH
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.job.held import HeldJob
    from batchsearch.engine.renewal.renewal_rules import Touched
    from batchsearch.engine.renewal.row_selector import RowSelector
    from batchsearch.storage.remote.mirror import Mirror

IMAGES: Final = ("image", "primary_image", "secondary_image")
"""What columns with images are called when nothing else is said."""

_MOST_LISTED: Final = 10


def new_run_id() -> str:
    """A name for a run: when it began, and a little chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@asynccontextmanager
async def open_job(
    settings: JobSettings, *, run_id: str, chosen: RowSelector | None = None, mirror: Mirror | None = None
) -> AsyncIterator[Opened]:
    """Check the manifest, take the output, and find out what is left to do.

    Args:
        settings: The job, its paths absolute.
        run_id: The run's name.
        chosen: Finished rows that are to be asked for again, and no others.
        mirror: Carries the output to an object store.

    Raises:
        ConfigError: The job cannot run as it is set.
        ManifestError: The manifest is not usable.
        OutputInUseError: Another run holds the output.
        OutputError: The output or the ledger cannot be written.
    """
    operation = OPERATIONS[settings.operation]
    if any(worker.instance.endpoint == EMULATOR for worker in workers_of(settings)):
        check_installed()
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, operation)
    require_root(settings)
    other_folders(settings)
    truth = _truth_columns(settings, manifest)
    async with taken(folder, run_id, mirror) as ledger, AsyncExitStack() as stack:
        left = await examined(ledger, folder)
        held = held_job(settings, ledger)
        now = held.now
        quoted = quoted_before(held.before, settings.manifest.key)
        manifest = manifest.naming_rows(quoted)
        reading = stack.enter_context(
            ManifestReading(settings, operation, manifest, ledger, chosen=chosen is not None)
        )
        total = await reading.rows(held, folder)
        if total or quoted is not None:
            now[QUOTED] = manifest.quoted
        check_shrink(
            settings.manifest.path,
            before=int(ledger.meta("total") or 0),
            now=total,
            max_shrink=settings.manifest.max_shrink,
        )
        await ledger.set_meta("total", str(total))
        _tell_renamed(settings, manifest)
        await put_in_order(ledger, folder, left)
        passthrough, writers, generations = await settled(
            ledger, settings, folder, manifest.schema_carried, several_keys=len(manifest.quoted) > 1
        )
        if chosen is not None:
            meeting = None
            if chosen.where is not None:
                meeting = _meeting(chosen.where, settings, operation).naming_rows(quoted)
            await _mark(chosen, ledger, meeting)
            touched = NOTHING_TOUCHED
        else:
            touched = await asyncio.to_thread(touched_by, held, ledger, folder)
            if held.changes.elsewhere:
                await ledger.forget_answers()
        detected = DetectedChanges(
            settings,
            operation,
            manifest,
            ledger,
            image_root(settings),
            only_asked_for=chosen is not None,
            touched=touched,
        )
        finished = await reading.stock(detected, total)
        _tell_of_rows(finished, touched, held, total)
        if reading.left is not None:
            several = len(manifest.quoted) > 1
            await mark_left(ledger, folder, generations, reading.left, several=several)
        # Only now that the rows which they touch are marked are tonight's settings those of the output. What
        # somebody overrides for once, to ask again, is not the job.
        if chosen is None:
            await ledger.set_meta(JOB, json.dumps(settings.model_dump(mode="json")))
        if chosen is None or not held.before:
            await ledger.set_meta(FINGERPRINT, json.dumps(now))
        crash_points.reached("open_counted")
        yield Opened(
            settings,
            operation,
            run_id,
            time.time() if chosen is not None else round_began(ledger),
            OpenedOutput(ledger, writers, generations, passthrough, truth, mirror),
            OpenedRows(manifest, total, finished, reading, only_renewed=chosen is not None),
        )


@asynccontextmanager
async def taken(folder: Path, run_id: str, mirror: Mirror | None = None) -> AsyncIterator[Ledger]:
    """Hold an output folder for one process, with its ledger open; both are made when they are not there.

    Where it is the work folder of an output in an object store, that is held as well, and the folder made
    what the store has.

    Raises:
        ConfigError: It is no folder.
        OutputInUseError: Another run holds it.
        OutputDamagedError: It has parts, and no ledger that would know them.
        OutputError: It cannot be written.
    """
    ledger_folder = folder / LEDGER_FOLDER
    try:
        make_folder(ledger_folder)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"output.dir: {folder} is not a folder, or lies in something that is none"
        ) from None
    except OSError as error:
        raise OutputError(f"{ledger_folder}: cannot make the folder: {error.strerror}") from error
    async with AsyncExitStack() as stack:
        stack.enter_context(OutputLock(folder / LOCK, run_id))
        if mirror is not None:
            await stack.enter_async_context(mirror.held())
        refuse_without_ledger(folder)
        ledger = Ledger(folder / LEDGER)
        stack.callback(ledger.close)
        if mirror is not None:
            await mirror.take_up(ledger)
        yield ledger


async def _mark(chosen: RowSelector, ledger: Ledger, meeting: Manifest | None) -> None:
    there = ledger.outcomes()
    outcomes = chosen.outcomes(there)
    if not outcomes and chosen.codes and not chosen.elsewhere:
        codes = sorted({code for code, _ in there if code is not None})
        listed = f"; rows failed with {', '.join(codes[:_MOST_LISTED])}" if codes else "; no row failed"
        raise ConfigError(f"no row failed with {', '.join(chosen.codes)}{listed}")
    digests = {digest_of(key): key for key in chosen.rows}
    done = ledger.finished(list(digests))
    unknown = [repr(key[:60]) for digest, key in digests.items() if digest not in done]
    if unknown and not chosen.elsewhere:
        more = f" and {len(unknown) - _MOST_LISTED:,} others" if len(unknown) > _MOST_LISTED else ""
        raise ConfigError(
            f"no finished row has the key {', '.join(unknown[:_MOST_LISTED])}{more}; keys are the column "
            "`row_key` of the results (a JSON array where the job has several key columns), and rows "
            "without an outcome are worked on by running the job again"
        )
    if meeting is None:
        await ledger.mark_outcomes(outcomes, "retry")
        await ledger.mark(dict.fromkeys(done, "retry"))
        return
    marked = 0
    async for keys in one_by_one(meeting.key_batches()):
        states = ledger.states(keys.digests())
        asked = [
            digest
            for digest, state in states.items()
            if chosen.only_where or digest in done or (state.code, state.origin) in outcomes
        ]
        await ledger.mark(dict.fromkeys(asked, "retry"))
        marked += len(asked)
    if not marked and not chosen.elsewhere:
        raise ConfigError(f"no finished row that is asked for meets the conditions {chosen.where!r}")


def _meeting(where: str, settings: JobSettings, operation: Operation) -> Manifest:
    """The rows of the manifest that meet conditions beside its own."""
    own = settings.manifest.where
    both = where if own is None else f"({own}) AND ({where})"
    narrower = settings.manifest.model_copy(update={"where": both})
    try:
        parse_conditions(where)
        return open_manifest(settings.model_copy(update={"manifest": narrower}), operation)
    except FilterError as error:
        raise ConfigError.at("--where", str(error)) from None
    except ConfigError as error:
        raise ConfigError(str(error).replace("manifest.where", "--where")) from None


def open_manifest(settings: JobSettings, operation: Operation) -> Manifest:
    """The job's manifest, its columns found.

    Raises:
        ConfigError: Its path takes in the output folder.
        ManifestError: It cannot be read, or lacks what the operation needs.
    """
    known = _noted_in(Path(settings.output.dir)) if len(settings.manifest.key) > 1 else {}
    own = settings.output.dir if takes_in(settings.manifest.path, settings.output.dir) else None
    if own is not None and Path(os.path.realpath(settings.manifest.path)) == Path(os.path.realpath(own)):
        what = (
            f"{settings.output.dir} lies where manifest.path ({settings.manifest.path}) looks for tables: "
            "the results would be rows of the next run; choose a folder elsewhere, or one whose name begins "
            "with `_`"
        )
        raise ConfigError.at("output.dir", what)
    manifest = Manifest.open(
        settings.manifest,
        base=Path(settings.manifest.path).parent,
        stores=connections_of(settings.stores, settings.images.stores),
        without=own,
        wanted=Wanted(
            images=tuple(image.role for image in operation.images),
            required=tuple(name for name in operation.required if name not in settings.parameters),
            allowed=operation.keys | {PRIORITY, INSTANCE},
            texts=settings.images.texts,
            kept=_read_in_results(settings),
            of_instance=rows_of_run(settings),
        ),
    )
    return manifest.naming_rows(quoted_before(known, settings.manifest.key))


def _noted_in(folder: Path) -> dict[str, Any]:
    """What the job of an output folder was, or that of a dedup's search; empty where nobody can say."""
    for place in (folder, folder / SEARCH):
        ledger = place / LEDGER
        if ledger.is_file():
            # One that is damaged is refused by whoever works on it.
            with suppress(OutputError), LedgerReader(ledger, oldest=1) as reader:
                return told_settings(reader, FINGERPRINT)
    return {}


def _tell_of_rows(finished: Finished, touched: Touched, held: HeldJob, total: int) -> None:
    """What somebody should know of the finished rows before calls are made."""
    if total == 0 and finished.others:
        logger().warning("manifest_empty", others=finished.others)
    elif finished.others and not finished.rows and not finished.renewed.total():
        logger().warning("no_finished_row", others=finished.others, rows=total)
    if touched and finished.renewed:
        named = [*(line.partition(":")[0] for line in held.changes.told), *held.mended.settings]
        logger().info("settings_touch_rows", settings=named, renewed=dict(finished.renewed))


def _read_in_results(settings: JobSettings) -> frozenset[str]:
    """Columns that other parts of the job look for in the results, whatever `manifest.carry` says."""
    named = [settings.truth.first_hit, settings.truth.outcome]
    manifest, dedup, compare = settings.manifest, settings.dedup, settings.compare
    if dedup is not None or compare is not None:
        named += [*manifest.key, *manifest.columns.values(), *IMAGES, "product_id", "pic_name"]
    if dedup is not None:
        named += [dedup.product_column, dedup.pic_name_column, dedup.category_column, dedup.oldest_column]
        named += dedup.attributes.values()
    if compare is not None:
        named += [compare.group, *compare.carry]
    return frozenset(name for name in named if name is not None)


def _truth_columns(settings: JobSettings, manifest: Manifest) -> tuple[str | None, str | None]:
    names = manifest.schema_carried.names
    written = dict(zip(names, passthrough_names(settings.operation, names), strict=True))
    problems = [
        Problem(f"truth.{name}", f"the manifest has no column {column!r}; it has {', '.join(names)}")
        for name, column in (("first_hit", settings.truth.first_hit), ("outcome", settings.truth.outcome))
        if column is not None and column not in written
    ]
    if problems:
        raise ConfigError(problems)
    first_hit, outcome = settings.truth.first_hit, settings.truth.outcome
    return (
        written[first_hit] if first_hit is not None else None,
        written[outcome] if outcome is not None else None,
    )


def _tell_renamed(settings: JobSettings, manifest: Manifest) -> None:
    names = manifest.schema_carried.names
    for old, new in zip(names, passthrough_names(settings.operation, names), strict=True):
        if old != new:
            logger().info("column_renamed", column=old, written_as=new)
