"""The tables of a run as they are exported: results with their first hits, hits with their rows, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.errors import OutputDamagedError
from batchsearch.storage.parts.results_and_hits import HIT_COLUMNS, hits_schema
from batchsearch.tasks.export.shapes import (
    FROM_MANIFEST,
    HITS_BESIDE,
    SHOWN_OF_HITS,
    SHOWN_OF_RESULTS,
    SHOWN_OF_SCORES,
    Sheet,
    described,
    manifest_columns,
    more_of_scores,
    named_beside,
    shown_columns,
)
from batchsearch.tasks.export.table_batches import batches, rows_of, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.tasks.export.folders import RunTables

_ROWS: Final = 512
"""Rows whose hits are in memory together: 500 of each at most."""
_HIT_KEYS: Final = ("row_key", "rank")


def results_sheet(run: RunTables, *, everything: bool, hits: int) -> Sheet:
    """One row for each row of the manifest: its own columns, its outcome, and its first hits.

    Args:
        run: The run.
        everything: All columns of the results, not those for people alone.
        hits: How many of the first hits stand beside it.
    """
    results = schema_of(run.results)
    carried = manifest_columns(results)
    present = [name for name in results.names if name not in carried]
    own = shown_columns(present, SHOWN_OF_RESULTS, everything=everything)
    beside = hits if run.hits and "hit_count" in present else 0
    shown = [(rank, name) for rank in range(1, beside + 1) for name in HITS_BESIDE]
    found = [f"hit_{rank}_{name}" for rank, name in shown]
    names = named_beside([*own, *found], carried)
    kinds = hits_schema()
    schema = pa.schema(
        [
            *(described(results.field(name), new, FROM_MANIFEST) for name, new in names.items()),
            *(described(results.field(name), name, _meaning(results, name)) for name in own),
            *(
                described(kinds.field(name), new, f"{name} of hit {rank}, the best being hit 1.")
                for (rank, name), new in zip(shown, found, strict=True)
            ),
        ]
    )
    read = pa.schema([results.field(name) for name in dict.fromkeys(["row_key", *names, *own])])
    read_hits = pa.schema([kinds.field(name) for name in (*_HIT_KEYS, *HITS_BESIDE)])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch, hits_of, places in _beside(run, read, read_hits if beside else None):
            arrays = [batch.column(name) for name in (*names, *own)]
            arrays += _first_hits(hits_of, places, shown, len(batch))
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Sheet("results", schema, rows, rows_of(run.results))


def hits_sheet(run: RunTables, *, everything: bool) -> Sheet:
    """One row for each hit: the columns of the row that it was found for, and what was found."""
    results, kinds = schema_of(run.results), hits_schema()
    carried = manifest_columns(results)
    own_names = [column.name for column in HIT_COLUMNS if column.name not in _HIT_KEYS]
    own = shown_columns(own_names, SHOWN_OF_HITS, everything=everything)
    called = [*_HIT_KEYS, *(f"hit_{name}" for name in own)]
    names = named_beside(called, carried)
    schema = pa.schema(
        [
            *(described(results.field(name), new, FROM_MANIFEST) for name, new in names.items()),
            *(
                described(kinds.field(name), new, _meaning(kinds, name))
                for name, new in zip([*_HIT_KEYS, *own], called, strict=True)
            ),
        ]
    )
    read = pa.schema([results.field(name) for name in dict.fromkeys(["row_key", *names])])
    read_hits = pa.schema([kinds.field(name) for name in (*_HIT_KEYS, *own)])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch, hits, places in _beside(run, read, read_hits):
            if not len(hits):
                continue
            rows_of_hits = batch.take(pa.array(places))
            arrays = [rows_of_hits.column(name) for name in names]
            arrays += [hits.column(name) for name in (*_HIT_KEYS, *own)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return Sheet("hits", schema, rows, rows_of(run.hits))


def scores_sheet(run: RunTables, *, everything: bool) -> Sheet:
    """One row for each pair that was compared, and the manifest's own columns."""
    scores = schema_of(run.scores)
    more = more_of_scores(scores)
    own = shown_columns(scores.names, SHOWN_OF_SCORES, everything=everything, without=more)
    names = [*own, *more]
    schema = pa.schema([described(scores.field(name), name, _meaning(scores, name)) for name in names])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in batches(run.scores, schema):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    return Sheet("scores", schema, rows, rows_of(run.scores))


def _beside(
    run: RunTables, read: pa.Schema, read_hits: pa.Schema | None
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch, np.ndarray[Any, Any]]]:
    """Results some rows at a time with their hits, and the place in the batch of each hit's row.

    Hits stand in the order of their rows, part by part, so each file is read once, side by side.
    """
    none = pa.RecordBatch.from_pylist([], read_hits or hits_schema())
    by_name = {path.name: path for path in run.hits}
    for path in run.results:
        hits_file = by_name.get(path.name)
        waiting = _Hits(
            () if hits_file is None or read_hits is None else (hits_file,), read_hits or none.schema
        )
        for batch in batches((path,), read, _ROWS):
            if read_hits is None:
                yield batch, none, np.empty(0, np.int64)
            else:
                hits = waiting.of(batch.column("row_key"))
                places = pc.index_in(hits.column("row_key"), value_set=batch.column("row_key"))
                yield batch, hits, places.to_numpy(zero_copy_only=False).astype(np.int64)
        waiting.end()


class _Hits:
    """Hits in the order of their rows, taken from the front.

    Args:
        files: At most one file.
        schema: Its columns that are wanted.
    """

    def __init__(self, files: Sequence[Path], schema: pa.Schema) -> None:
        self._files = files
        self._schema = schema
        self._coming = batches(files, schema)
        self._rest: pa.RecordBatch | None = None

    def of(self, keys: pa.Array) -> pa.RecordBatch:
        """Those of the next rows."""
        taken = []
        while (batch := self._rest if self._rest is not None else next(self._coming, None)) is not None:
            others = pc.invert(pc.is_in(batch.column("row_key"), value_set=keys))
            end = pc.index(others, pa.scalar(True)).as_py()
            self._rest = None
            if end >= 0:
                self._rest = batch.slice(end)
                taken.append(batch.slice(0, end))
                break
            taken.append(batch)
        whole = pa.Table.from_batches(taken, self._schema).combine_chunks().to_batches()
        return whole[0] if whole else pa.RecordBatch.from_pylist([], self._schema)

    def end(self) -> None:
        """Refuse hits whose row was not among those before.

        Raises:
            OutputDamagedError: There are some.
        """
        left = self._rest if self._rest is not None else next(self._coming, None)
        if left is not None and len(left):
            raise OutputDamagedError(
                f"{self._files[0]}: has hits of the row {left.column('row_key')[0].as_py()!r} that are not "
                "where its row is; `batchsearch verify` says what to do"
            )


def _first_hits(
    hits: pa.RecordBatch, places: np.ndarray[Any, Any], shown: Sequence[tuple[int, str]], rows: int
) -> list[pa.Array]:
    """Columns with the first hits of each row."""
    found = []
    ranks = hits.column("rank").to_numpy(zero_copy_only=False) if shown else None
    for rank, name in shown:
        at = np.flatnonzero(ranks == rank)
        index = np.full(rows, -1, np.int64)
        index[places[at]] = at
        found.append(hits.column(name).take(pa.array(index, mask=index < 0)))
    return found


def _meaning(schema: pa.Schema, name: str) -> str:
    said: bytes = (schema.field(name).metadata or {}).get(b"description", b"")
    return said.decode("utf-8", "replace")
