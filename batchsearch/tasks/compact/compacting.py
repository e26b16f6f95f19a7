"""Merging the parts of an output, with nobody else working on it."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.parts.exchange import ROWS_COMPACTED, Generations
from batchsearch.engine.parts.sealer import Writers
from batchsearch.engine.run.opening import new_run_id, taken
from batchsearch.engine.run.order import examined, put_in_order, refuse_without_ledger
from batchsearch.engine.run.remote_output import localised, mirror_of
from batchsearch.errors import OutputError
from batchsearch.storage.output_layout import LEDGER, NoOutputError, no_output, runs_in
from batchsearch.storage.parts.generation import can_exchange
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.parts.passthrough_types import joined
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.model import JobSettings
    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.remote.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Compacted:
    """What compaction did.

    Attributes:
        before: Parts before.
        after: Parts now.
        rows: Rows of `results` in them.
        hits: Rows of `hits`.
        renewed: Renewed outcomes of an interrupted run that took their place meanwhile.
    """

    before: int
    after: int
    rows: int
    hits: int
    renewed: int = 0


def compact(folder: Path, *, rows: int = ROWS_COMPACTED) -> Compacted:
    """Merge small parts of an output folder; readers see the old parts or the new ones, never both.

    Args:
        folder: The output folder of a run.
        rows: Rows that make a part, at least; the last one may have fewer.

    Raises:
        ConfigError: No job has run there.
        OutputInUseError: A run is working there.
        OutputError: A part is damaged, the disk refuses, or the file system cannot exchange folders.
    """
    refuse_without_ledger(folder)
    if not (folder / LEDGER).exists():
        raise NoOutputError(no_output(folder))
    return asyncio.run(_compact(folder, rows, new_run_id()))


def compact_in_store(settings: JobSettings, *, rows: int = ROWS_COMPACTED) -> Compacted:
    """Merge small parts of an output in an object store: in its work folder, and carried back in one step.

    Args:
        settings: The job, its output an address.
        rows: As for `compact`.

    Raises:
        BatchsearchError: As `compact` raises; the store is held by a run, or cannot be used.
    """
    folder, run_id = Path(localised(settings).output.dir), new_run_id()
    return asyncio.run(_compact(folder, rows, run_id, mirror_of(settings, folder, run_id)))


def compact_all(folder: Path, *, rows: int = ROWS_COMPACTED) -> dict[Path, Compacted]:
    """Merge the small parts of an output folder, or of every run inside the folder of a dedup.

    Raises:
        BatchsearchError: As `compact` raises.
    """
    return {place: compact(place, rows=rows) for place in runs_in(folder) or [folder]}


async def _compact(folder: Path, rows: int, run_id: str, mirror: Mirror | None = None) -> Compacted:
    async with taken(folder, run_id, mirror) as ledger:
        await put_in_order(ledger, folder, await examined(ledger, folder))
        if not ledger.parts():
            return Compacted(0, 0, 0, 0)
        schemas = _schemas(folder, ledger)
        generations = Generations(ledger, folder, schemas, logger())
        Writers.reading(folder, schemas).prepare()
        if not await asyncio.to_thread(can_exchange, folder):
            raise OutputError(
                f"{folder}: this file system cannot exchange two folders in one step, so readers would find "
                "none for a moment; copy the folder to another file system and compact it there"
            )
        renewed = await generations.bring_in()
        before, after = await generations.compact(rows)
        parts = ledger.parts()
        if mirror is not None:
            await mirror.finish()
    return Compacted(
        before, after, sum(part.rows for part in parts), sum(part.hits for part in parts), renewed
    )


def _schemas(folder: Path, ledger: Ledger) -> tuple[pa.Schema, pa.Schema]:
    """The columns that all parts have between them: older ones may lack some of the newest."""
    results, hits = (_unified(folder / table, ledger) for table in (RESULTS, HITS))
    return results, hits


def _unified(folder: Path, ledger: Ledger) -> pa.Schema:
    def schemas() -> Iterator[pa.Schema]:
        for part in reversed(ledger.parts()):
            with reading(folder / part.name):
                yield pq.read_schema(arrow_readable(folder / part.name))

    found: list[pa.Schema] = []
    for schema in schemas():
        if not any(schema.equals(known) for known in found):
            found.append(schema)
    return functools.reduce(joined, found)
