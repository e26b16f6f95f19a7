"""The scores: one row for each pair, with what is known of both images. Its columns, and how it is made.

The table is made from the sealed results of the run, a few thousand rows at a time, and replaced as a whole
whenever `batchsearch compare` ends. Pairs of an earlier manifest that the present one no longer makes stay
in `results/` and are left out here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.digest_set import DigestSet
from batchsearch.errors import OutputError
from batchsearch.manifest.keys import digests_of
from batchsearch.storage.parts.parquet_table import TableFile, reason_of
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.results_and_hits import RESULT_COLUMNS, Column, table_schema
from batchsearch.storage.sealed.delivered import MADE_BY
from batchsearch.storage.sealed.sealed_reading import sealed_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from batchsearch.manifest.source import Manifest

SCORES_FILE: Final = "scores.parquet"
SCORES_SCHEMA_VERSION: Final = "1"

_BATCH_ROWS: Final = 8_192
_COMPARE: Final = "CompareSimilarByImage"
_RESULTS: Final = {column.name: column for column in RESULT_COLUMNS[_COMPARE]}

_OWN: Final = (
    Column("pair_key", pa.string(), "Names the pair: `row_key` of the results."),
    Column("group", pa.string(), "Group of the pair; null where the job names no group column."),
    Column("primary", pa.string(), "Names the first image: its row key, or its reference of a given pair."),
    Column("secondary", pa.string(), "Names the second image, likewise."),
    Column("primary_image", pa.string(), "Where the first image is; null for inline bytes."),
    Column("secondary_image", pa.string(), "Where the second image is; null for inline bytes."),
)
_NAMED: Final = tuple(column.name for column in _OWN[1:])
_SAME: Final = Column("same_bytes", pa.bool_(), "Whether both files have the same bytes.")
_TAKEN: Final = (
    "score",
    "outcome",
    "error_code",
    "error_owner",
    "error_message",
    *(
        f"{which}_{fact}"
        for which in ("primary", "secondary")
        for fact in (
            "source_format",
            "source_width",
            "source_height",
            "source_bytes",
            "source_sha256",
            "sent_sha256",
            "transforms",
        )
    ),
    "request_id",
    "coalesced_from",
    "run_id",
    "answered_at",
)

SCORE_COLUMNS: Final = (*_OWN, _RESULTS["score"], _SAME, *(_RESULTS[name] for name in _TAKEN[1:]))
"""The columns of the scores; the manifest's own that are not among them follow."""

_SCORE_NAMES: Final = frozenset(column.name.casefold() for column in SCORE_COLUMNS)


def scores_schema() -> pa.Schema:
    """The columns of the scores that every job has."""
    return table_schema(SCORE_COLUMNS, "scores", SCORES_SCHEMA_VERSION)


def write_scores(
    folder: Path,
    manifest: Manifest,
    named: Mapping[str, str],
    seen: Callable[[pa.RecordBatch], None],
    run_id: str,
) -> int:
    """Write the scores of a run's sealed results; the file appears whole or not at all.

    Args:
        folder: The output folder.
        manifest: The pairs of the job as they are now.
        named: Column of the results by the score column that it gives, of `group`, `primary`, `secondary`,
            `primary_image` and `secondary_image`; what is not named is null.
        seen: Shown every batch of scores.
        run_id: The run that they are made by, for the table's metadata.

    Returns:
        How many rows were written.

    Raises:
        OutputError: A part cannot be read, or the disk refuses.
    """
    wanted = DigestSet(b"".join(batch.digests()) for batch in manifest.key_batches())
    table: TableFile | None = None
    path = folder / SCORES_FILE
    try:
        for part in sealed_files(folder / RESULTS):
            for batch in _batches(part):
                kept = batch.filter(pa.array(wanted.among(digests_of(batch.column("row_key"))), pa.bool_()))
                schema = _whole_schema(batch.schema, named)
                if table is None:
                    table = TableFile(path, _made_by(schema, run_id))
                scores = _scores(kept, named, table.schema)
                table.add(pa.Table.from_batches([scores]))
                seen(scores)
        if table is None:
            table = TableFile(path, _made_by(scores_schema(), run_id))
        table.sync()
        table.publish()
    except BaseException as error:
        if table is not None:
            table.abandon()
        if isinstance(error, OSError | pa.ArrowException | ValueError | KeyError):
            raise OutputError(f"{path}: the scores cannot be written: {reason_of(error)}") from error
        raise
    return table.rows


def _made_by(schema: pa.Schema, run_id: str) -> pa.Schema:
    return schema.with_metadata({**(schema.metadata or {}), MADE_BY: run_id.encode()})


def _batches(part: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(arrow_readable(part), pre_buffer=False, page_checksum_verification=True) as file:
        yield from file.iter_batches(_BATCH_ROWS)


def _whole_schema(results: pa.Schema, named: Mapping[str, str]) -> pa.Schema:
    own = scores_schema()
    more = [results.field(source).with_name(name) for name, source in _more(results, named).items()]
    return pa.schema([*own, *more], metadata=own.metadata)


def _more(results: pa.Schema, named: Mapping[str, str]) -> dict[str, str]:
    """The manifest's own columns that no score column shows, by their names here.

    Like in the results, one that is called as a score column is becomes `manifest_<name>`.
    """
    shown = {source for name, source in named.items() if name != "group" or source == name}
    carried = results.names[: results.names.index("row_key")]
    taken = _SCORE_NAMES | {name.casefold() for name in carried}
    found = {}
    for source in carried:
        if source in shown:
            continue
        name = source
        if name.casefold() in _SCORE_NAMES:
            while name.casefold() in taken:
                name = f"manifest_{name}"
            taken |= {name.casefold()}
        found[name] = source
    return found


def _scores(results: pa.RecordBatch, named: Mapping[str, str], schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    own = {name: named.get(name) for name in _NAMED}
    sources = {name: name for name in schema.names} | own | _more(results.schema, named)
    for field in schema:
        source = sources[field.name]
        if field.name == "pair_key":
            column = results.column("row_key")
        elif field.name == _SAME.name:
            column = pc.equal(
                results.column("primary_source_sha256"), results.column("secondary_source_sha256")
            )
        elif source is not None and source in results.schema.names:
            column = results.column(source)
        else:
            column = pa.nulls(results.num_rows, field.type)
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.record_batch(columns, schema=schema)
