"""The manifest's columns in an output, from night to night: found, made wide enough, and alike in all parts.

::

    what they were ─▶ seal what waits ─▶ what they are from now on ─▶ parts with other ones written anew
     (ledger, parts)   (as it was        (noted in the ledger)          (one exchange of all parts)
                        written)

Outcomes that wait in the ledger have the columns that it notes. A kill anywhere on the way is made up for by
the next run, which looks again: at the ledger for what waits, at the parts for what they have.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.job.held import FINGERPRINT, told_settings
from batchsearch.engine.job.identity import COLUMNS_ONCE
from batchsearch.engine.parts.exchange import Generations
from batchsearch.engine.parts.sealer import Sealer, Writers
from batchsearch.errors import OutputError
from batchsearch.storage.ledger.damage import damaged
from batchsearch.storage.output_layout import LEDGER
from batchsearch.storage.parts.parquet_table import reading, reason_of
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.parts.passthrough_types import joined, turns_into_doubles
from batchsearch.storage.parts.results_and_hits import (
    hits_schema,
    own_results_schema,
    passthrough_names,
    results_schema,
)
from batchsearch.storage.parts.rewrite import Change
from batchsearch.storage.sealed_part import STAGED
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.ledger.store import Ledger

CARRIED: Final = "carried"
"""Named text of the ledger: the manifest's columns in the output, and those of outcomes that wait."""

_EXACT: Final = 2**53


async def settled(
    ledger: Ledger, settings: JobSettings, folder: Path, tonight: pa.Schema, *, several_keys: bool
) -> tuple[pa.Schema, Writers, Generations]:
    """Make the output wide enough for tonight's columns; nobody else works on it, and it is in order.

    Args:
        ledger: The output's.
        settings: The job.
        folder: The output folder.
        tonight: The manifest's columns as they are now.
        several_keys: Rows are named by more than one column.

    Returns:
        The manifest's columns in the output, and what writes and exchanges its parts.

    Raises:
        OutputError: A part cannot be read or written, or it is not known how outcomes that wait were written.
    """
    operation = settings.operation
    before = columns_so_far(ledger, folder, operation, tonight)
    writers, generations = _writing(ledger, folder, operation, tonight if before is None else before)
    writers.prepare()
    changes = before is not None and joined(before, tonight) != before
    if generations.staged() or (changes and ledger.waiting().rows):
        # What an interrupted run has renewed takes its place before anything is renewed once more.
        await seal_everything(ledger, writers, generations, settings)
    carried = tonight if before is None else joined(before, tonight)
    if before is not None and changes:
        large = _large_numbers(folder, ledger, operation, before, carried)
        carried = joined(before, tonight, as_text=large)
        writers, generations = _writing(ledger, folder, operation, carried)
    text = _as_text(carried)
    if ledger.meta(CARRIED) != text:
        await ledger.set_meta(CARRIED, text)
    if before is not None:
        # Those of this program, too: an earlier version did not have all of them.
        wanted = _as_stored(results_schema(operation, carried))
        hits = set(hits_schema().names)
        others = [
            part.name
            for part in ledger.parts()
            if not _has(_schema_of(folder / RESULTS / part.name), wanted)
            or not hits <= set(_schema_of(folder / HITS / part.name).names)
        ]
        if others:
            await generations.change(others, Change(several_keys))
            logger().info("columns_widened", parts=len(others), columns=_told(before, carried))
    return carried, writers, generations


async def seal_everything(
    ledger: Ledger, writers: Writers, generations: Generations, settings: JobSettings
) -> None:
    """Seal every outcome that waits, and bring in the renewed ones.

    Raises:
        OutputError: A part cannot be written or sealed.
    """
    sealer = Sealer(
        ledger,
        writers,
        generations,
        rows_per_part=settings.output.rows_per_part,
        seconds=settings.output.seal_seconds,
        log=logger(),
    )
    await sealer.finish()


def columns_so_far(
    ledger: LedgerQueries, folder: Path, operation: str, tonight: pa.Schema
) -> pa.Schema | None:
    """The manifest's columns in an output; None where nothing has any yet.

    A ledger of an earlier version notes them as text, one that was made anew not at all: then the parts say
    which types they have.

    Raises:
        OutputError: A part cannot be read, or it is not known how outcomes that wait were written.
    """
    noted = ledger.meta(CARRIED)
    if noted is not None:
        try:
            return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(noted)))
        except (OSError, ValueError, pa.ArrowException) as error:
            ledger_file = folder / LEDGER
            raise damaged(
                ledger_file, "the columns of the output cannot be read", reason_of(error)
            ) from error
    in_parts = _in_parts(ledger, folder, operation)
    told = told_settings(ledger, FINGERPRINT).get(COLUMNS_ONCE)
    if told is None:
        return in_parts
    known = {f"{field.name}: {field.type}": field for field in (*(in_parts or ()), *tonight)}
    fields = [known.get(text) or _field_of(text) for text in told]
    unknown = [text for text, field in zip(told, fields, strict=True) if field is None]
    if not unknown:
        return pa.schema(fields)
    if next(ledger.waiting_results(), None) is not None:
        raise OutputError(
            f"{folder}: outcomes wait in the ledger that an earlier version of batchsearch wrote, with the "
            f"column {unknown[0]!r}; run once with the manifest as it was then, or with that version, so "
            "that they become parts"
        )
    return in_parts


def _writing(ledger: Ledger, folder: Path, operation: str, carried: pa.Schema) -> tuple[Writers, Generations]:
    writers = Writers.of(folder, operation, carried)
    return writers, Generations(ledger, folder, writers.current.schemas, logger())


def _in_parts(ledger: LedgerQueries, folder: Path, operation: str) -> pa.Schema | None:
    """The manifest's columns in the parts, by the names that they have in the manifest."""
    own = set(own_results_schema(operation).names)
    found: pa.Schema | None = None
    for schema in _schemas(ledger, folder):
        columns = [
            pa.field(_in_manifest(field.name, own), field.type) for field in schema if field.name not in own
        ]
        found = pa.schema(columns) if found is None else joined(found, pa.schema(columns))
    return found


def _in_manifest(name: str, own: set[str]) -> str:
    """A column's name in the manifest: `passthrough_names` the other way round."""
    shorter = name
    while shorter.startswith("manifest_"):
        shorter = shorter.removeprefix("manifest_")
        if shorter.casefold() in own:
            return shorter
    return name


def _schemas(ledger: LedgerQueries, folder: Path) -> Iterator[pa.Schema]:
    """The different columns that parts have, each once; earliest parts first."""
    seen: list[pa.Schema] = []
    for place, below in (("current", folder), (STAGED, folder / STAGED)):
        for part in ledger.parts("staged" if place == STAGED else "current"):
            schema = _schema_of(below / RESULTS / part.name)
            if not any(schema.equals(other) for other in seen):
                seen.append(schema)
                yield schema


def _schema_of(path: Path) -> pa.Schema:
    with reading(path):
        return pq.read_schema(arrow_readable(path))


def _has(schema: pa.Schema, wanted: pa.Schema) -> bool:
    """Whether a part has these columns with these types."""
    return all(
        (place := schema.get_field_index(field.name)) >= 0 and schema.field(place).type == field.type
        for field in wanted
    )


def _as_stored(schema: pa.Schema) -> pa.Schema:
    """Columns as Parquet gives them back: it counts no seconds, for one."""
    file = io.BytesIO()
    pq.write_table(schema.empty_table(), file)
    file.seek(0)
    return pq.read_schema(file)


def _large_numbers(
    folder: Path, ledger: LedgerQueries, operation: str, before: pa.Schema, now: pa.Schema
) -> set[str]:
    """Columns of whole numbers that would become doubles, and have some that a double would change."""
    written = dict(zip(before.names, passthrough_names(operation, before.names), strict=True))
    asked = {
        name for name in before.names if turns_into_doubles(before.field(name).type, now.field(name).type)
    }
    found: set[str] = set()
    for part in ledger.parts() if asked else ():
        footer = pq.read_metadata(arrow_readable(folder / RESULTS / part.name))
        places = {footer.schema.column(place).path: place for place in range(footer.num_columns)}
        for name in asked - found:
            place = places.get(written[name])
            if place is not None and not all(
                _is_exact(footer.row_group(group).column(place).statistics)
                for group in range(footer.num_row_groups)
            ):
                found.add(name)
    return found


def _is_exact(statistics: Any) -> bool:
    if statistics is None:
        return False
    if not statistics.has_min_max:
        # No value at all has neither.
        return bool(statistics.num_values == 0)
    return abs(int(statistics.min)) <= _EXACT and abs(int(statistics.max)) <= _EXACT


def _as_text(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _field_of(text: str) -> pa.Field | None:
    """A column from its name and type as text, where the type is a simple one."""
    name, _, kind = text.rpartition(": ")
    unit, _, zone = kind.removeprefix("timestamp[").removesuffix("]").partition(", tz=")
    if kind.startswith("timestamp[") and unit in ("s", "ms", "us", "ns"):
        return pa.field(name, pa.timestamp(unit, zone or None))
    try:
        return pa.field(name, pa.type_for_alias(kind.removesuffix("[day]")))
    except ValueError:
        return None


def _told(before: pa.Schema, now: pa.Schema) -> list[str]:
    """What is new, for people."""
    there = set(before.names)
    return [
        f"{field.name}: {field.type}"
        if field.name not in there
        else f"{field.name}: {before.field(field.name).type} -> {field.type}"
        for field in now
        if field.name not in there or before.field(field.name).type != field.type
    ]
