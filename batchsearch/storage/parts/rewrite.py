"""Parts made from parts: rows copied in order, some of them left out, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch import crash_points
from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.publish import make_folder
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.parts.parquet_table import TableFile, reading, table_files, writing
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.parts.passthrough_types import conformed
from batchsearch.storage.parts.row_columns import IN_MANIFEST, LEFT_AT, filled_hits, filled_results
from batchsearch.storage.sealed_part import HISTORY, SealedPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

_ROWS_AT_ONCE: Final = 4_096
_KEY: Final = "row_key"
_PUT_BACK: Final = "; put it back, or use another `output.dir`"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What was made of some parts.

    Attributes:
        part: The new part.
        replaced: How many rows were left out.
    """

    part: SealedPart
    replaced: int


def row_keys(path: Path) -> pa.ChunkedArray:
    """The row keys in a file of `results`, in its order.

    Raises:
        OutputError: It cannot be read.
    """
    with reading(path, then=_PUT_BACK):
        return pq.read_table(arrow_readable(path), columns=[_KEY])[_KEY]


def rewrite(
    sources: Sequence[Path],
    target: Path,
    name: str,
    schemas: tuple[pa.Schema, pa.Schema],
    *,
    leave_out: pa.Array | None = None,
    replaced: TableFile | None = None,
) -> Rewritten:
    """Write one part with the rows of others.

    Args:
        sources: Where the parts are, in order: each stands for `results/…` and `hits/…`, as the path of its
            file in `results`.
        target: Folder that holds the new part's `results` and `hits` folders, each with the suffix `.next`.
        name: The new part's name.
        schemas: Columns of `results` and of `hits`; what an older part does not have becomes null.
        leave_out: Row keys to leave out; a few thousand.
        replaced: Takes the rows of `results` that are left out.

    Raises:
        OutputError: A part cannot be read, or the disk refuses.
    """
    left_out = 0
    with writing(target, f"part {name} cannot be written"), table_files() as opened:
        results, hits = (
            opened(target / f"{table}.next" / name, schema)
            for table, schema in zip((RESULTS, HITS), schemas, strict=True)
        )
        for source in sources:
            for rows in _tables_of(source, schemas[0]):
                kept, dropped = _parted(rows, leave_out)
                results.add(kept)
                left_out += dropped.num_rows
                if replaced is not None and dropped.num_rows:
                    replaced.add(dropped)
            for found in _tables_of(source.parent.parent / HITS / source.name, schemas[1]):
                hits.add(_parted(found, leave_out)[0])
            crash_points.reached("compact_build")
        results_sha256, hits_sha256 = results.sync(), hits.sync()
        results.publish()
        hits.publish()
    part = SealedPart(name, results.rows, hits.rows, results_sha256, hits_sha256)
    return Rewritten(part, left_out)


@dataclass(frozen=True, slots=True)
class Change:
    """How a part is written anew.

    Attributes:
        several: Rows are named by more than one column.
        there: Which of some row keys are in the manifest; None leaves what the part says.
        now: When it was looked, UTC: rows that are missed for the first time have left then.
    """

    several: bool
    there: Callable[[pa.ChunkedArray], pa.Array] | None = None
    now: datetime | None = None


def changed(
    source: Path, target: Path, name: str, schemas: tuple[pa.Schema, pa.Schema], change: Change
) -> tuple[SealedPart, bool]:
    """Write one part with other columns, or with other words on where its rows are.

    Args:
        source: The part's file in `results`.
        target: As for `rewrite`.
        name: The new part's name.
        schemas: Columns of `results` and of `hits`; what the part does not have becomes null, unless it
            follows from the rest.
        change: How.

    Returns:
        The new part, and whether its hits were written too: else they stay what they are.

    Raises:
        OutputError: The part cannot be read, or the disk refuses.
    """
    with writing(target, f"part {name} cannot be written"), table_files() as opened:
        hits_of_part = source.parent.parent / HITS / source.name
        names = pq.read_schema(arrow_readable(hits_of_part)).names
        lacks = not set(schemas[1].names) <= set(names)
        results = opened(target / f"{RESULTS}.next" / name, schemas[0])
        rows_by_key: dict[str, tuple[object, object]] = {}
        for table in _tables_of(source, schemas[0]):
            rows = _marked(filled_results(table, several=change.several), change)
            if lacks:
                said = zip(rows["run_id"].to_pylist(), rows["finished_at"].to_pylist(), strict=True)
                rows_by_key.update(zip(rows[_KEY].to_pylist(), said, strict=True))
            results.add(rows)
        hits: TableFile | None = None
        if lacks:
            hits = opened(target / f"{HITS}.next" / name, schemas[1])
            for table in _tables_of(hits_of_part, schemas[1]):
                hits.add(filled_hits(table, rows_by_key, several=change.several))
        crash_points.reached("compact_build")
        digest, hits_digest = results.sync(), "" if hits is None else hits.sync()
        results.publish()
        if hits is not None:
            hits.publish()
    return SealedPart(name, results.rows, 0 if hits is None else hits.rows, digest, hits_digest), lacks


def _marked(table: pa.Table, change: Change) -> pa.Table:
    """The rows, with whether they are in the manifest."""
    if change.there is None:
        return table
    there = change.there(table[_KEY])
    moment = table.schema.field(LEFT_AT).type
    left = pc.coalesce(table[LEFT_AT], pa.scalar(change.now, moment))
    left = pc.if_else(there, pa.scalar(None, moment), left)
    for name, column in ((IN_MANIFEST, there), (LEFT_AT, left)):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return table


def write_history(file: TableFile) -> SealedPart:
    """Make a file of replaced outcomes durable under its name.

    Raises:
        OutputError: The disk refuses.
    """
    with writing(file.path):
        try:
            digest = file.sync()
            file.publish()
        except BaseException:
            file.abandon()
            raise
    return SealedPart(file.path.name, file.rows, 0, digest, "", place=HISTORY)


def history_file(folder: Path, name: str, schema: pa.Schema) -> TableFile:
    """A new file of replaced outcomes; its folder is made when it is not there.

    Raises:
        OutputError: The disk refuses.
    """
    try:
        make_folder(folder / HISTORY)
        return TableFile(folder / HISTORY / name, schema)
    except OSError as error:
        raise OutputError(f"{folder / HISTORY}: {error.strerror or error}") from error


def _tables_of(path: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    with reading(path, then=_PUT_BACK), pq.ParquetFile(arrow_readable(path)) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, use_threads=False):
            yield conformed(pa.Table.from_batches([batch]), schema)


def _parted(table: pa.Table, leave_out: pa.Array | None) -> tuple[pa.Table, pa.Table]:
    if leave_out is None:
        return table, table.slice(0, 0)
    mask = pc.is_in(table[_KEY], value_set=leave_out)
    return table.filter(pc.invert(mask)), table.filter(mask)
