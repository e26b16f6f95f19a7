"""What differs between two outputs: two nights of dedup, or two runs of one operation.

Both sides are read part by part and joined by key, a share of the keys at a time, so that memory stays
bounded whatever their size.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_dataset, arrow_readable
from batchsearch.errors import BatchsearchError, ConfigError
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import DEDUP_RECORD, SUMMARY, lanes_in, no_output, teller_of
from batchsearch.storage.parts.parquet_table import checked_parquet, reading
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.parts.results_and_hits import Column, table_schema
from batchsearch.storage.sealed.delivered import delivered_files
from batchsearch.storage.sealed.sealed_reading import readable_output
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTERS, PAIRS
from batchsearch.tasks.dedup.nights import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Kind = Literal["dedup", "run"]

ROWS_AT_ONCE: Final = 1_000_000
"""Rows of both sides together that are joined at a time."""

_TEXT, _REAL = pa.string(), pa.float64()

CHANGE_COLUMNS: Final = (
    Column("table", _TEXT, "pairs, clusters, results or hits."),
    Column("change", _TEXT, "new, gone, score, joined, left, moved, representative or outcome."),
    Column("name", _TEXT, "Row key; of pairs the first product, of clusters the member."),
    Column("other", _TEXT, "The second product; of hits the product found; of clusters the cluster's id."),
    Column("image", _TEXT, "Of hits the name of the image found."),
    Column("score_before", _REAL, "Score on the first side; null where there was none."),
    Column("score_after", _REAL, "Score on the second side."),
    Column("before", _TEXT, "What it was: an outcome, a cluster, a representative, accepted or not."),
    Column("after", _TEXT, "What it is."),
)
_NAMES: Final = [column.name for column in CHANGE_COLUMNS]


class NotComparableError(ConfigError):
    """Two folders do not hold the same kind of output."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two outputs.

    Attributes:
        folder: As given.
        kind: A night of dedup or a run.
        operation: Operation of a run, or of a dedup's search.
        keys: What names its rows: key columns of a run, columns of product and image of a dedup.
        label: The night or run, for people.
        tables: Files of each table, known to be what was sealed or written.
        warning: What to say of files for which nobody knows; empty when they were compared.
    """

    folder: Path
    kind: Kind
    operation: str
    keys: tuple[str, ...]
    label: str
    tables: Mapping[str, tuple[Path, ...]]
    warning: str = ""


def changes_schema() -> pa.Schema:
    """The columns of a diff."""
    return table_schema(CHANGE_COLUMNS, "diff", "2")


def open_side(folder: Path) -> Side:
    """What a folder holds.

    Raises:
        NotComparableError: It is neither the output of a run nor of a dedup.
        OutputDamagedError: Its files are not those that were sealed or written.
        OutputError: Its ledger cannot be read.
    """
    if (folder / PAIRS).is_dir() or (folder / DEDUP_RECORD).is_file():
        record = read_record(folder) or {}
        columns = record.get("columns") or {}
        names = tuple(str(columns[name]) for name in ("product", "pic_name", "picture") if columns.get(name))
        tables = {table: delivered_files(folder, table) for table in (PAIRS, CLUSTERS)}
        warning = (
            "" if record else f"{folder}: has no {DEDUP_RECORD}: whether its tables are whole is not known"
        )
        label = str(record.get("night") or folder)
        return Side(folder, "dedup", "SearchImageByPic", names, label, tables, warning)
    if (folder / RESULTS).is_dir() or lanes_in(folder):
        readable = readable_output(folder)
        job = _job_of(folder, readable.tables[RESULTS])
        operation = str(job.get("operation") or "")
        keys = tuple(job.get("manifest", {}).get("key", ())) if "manifest" in job else ()
        return Side(folder, "run", operation, keys, str(folder), readable.tables, readable.warning)
    if not folder.is_dir():
        raise NotComparableError(no_output(folder))
    raise NotComparableError(
        f"{folder}: has no `results` and no `pairs`; give the output folder of a run or of a dedup, or one "
        "of its `nights/`"
    )


def _job_of(folder: Path, results: Sequence[Path]) -> dict[str, Any]:
    """What a run's ledger or summary says of its job."""
    ledger = teller_of(folder)
    try:
        if ledger.is_file():
            with LedgerReader(ledger, oldest=1) as reader:
                text = reader.meta("job")
            if text is not None:
                return dict(json.loads(text))
        return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
    except (BatchsearchError, OSError, ValueError, TypeError):
        # An output that was copied without them can still be compared by what its parts say.
        for batch in _batches(results, ["operation"]):
            if len(batch):
                return {"operation": batch.column("operation")[0].as_py()}
        return {}


def check_comparable(a: Side, b: Side) -> None:
    """Refuse two sides whose rows do not mean the same.

    Raises:
        NotComparableError: Saying what differs.
    """
    words = {"dedup": "a night of dedup", "run": "a run"}
    if a.kind != b.kind:
        raise NotComparableError(
            f"{a.folder} is {words[a.kind]} and {b.folder} is {words[b.kind]}: compare two of one kind; the "
            "search of a dedup is in its folder `search`"
        )
    if a.operation and b.operation and a.operation != b.operation:
        raise NotComparableError(f"{a.folder} holds {a.operation} and {b.folder} holds {b.operation}")
    if a.keys and b.keys and a.keys != b.keys:
        raise NotComparableError(
            f"rows are named by {', '.join(a.keys)} in {a.folder} and by {', '.join(b.keys)} in {b.folder}"
        )


def changes(a: Side, b: Side, *, least: float) -> Iterator[pa.Table]:
    """Everything that differs, some at a time; columns as in `changes_schema`.

    Args:
        a: Before.
        b: After.
        least: Scores that differ by less than this count as equal.

    Raises:
        OutputError: A part cannot be read.
    """
    if a.kind == "dedup":
        for both in _joined(a, b, PAIRS, ["product_a", "product_b"], ["score", "accepted"]):
            yield _pair_changes(both, least)
        for both in _joined(a, b, CLUSTERS, ["product_id"], ["cluster_id"]):
            yield _member_changes(both)
        # One row a cluster: who stands for it is told by the cluster, whoever its members were.
        for both in _joined(a, b, CLUSTERS, ["cluster_id"], ["representative"], where="is_representative"):
            yield _representative_changes(both)
        return
    scored = a.operation == "CompareSimilarByImage"
    values = ["outcome", "error_code", *(["score"] if scored else [])]
    for both in _joined(a, b, RESULTS, ["row_key"], values):
        yield _row_changes(both, least, scored=scored)
    if a.operation.startswith("SearchImage"):
        for both in _joined(a, b, HITS, ["row_key", "product_id", "pic_name"], ["score"]):
            yield _hit_changes(both, least)


def _pair_changes(both: pd.DataFrame, least: float) -> pa.Table:
    was = both["accepted_a"].eq(True)
    now = both["accepted_b"].eq(True)
    change = _score_change(both, least, only=was & now)
    change[now & ~was] = "new"
    change[was & ~now] = "gone"
    words = {
        f"{side}": [
            _state(seen, accepted) for seen, accepted in zip(both["_seen"] != gone, flag, strict=True)
        ]
        for side, gone, flag in (("before", "right_only", was), ("after", "left_only", now))
    }
    return _table(
        both,
        "pairs",
        change,
        name=both["product_a"],
        other=both["product_b"],
        score_before=both["score_a"],
        score_after=both["score_b"],
        **words,
    )


def _state(seen: bool, accepted: bool) -> str | None:
    return None if not seen else "accepted" if accepted else "not accepted"


def _member_changes(both: pd.DataFrame) -> pa.Table:
    change = pd.Series("", index=both.index, dtype=object)
    both_sides = both["_seen"] == "both"
    change[both_sides & (both["cluster_id_a"] != both["cluster_id_b"])] = "moved"
    change[both["_seen"] == "right_only"] = "joined"
    change[both["_seen"] == "left_only"] = "left"
    other = both["cluster_id_b"].where(both["cluster_id_b"].notna(), both["cluster_id_a"])
    return _table(
        both,
        "clusters",
        change,
        name=both["product_id"],
        other=other,
        before=both["cluster_id_a"],
        after=both["cluster_id_b"],
    )


def _representative_changes(both: pd.DataFrame) -> pa.Table:
    """Clusters of both sides that another product stands for, by the product that it is now."""
    change = pd.Series("", index=both.index, dtype=object)
    differs = both["representative_a"] != both["representative_b"]
    change[(both["_seen"] == "both") & differs] = "representative"
    return _table(
        both,
        "clusters",
        change,
        name=both["representative_b"],
        other=both["cluster_id"],
        before=both["representative_a"],
        after=both["representative_b"],
    )


def _row_changes(both: pd.DataFrame, least: float, *, scored: bool) -> pa.Table:
    outcome = {
        side: both[f"error_code_{side}"].where(both[f"error_code_{side}"].notna(), both[f"outcome_{side}"])
        for side in ("a", "b")
    }
    in_both = both["_seen"] == "both"
    change = (
        _score_change(both, least, only=in_both) if scored else pd.Series("", index=both.index, dtype=object)
    )
    change[in_both & (outcome["a"] != outcome["b"])] = "outcome"
    change[both["_seen"] == "right_only"] = "new"
    change[both["_seen"] == "left_only"] = "gone"
    scores = {"score_before": both["score_a"], "score_after": both["score_b"]} if scored else {}
    return _table(
        both, "results", change, name=both["row_key"], before=outcome["a"], after=outcome["b"], **scores
    )


def _hit_changes(both: pd.DataFrame, least: float) -> pa.Table:
    change = _score_change(both, least, only=both["_seen"] == "both")
    change[both["_seen"] == "right_only"] = "new"
    change[both["_seen"] == "left_only"] = "gone"
    return _table(
        both,
        "hits",
        change,
        name=both["row_key"],
        other=both["product_id"],
        image=both["pic_name"],
        score_before=both["score_a"],
        score_after=both["score_b"],
    )


def _score_change(both: pd.DataFrame, least: float, *, only: pd.Series) -> pd.Series:
    change = pd.Series("", index=both.index, dtype=object)
    difference = (both["score_a"].astype("float64") - both["score_b"].astype("float64")).abs()
    change[only & (difference >= least)] = "score"
    return change


def _table(both: pd.DataFrame, table: str, change: pd.Series, **columns: Any) -> pa.Table:
    kept = (change != "").to_numpy()
    count = int(kept.sum())
    schema = changes_schema()
    values: dict[str, Any] = {"table": pa.repeat(table, count), "change": pa.array(change[kept], _TEXT)}
    for name, column in columns.items():
        cells = pd.Series(column, index=both.index)[kept]
        kind = schema.field(name).type
        values[name] = pa.array(cells.to_numpy(dtype=object), kind, from_pandas=True)
    arrays = [values.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _joined(
    a: Side, b: Side, table: str, keys: Sequence[str], values: Sequence[str], *, where: str | None = None
) -> Iterator[pd.DataFrame]:
    """Both sides by key, an outer join, a share of the keys at a time; `_seen` says which side has a row.

    Args:
        a: Before.
        b: After.
        table: What is joined.
        keys: Columns that name its rows.
        values: Columns that are compared.
        where: A column of true and false: only rows where it is true.
    """
    tables = [side.tables[table] for side in (a, b)]
    rows = sum(_row_count(files) for files in tables)
    shares = max(1, math.ceil(rows / ROWS_AT_ONCE))
    for share in range(shares):
        frames = [
            _share(files, [*keys, *values], share=(keys[0], share, shares), where=where) for files in tables
        ]
        yield frames[0].merge(frames[1], on=list(keys), how="outer", suffixes=("_a", "_b"), indicator="_seen")


def _share(
    files: Sequence[Path], columns: Sequence[str], *, share: tuple[str, int, int], where: str | None
) -> pd.DataFrame:
    """Rows whose key, the first of `share`, falls into one share of so many."""
    key, number, shares = share
    pieces = []
    for batch in _batches(files, columns, where):
        frame = pa.Table.from_batches([batch]).to_pandas()
        if shares > 1:
            hashed = pd.util.hash_array(frame[key].to_numpy(dtype=object), categorize=False)
            frame = frame[hashed % shares == number]
        if len(frame):
            pieces.append(frame)
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in columns})
    return pd.concat(pieces, ignore_index=True) if pieces else empty


def _row_count(files: Sequence[Path]) -> int:
    with reading(files[0].parent):
        return sum(pq.read_metadata(arrow_readable(path)).num_rows for path in files)


def _batches(
    files: Sequence[Path], columns: Sequence[str], where: str | None = None
) -> Iterator[pa.RecordBatch]:
    if not files:
        return
    with reading(files[0].parent):
        chosen = None if where is None else ds.field(where)
        found = arrow_dataset(files, checked_parquet())
        yield from found.to_batches(columns=list(columns), filter=chosen)


__all__ = [
    "CHANGE_COLUMNS",
    "NotComparableError",
    "Side",
    "changes",
    "changes_schema",
    "check_comparable",
    "open_side",
]
