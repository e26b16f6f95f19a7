"""Everything that a run needs is looked at and opened here, before any call is made."""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch import crash_points
from batchsearch.api.operations import OPERATIONS, Operation
from batchsearch.config.image_settings import connections_of
from batchsearch.config.model import EMULATOR, INSTANCE, PRIORITY
from batchsearch.emulator.installed import check_installed
from batchsearch.engine.carried_columns import settled
from batchsearch.engine.fingerprint import QUOTED, differences, fingerprint, quoted_before
from batchsearch.engine.lane import lanes_of
from batchsearch.engine.manifest_check import checked
from batchsearch.engine.order import examined, put_in_order, refuse_without_ledger
from batchsearch.engine.places import picture_root, require_root
from batchsearch.engine.shrink import check_shrink
from batchsearch.engine.survey import Finished, Survey, round_began, take_stock
from batchsearch.errors import ConfigError, OutputDamagedError, OutputError, Problem
from batchsearch.ledger.lock import OutputLock
from batchsearch.ledger.reader import LedgerReader
from batchsearch.ledger.store import Ledger
from batchsearch.manifest.own_output import takes_in
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.output.atomic import make_folder
from batchsearch.output.inside import SEARCH
from batchsearch.output.schemas import carried_names
from batchsearch.reporting.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pyarrow as pa

    from batchsearch.config.model import JobSettings
    from batchsearch.engine.choice import Chosen
    from batchsearch.engine.generation import Generations
    from batchsearch.engine.sealer import Writers
    from batchsearch.ledger.queries import LedgerQueries
    from batchsearch.remote.mirror import Mirror

PICTURES: Final = ("image", "primary_image", "secondary_image")
"""What columns with pictures are called when nothing else is said."""

LEDGER_FOLDER: Final = "ledger"
LEDGER_FILE: Final = "ledger.sqlite3"
RECOVERED: Final = "recovered"
"""Named text of a ledger that was made anew from its parts: when, and what was called where."""

_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Opened:
    """What a job works with, once everything is checked.

    Attributes:
        settings: The job.
        operation: Operation called.
        manifest: Its rows.
        carried: The manifest's columns in the output, over all nights.
        ledger: What is known of them.
        writers: Write what becomes of them.
        generations: Exchanges the parts that readers see.
        truth: Results columns that say what should come out: of the first hit, of the outcome.
        total: Rows of the manifest.
        finished: What earlier runs have made of them, and what stands of it.
        run_id: This run's name.
        round_began: When the round of runs began that this one belongs to, seconds since 1970.
        only_renewed: Rows without an outcome are left alone.
    """

    settings: JobSettings
    operation: Operation
    manifest: Manifest
    carried: pa.Schema
    ledger: Ledger
    writers: Writers
    generations: Generations
    truth: tuple[str | None, str | None]
    total: int
    finished: Finished
    run_id: str
    round_began: float
    only_renewed: bool = False

    @property
    def left(self) -> int:
        """Rows that this run is to work on."""
        return self.finished.renewed.total() if self.only_renewed else self.total - self.finished.rows


def new_run_id() -> str:
    """A name for a run: when it began, and a little chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@asynccontextmanager
async def open_job(
    settings: JobSettings, *, run_id: str, chosen: Chosen | None = None, mirror: Mirror | None = None
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
    if any(lane.instance.endpoint == EMULATOR for lane in lanes_of(settings)):
        check_installed()
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, operation)
    require_root(settings)
    truth = _truth_columns(settings, manifest)
    async with taken(folder, run_id, mirror) as ledger:
        left = await examined(ledger, folder)
        now = _held_fingerprint(settings, ledger)
        quoted = quoted_before(_noted(ledger), settings.manifest.key)
        manifest = manifest.naming_rows(quoted)
        total = await checked(manifest)
        if total or quoted is not None:
            now[QUOTED] = manifest.quoted
        check_shrink(
            settings.manifest.path,
            before=int(ledger.meta("total") or 0),
            now=total,
            max_shrink=settings.manifest.max_shrink,
        )
        if chosen is None:
            # What somebody overrides for once, to ask again, is not the job.
            await ledger.set_meta("job", json.dumps(settings.model_dump(mode="json")))
        await ledger.set_meta("total", str(total))
        _tell_renamed(settings, manifest)
        await put_in_order(ledger, folder, left)
        carried, writers, generations = await settled(ledger, settings, folder, manifest.schema_carried)
        if chosen is None or not _noted(ledger):
            await ledger.set_meta("fingerprint", json.dumps(now))
        if chosen is not None:
            await _mark(chosen, ledger)
        survey = Survey(
            settings, operation, manifest, ledger, picture_root(settings), only_asked_for=chosen is not None
        )
        finished = await take_stock(survey, ledger, manifest, changes=chosen is None)
        if total == 0 and finished.others:
            logger().warning("manifest_empty", others=finished.others)
        crash_points.reached("open_counted")
        yield Opened(
            settings,
            operation,
            manifest,
            carried,
            ledger,
            writers,
            generations,
            truth,
            total,
            finished,
            run_id,
            time.time() if chosen is not None else round_began(ledger),
            only_renewed=chosen is not None,
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
        stack.enter_context(OutputLock(ledger_folder / "lock", run_id))
        if mirror is not None:
            await stack.enter_async_context(mirror.held())
        refuse_without_ledger(folder)
        ledger = Ledger(ledger_folder / LEDGER_FILE)
        stack.callback(ledger.close)
        yield ledger


async def _mark(chosen: Chosen, ledger: Ledger) -> None:
    there = ledger.outcomes()
    outcomes = chosen.outcomes(there)
    if not outcomes and chosen.codes:
        codes = sorted({code for code, _ in there if code is not None})
        listed = f"; rows failed with {', '.join(codes[:_MOST_LISTED])}" if codes else "; no row failed"
        raise ConfigError(f"no row failed with {', '.join(chosen.codes)}{listed}")
    await ledger.mark_outcomes(outcomes, "retry")


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
        raise ConfigError([Problem("output.dir", what)])
    manifest = Manifest.open(
        settings.manifest,
        base=Path(settings.manifest.path).parent,
        stores=connections_of(settings.stores, settings.images.stores),
        without=own,
        wanted=Wanted(
            images=tuple(picture.role for picture in operation.pictures),
            required=tuple(name for name in operation.required if name not in settings.parameters),
            allowed=operation.keys | {PRIORITY, INSTANCE},
            base64=settings.images.text == "base64",
            kept=_read_in_results(settings),
        ),
    )
    return manifest.naming_rows(quoted_before(known, settings.manifest.key))


def _noted_in(folder: Path) -> dict[str, Any]:
    """What the job of an output folder was, or that of a dedup's search; empty where nobody can say."""
    for place in (folder, folder / SEARCH):
        ledger = place / LEDGER_FOLDER / LEDGER_FILE
        if ledger.is_file():
            # One that is damaged is refused by whoever works on it.
            with suppress(OutputError), LedgerReader(ledger, oldest=1) as reader:
                return _noted(reader)
    return {}


def _read_in_results(settings: JobSettings) -> frozenset[str]:
    """Columns that other parts of the job look for in the results, whatever `manifest.carry` says."""
    named = [settings.truth.first_hit, settings.truth.outcome]
    manifest, dedup, compare = settings.manifest, settings.dedup, settings.compare
    if dedup is not None or compare is not None:
        named += [*manifest.key, *manifest.columns.values(), *PICTURES, "product_id", "pic_name"]
    if dedup is not None:
        named += [dedup.product_column, dedup.picture_column, dedup.category_column, dedup.oldest_column]
        named += dedup.attributes.values()
    if compare is not None:
        named += [compare.group, *compare.carry]
    return frozenset(name for name in named if name is not None)


def _truth_columns(settings: JobSettings, manifest: Manifest) -> tuple[str | None, str | None]:
    names = manifest.schema_carried.names
    written = dict(zip(names, carried_names(settings.operation, names), strict=True))
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
    for old, new in zip(names, carried_names(settings.operation, names), strict=True):
        if old != new:
            logger().info("column_renamed", column=old, written_as=new)


def _noted(ledger: LedgerQueries) -> dict[str, Any]:
    """What the job was, by setting; empty where the ledger does not know."""
    return _told(ledger, "fingerprint")


def _told(ledger: LedgerQueries, name: str) -> dict[str, Any]:
    """A named text of the ledger as the settings that it holds; empty where there is none.

    Raises:
        OutputDamagedError: It is not what a run writes.
    """
    try:
        return dict(json.loads(ledger.meta(name) or "{}"))
    except (ValueError, TypeError) as error:
        raise OutputDamagedError(
            f"ledger/{LEDGER_FILE} in the output folder: what it tells of the job (`{name}`) cannot be "
            f"read, it is damaged: {error}. No part was touched. Put the ledger back from a copy, or let "
            "`batchsearch recover DIR` make it anew from the parts, so that nothing is asked for twice."
        ) from error


def _held_fingerprint(settings: JobSettings, ledger: Ledger) -> dict[str, Any]:
    """What the job is now; refused where it is another job than it was."""
    now: dict[str, Any] = json.loads(json.dumps(fingerprint(settings)))
    before = _noted(ledger)
    if not before:
        _hold_recovered(settings, ledger)
        return now
    changed = differences(before, now)
    if changed:
        raise ConfigError(
            f"{settings.output.dir}: holds the results of another job; what changed since:\n  "
            + "\n  ".join(changed)
            + "\nBegin anew in another folder (`--fresh DIR` or another `output.dir`), or change the "
            "settings back."
        )
    return now


def _hold_recovered(settings: JobSettings, ledger: Ledger) -> None:
    """A ledger made anew from parts alone knows no settings, but what was called and where."""
    known = _told(ledger, RECOVERED)
    operations = set(known.get("operations", ())) - {settings.operation}
    instances = set(known.get("instances", ())) - {lane.instance.name for lane in lanes_of(settings)}
    if operations or instances:
        raise ConfigError(
            f"{settings.output.dir}: holds the results of another job: of "
            f"{', '.join(sorted(operations | instances))}; begin anew in another folder (`--fresh DIR` or "
            "another `output.dir`), or change the settings back."
        )
