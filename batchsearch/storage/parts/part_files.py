"""Parts: pairs of Parquet files that appear whole or not at all.

A part is written under a temporary name, synced, renamed, and its folder synced. It counts only once
the ledger has sealed it; `sealed` says what a killed run can have left behind.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa
import pyarrow.json as pj

from batchsearch import crash_points
from batchsearch.errors import OutputDamagedError, OutputError
from batchsearch.publish import disk_errors, make_folder
from batchsearch.storage.parts.fitting import PROBLEMS, counted, fitting_of
from batchsearch.storage.parts.parquet_table import reason_of, table_files, writing
from batchsearch.storage.sealed_part import SealedPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

RESULTS: Final = "results"
HITS: Final = "hits"
_PART_NAME: Final = re.compile(r"part-\d{6,}\.parquet(\.tmp)?")
_UNFIT: Final = (pa.ArrowException, ValueError, OSError, EOFError)
"""What an outcome can raise that does not fit; the last two are Arrow's for a record batch cut off."""


class Entry(Protocol):
    """An outcome as the ledger keeps it: JSON of results and hits, Arrow of the user's own."""

    @property
    def result(self) -> bytes:
        """One JSON object."""

    @property
    def hits(self) -> bytes:
        """One JSON object a line."""

    @property
    def carried(self) -> bytes:
        """An Arrow IPC record batch of one row."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    """An outcome whose fields all fit."""

    result: bytes
    hits: bytes
    carried: bytes


def part_name(number: int) -> str:
    """File name of the part with this number, from 1."""
    return f"part-{number:06d}.parquet"


def is_part(name: str) -> bool:
    """Whether a file is called as parts are, or as one that is being written."""
    return _PART_NAME.fullmatch(name) is not None


def part_number(name: str) -> int | None:
    """The number in a part's file name; None for other names, that of one being written among them."""
    return int(name[5:-8]) if is_part(name) and name.endswith(".parquet") else None


def table_from_json(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Read JSON lines into a table of exactly `schema`; absent fields are null."""
    if not lines.strip():
        return schema.empty_table()
    longest = max(len(lines), 1) + 1
    table = pj.read_json(
        pa.BufferReader(lines),
        read_options=pj.ReadOptions(use_threads=False, block_size=min(longest, 2**31 - 1)),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    return table.select(schema.names).cast(schema)


class PartWriter:
    """Writes parts of one output folder.

    Args:
        folder: The output folder; `results/` and `hits/` are made in it.
        results_schema: The whole of `results`: the manifest's own columns first.
        own_schema: The columns of `results` that come from the ledger's JSON.
        hits_schema: The columns of `hits`.
        carried_schema: The manifest's own columns as the ledger keeps them.

    Attributes:
        left_out: Fields that their columns could not hold: they are null in the parts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        results_schema: pa.Schema,
        own_schema: pa.Schema,
        hits_schema: pa.Schema,
        passthrough_schema: pa.Schema,
    ) -> None:
        self._folder = folder
        self._results_schema = results_schema
        self._own_schema = own_schema
        self._hits_schema = hits_schema
        self._carried_schema = passthrough_schema
        self._results_fitting = fitting_of(own_schema)
        self._hits_fitting = fitting_of(hits_schema)
        self.left_out = 0

    @property
    def folder(self) -> Path:
        """The folder that has `results/` and `hits/`."""
        return self._folder

    @property
    def schemas(self) -> tuple[pa.Schema, pa.Schema]:
        """The columns of `results` and of `hits`."""
        return self._results_schema, self._hits_schema

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: When they cannot be made.
        """
        with disk_errors(self._folder, "cannot make the output folder"):
            for name in (RESULTS, HITS):
                make_folder(self._folder / name)
                self._refuse_elsewhere(self._folder / name)

    def _refuse_elsewhere(self, folder: Path) -> None:
        """Refuse a folder that cannot be exchanged for another one beside it."""
        if folder.is_symlink() or folder.stat().st_dev != self._folder.stat().st_dev:
            raise OutputError(
                f"{folder}: is a link or a mount of its own, so it cannot be exchanged when outcomes are "
                "renewed; put the whole output folder there (`output.dir`)"
            )

    def write(self, name: str, chunks: Iterable[Sequence[Entry]]) -> SealedPart:
        """Write one part; on return both files are durable under their final names.

        Hits stand in the order of their rows. A part of no rows is a pair of files with columns only.

        Args:
            name: From `part_name`. A file of that name that no seal covers is replaced.
            chunks: The outcomes, each chunk small enough for memory.

        Raises:
            OutputDamagedError: What the ledger holds is no outcome; the message names it.
            OutputError: The disk refuses; nothing is left under a final name that is not whole.
        """
        kept = "; what was answered is kept in the ledger, running again writes it"
        what = f"part {name} cannot be written"
        with writing(self._folder, what, then=kept), table_files() as opened:
            results = opened(self._folder / RESULTS / name, self._results_schema)
            hits = opened(self._folder / HITS / name, self._hits_schema)
            for chunk in chunks:
                rows, found = self._converted(name, chunk)
                results.add(rows)
                if found.num_rows:
                    hits.add(found)
            results_sha256, hits_sha256 = results.sync(), hits.sync()
            hits.publish()
            crash_points.reached("part_between")
            results.publish()
        return SealedPart(name, results.rows, hits.rows, results_sha256, hits_sha256)

    def _converted(self, name: str, chunk: Sequence[Entry]) -> tuple[pa.Table, pa.Table]:
        """A chunk's rows of `results` and of `hits`."""
        try:
            return self._results_of(chunk), self._hits_of(chunk)
        except _UNFIT:
            fitted = [self._fitted(name, entry) for entry in chunk]
        try:
            return self._results_of(fitted), self._hits_of(fitted)
        except _UNFIT as error:
            raise OutputError(
                f"{self._folder}: part {name} cannot be written: its outcomes together: {reason_of(error)}; "
                "all outcomes are kept in the ledger; please report this with the message"
            ) from error

    def _fitted(self, name: str, entry: Entry) -> Entry:
        """An outcome as its columns can hold it: what they cannot is null, and counted."""
        try:
            self._results_of([entry])
            self._hits_of([entry])
        except _UNFIT:
            pass
        else:
            return entry
        try:
            values, lines = _read(entry)
        except (ValueError, KeyError, TypeError) as error:
            raise OutputDamagedError(
                f"{self._folder}: part {name} cannot be written: the outcome of row {_row_key(entry)}: "
                f"{reason_of(error)}; the ledger is damaged there; put it back from a copy, or see "
                "`batchsearch recover --help`"
            ) from error
        key = values["row_key"]
        found = [self._hits_fitting.fitted(line) for line in lines]
        carried, lost = self._carried_of(entry)
        result, dropped = self._results_fitting.fitted(values)
        left_out = len(dropped) + lost + sum(len(names) for _, names in found)
        self.left_out += left_out
        result[PROBLEMS] = counted(result.get(PROBLEMS), left_out)
        kept = [{"row_key": key} | line for line, _ in found]
        return _Fitted(_json(result), b"".join(_json(line) + b"\n" for line in kept), carried)

    def _carried_of(self, entry: Entry) -> tuple[bytes, int]:
        """The manifest's own columns of an outcome; nulls, and how many, where they cannot be read."""
        try:
            pa.ipc.read_record_batch(pa.py_buffer(entry.carried), self._carried_schema)
        except _UNFIT:
            nulls = [pa.nulls(1, field.type) for field in self._carried_schema]
            batch = pa.RecordBatch.from_arrays(nulls, schema=self._carried_schema)
            return batch.serialize().to_pybytes(), len(nulls)
        return entry.carried, 0

    def _results_of(self, chunk: Sequence[Entry]) -> pa.Table:
        own = table_from_json(b"\n".join(entry.result for entry in chunk), self._own_schema)
        batches = [
            pa.ipc.read_record_batch(pa.py_buffer(entry.carried), self._carried_schema) for entry in chunk
        ]
        carried = pa.Table.from_batches(batches, self._carried_schema)
        if not own.num_rows == carried.num_rows == len(chunk):
            raise ValueError(
                f"{len(chunk)} outcomes became {own.num_rows} rows and {carried.num_rows} manifest rows"
            )
        # Together, so that the outcomes' own memory can go before the row group is written.
        return pa.Table.from_arrays(
            [*carried.combine_chunks().columns, *own.columns], schema=self._results_schema
        )

    def _hits_of(self, chunk: Sequence[Entry]) -> pa.Table:
        lines = b"".join(entry.hits for entry in chunk)
        found = table_from_json(lines, self._hits_schema)
        expected = lines.count(b"\n")
        if found.num_rows != expected:
            raise ValueError(f"{expected} hits became {found.num_rows} rows")
        return found


def _row_key(entry: Entry) -> str:
    try:
        return repr(json.loads(entry.result)["row_key"])
    except (ValueError, KeyError, TypeError):
        return "(its key cannot be read)"


def _read(entry: Entry) -> tuple[dict[str, object], list[dict[str, object]]]:
    """An outcome's result and hits; raises what JSON raises, or TypeError where it is none."""
    values = json.loads(entry.result)
    lines = [json.loads(line) for line in entry.hits.splitlines()]
    if not isinstance(values["row_key"], str) or not all(isinstance(line, dict) for line in lines):
        raise TypeError("it is no outcome")
    return values, lines


def _json(values: Mapping[str, object]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")
