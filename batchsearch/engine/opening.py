"""Everything that a run needs is looked at and opened here, before any call is made."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.api.operations import OPERATIONS, Operation
from batchsearch.config.model import EMULATOR, PRIORITY
from batchsearch.emulator.installed import check_installed
from batchsearch.engine.fingerprint import differences, fingerprint
from batchsearch.errors import ConfigError, OutputError, Problem
from batchsearch.ledger.lock import OutputLock
from batchsearch.ledger.records import digest_of
from batchsearch.ledger.store import Ledger
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.output.parts import PartWriter
from batchsearch.output.schemas import carried_names, hits_schema, own_results_schema, results_schema
from batchsearch.reporting.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batchsearch.config.model import JobSettings

LEDGER_FOLDER: Final = "ledger"
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Finished:
    """Rows of the manifest that have their outcome already.

    Attributes:
        rows: How many.
        codes: How many of them ended with each error code.
    """

    rows: int
    codes: Counter[str]


@dataclass(frozen=True, slots=True)
class Opened:
    """What a job works with, once everything is checked.

    Attributes:
        settings: The job.
        operation: Operation called.
        manifest: Its rows.
        ledger: What is known of them.
        writer: Writes what becomes of them.
        truth: Results columns that say what should come out: of the first hit, of the outcome.
        total: Rows of the manifest.
        finished: What earlier runs have made of them.
        run_id: This run's name.
    """

    settings: JobSettings
    operation: Operation
    manifest: Manifest
    ledger: Ledger
    writer: PartWriter
    truth: tuple[str | None, str | None]
    total: int
    finished: Finished
    run_id: str


def new_run_id() -> str:
    """A name for a run: when it began, and a little chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@asynccontextmanager
async def open_job(settings: JobSettings) -> AsyncIterator[Opened]:
    """Check the manifest, take the output, and find out what is left to do.

    Raises:
        ConfigError: The job cannot run as it is set.
        ManifestError: The manifest is not usable.
        OutputInUseError: Another run holds the output.
        OutputError: The output or the ledger cannot be written.
    """
    operation = OPERATIONS[settings.operation]
    if settings.instance.endpoint == EMULATOR:
        check_installed()
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, operation)
    truth = _truth_columns(settings, manifest)
    run_id = new_run_id()
    ledger_folder = folder / LEDGER_FOLDER
    try:
        ledger_folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"output.dir: {folder} is not a folder, or lies in something that is none"
        ) from None
    except OSError as error:
        raise OutputError(f"{ledger_folder}: cannot make the folder: {error.strerror}") from error
    with OutputLock(ledger_folder / "lock", run_id):
        ledger = Ledger(ledger_folder / "ledger.sqlite3")
        try:
            await _hold_fingerprint(settings, manifest, ledger)
            total = await asyncio.to_thread(manifest.check)
            writer = _part_writer(settings, manifest)
            writer.prepare()
            sealed = ledger.parts()
            removed = writer.remove_unsealed({part.name for part in sealed})
            if removed:
                logger().info("leftovers_removed", files=removed)
            damaged = await asyncio.to_thread(writer.damaged, sealed)
            if damaged:
                raise OutputError(
                    f"{folder}: sealed parts are missing or damaged; put them back, or give the job another "
                    "`output.dir`:\n  " + "\n  ".join(damaged[:_MOST_LISTED])
                )
            finished = await asyncio.to_thread(_finished_rows, manifest, ledger)
            yield Opened(settings, operation, manifest, ledger, writer, truth, total, finished, run_id)
        finally:
            ledger.close()


def open_manifest(settings: JobSettings, operation: Operation) -> Manifest:
    """The job's manifest, its columns found.

    Raises:
        ManifestError: It cannot be read, or lacks what the operation needs.
    """
    return Manifest.open(
        settings.manifest,
        base=Path(settings.manifest.path).parent,
        wanted=Wanted(
            images=tuple(picture.role for picture in operation.pictures),
            required=tuple(name for name in operation.required if name not in settings.parameters),
            allowed=operation.keys | {PRIORITY},
            base64=settings.images.text == "base64",
        ),
    )


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


def _finished_rows(manifest: Manifest, ledger: Ledger) -> Finished:
    """How many rows of the manifest have their outcome, and how many of them each code."""
    if ledger.finished_count() == 0:
        return Finished(0, Counter())
    done, codes = 0, Counter[str]()
    for keys in manifest.keys():  # noqa: SIM118 - a table's row keys, not a dictionary's
        outcomes = ledger.codes_of([digest_of(key) for key in keys])
        done += len(outcomes)
        codes.update(code for code in outcomes.values() if code is not None)
    return Finished(done, codes)
