"""Every sealed file read once: its checksum, its columns, its rows as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.arrow_values import whole_numbers
from batchsearch.disk_paths import arrow_readable
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.parts.parquet_table import damage_of, reason_of
from batchsearch.storage.parts.part_files import HITS as HITS_FOLDER
from batchsearch.storage.parts.part_files import RESULTS as RESULTS_FOLDER
from batchsearch.storage.parts.results_and_hits import (
    RESULT_COLUMNS,
    SCHEMA_VERSION,
    hits_schema,
    own_results_schema,
)
from batchsearch.tasks.verify.row_comparison import EARLIER_SHIFT, NO_COUNT
from batchsearch.tasks.verify.row_records import HITS, RESULTS, marked, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.verify.findings import Findings
    from batchsearch.tasks.verify.layout import Reading
    from batchsearch.tasks.verify.ledger_view import Codes
    from batchsearch.tasks.verify.row_records import SortedRecords

_ROWS_AT_ONCE: Final = 16_384
_PART_SHIFT: Final = 40
_VERSION_KEY: Final = b"batchsearch.schema_version"
_RESULT_COLUMNS: Final = ["row_key", "outcome", "error_code", "error_origin"]
_UNREADABLE: Final = (OSError, pa.ArrowException, ValueError, KeyError)
_MOST_COLUMNS: Final = 5


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the parts hold.

    Attributes:
        rows: Rows of results that readers see.
        hits: Rows of hits that they see.
        staged: Renewed outcomes that they do not see yet.
        unread: Rows of files that could not be read.
    """

    rows: int
    hits: int
    staged: int
    unread: int


class PartsScan:
    """Reads the sealed parts of one output folder.

    Args:
        folder: The output folder.
        operation: Operation of the job, whose columns are expected; None when it is not known.
        parts: The sealed parts and where they are.
    """

    def __init__(self, folder: Path, operation: str | None, parts: Sequence[Reading]) -> None:
        self._folder = folder
        self._parts = parts
        own = own_results_schema(operation) if operation in RESULT_COLUMNS else None
        self._expected = {RESULTS_FOLDER: own, HITS_FOLDER: hits_schema()}
        self._first: dict[str, tuple[str, pa.Schema]] = {}

    def run(self, records: SortedRecords, codes: Codes, findings: Findings) -> Scanned:
        """Read everything; what is wrong with a file goes into the findings."""
        rows = hits = staged = unread = 0
        for number, part in enumerate(self._parts):
            results = part.results if self._is_sound(RESULTS_FOLDER, part, findings) else None
            found = part.hits if part.hits and self._is_sound(HITS_FOLDER, part, findings) else None
            if part.source is None:
                continue
            counted = self._results(
                number, results, records, source=part.source, codes=codes, findings=findings
            )
            unread += part.part.rows if counted is None else 0
            if part.source != RESULTS:
                staged += counted or 0
                continue
            rows += counted or 0
            counted = self._hits(number, found, records, findings)
            hits += counted or 0
            unread += part.part.rows if counted is None else 0
        return Scanned(rows, hits, staged, unread)

    def key_at(self, place: int) -> str:
        """The row key at a place of the results, for messages."""
        part = self._parts[place >> _PART_SHIFT]
        row, seen = place & ((1 << _PART_SHIFT) - 1), 0
        with pq.ParquetFile(arrow_readable(part.results)) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["row_key"]):
                if row < seen + batch.num_rows:
                    return str(batch.column(0)[row - seen].as_py())
                seen += batch.num_rows
        raise IndexError(place)

    def name_at(self, place: int, folder: str) -> str:
        """The file that a place is in, for messages."""
        part = self._parts[place >> _PART_SHIFT]
        return self._name(part.results if folder == RESULTS_FOLDER else part.hits or part.results)

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _is_sound(self, folder: str, part: Reading, findings: Findings) -> bool:
        """Whether a file can be read; its facts are compared with the seal."""
        if folder == RESULTS_FOLDER:
            path, rows, sealed = part.results, part.part.rows, part.part.results_sha256
        else:
            path, rows, sealed = part.hits or part.results, part.part.hits, part.part.hits_sha256
        name = self._name(path)
        if not path.exists():
            findings.add("part_missing", name, f"was sealed with {rows:,} rows")
            return False
        damage = damage_of(path, rows)
        try:
            found = sha256_of(path)
            schema = pq.read_schema(arrow_readable(path))
        except _UNREADABLE as error:
            findings.add("part_unreadable", name, damage or reason_of(error))
            return False
        if found != sealed:
            findings.add("part_changed", name, f"was sealed as {sealed[:12]}…, is {found[:12]}…")
        if damage is not None:
            findings.add("part_rows", name, damage)
        self._compare_schema(folder, name, schema, part.source, findings)
        return True

    def _compare_schema(
        self, folder: str, name: str, schema: pa.Schema, source: int | None, findings: Findings
    ) -> None:
        expected = self._expected[folder]
        found = {field.name: field.type for field in schema}
        version = (schema.metadata or {}).get(_VERSION_KEY)
        if version is None:
            findings.add("part_schema", name, "does not say which version of batchsearch wrote it")
            return
        # An older version's columns are its own business; its parts must agree with one another all the same.
        if expected is not None and version == SCHEMA_VERSION.encode():
            wrong = [
                f"{field.name} is {found[field.name]}, must be {field.type}"
                for field in expected
                if found.get(field.name, field.type) != field.type
            ]
            absent = [field.name for field in expected if field.name not in found]
            if wrong:
                findings.add("part_schema", name, "; ".join(wrong[:_MOST_COLUMNS]))
                return
            if absent:
                findings.add("part_older", name, f"has no {', '.join(absent[:_MOST_COLUMNS])}")
                return
        if source is None:
            # What is past keeps the columns that it had; they may have been others on another night.
            return
        first, pattern = self._first.setdefault(f"{folder}/{version!r}", (name, schema))
        if not schema.equals(pattern):
            findings.add("part_schema", name, f"has other columns than {first}")

    def _results(
        self,
        number: int,
        path: Path | None,
        records: SortedRecords,
        *,
        source: int,
        codes: Codes,
        findings: Findings,
    ) -> int | None:
        """Rows of a file of results, handed on as records; None when it cannot be read."""
        if path is None:
            return None
        name, seen = self._name(path), 0
        try:
            with pq.ParquetFile(arrow_readable(path)) as file:
                there = [
                    name for name in ("hit_count", "earlier_outcomes") if name in file.schema_arrow.names
                ]
                columns = [*_RESULT_COLUMNS, *there]
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
                    place = (number << _PART_SHIFT) + seen
                    records.add(_result_records(source, batch.select(columns), place, codes))
                    _compare_outcomes(batch.select(columns), name, findings)
                    seen += batch.num_rows
        except _UNREADABLE as error:
            findings.add("part_unreadable", name, reason_of(error))
            return None
        return seen

    def _hits(self, number: int, path: Path | None, records: SortedRecords, findings: Findings) -> int | None:
        """Rows of a file of hits, likewise."""
        if path is None:
            return None
        seen = 0
        try:
            with pq.ParquetFile(arrow_readable(path)) as file:
                for batch in file.iter_batches(4 * _ROWS_AT_ONCE, columns=["row_key", "rank"]):
                    if batch.num_rows:
                        records.add(_hit_records(batch.select(["row_key", "rank"]), number << _PART_SHIFT))
                    seen += batch.num_rows
        except _UNREADABLE as error:
            findings.add("part_unreadable", self._name(path), reason_of(error))
            return None
        return seen


def _digests(keys: pa.Array) -> list[bytes]:
    return [digest_of(key) for key in _present(keys)]


def _present(keys: pa.Array) -> Iterator[str]:
    for key in keys.to_pylist():
        if key is None:
            raise ValueError("a row has no `row_key`")
        yield key


def _result_records(source: int, batch: pa.RecordBatch, place: int, codes: Codes) -> NDArray[Any]:
    places = np.arange(place, place + batch.num_rows, dtype=np.uint64)
    counts = _numbers(batch, "hit_count", NO_COUNT)
    earlier = _numbers(batch, "earlier_outcomes", 0)
    failed = [batch.column(2).to_pylist(), batch.column(3).to_pylist()]
    numbers = np.array([codes.number(*pair) for pair in zip(*failed, strict=True)], np.uint64)
    return records_of(source, _digests(batch.column(0)), places, numbers | (earlier << EARLIER_SHIFT), counts)


def _numbers(batch: pa.RecordBatch, name: str, missing: int) -> NDArray[np.uint64]:
    """A column of counts; `missing` where there is none."""
    if name not in batch.schema.names:
        return np.full(batch.num_rows, missing, np.uint64)
    return whole_numbers(batch.column(name), missing).astype(np.uint64)


def _compare_outcomes(batch: pa.RecordBatch, name: str, findings: Findings) -> None:
    is_ok = pc.fill_null(pc.equal(batch.column(1), "ok"), fill_value=False)
    is_failed = pc.fill_null(pc.equal(batch.column(1), "failed"), fill_value=False)
    coded = batch.column(2).is_valid()
    fits = pc.or_(pc.and_(is_ok, pc.invert(coded)), pc.and_(is_failed, coded))
    wrong = pc.indices_nonzero(pc.invert(fits)).to_pylist()
    shown = wrong[: findings.room_for("outcome_differs")]
    for index in shown:
        outcome, code = batch.column(1)[index].as_py(), batch.column(2)[index].as_py()
        findings.add(
            "outcome_differs",
            f"{name}: {batch.column(0)[index].as_py()}",
            f"outcome {outcome!r}, code {code!r}",
        )
    findings.count_only("outcome_differs", len(wrong) - len(shown))


def _hit_records(batch: pa.RecordBatch, place: int) -> NDArray[Any]:
    """One record for each stretch of hits of one row: a row's hits stand together."""
    keys = batch.column(0)
    new = np.ones(batch.num_rows, np.bool_)
    if batch.num_rows > 1:
        differs = pc.not_equal(keys.slice(1), keys.slice(0, batch.num_rows - 1))
        new[1:] = pc.fill_null(differs, fill_value=True).to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(new)
    ranks = pc.fill_null(batch.column(1).cast(pa.int64()), 0).to_numpy(zero_copy_only=False).astype(np.uint64)
    sizes = np.diff(np.append(starts, batch.num_rows)).astype(np.uint64)
    sums = np.add.reduceat(marked(ranks), starts)
    return records_of(HITS, _digests(keys.take(pa.array(starts))), place, sizes, sums)
