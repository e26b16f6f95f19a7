"""Parts: pairs of Parquet files that appear whole or not at all.

A part is written under a temporary name, synced, renamed, and its folder synced. It counts only once
the ledger has sealed it; `remove_unsealed` clears away what a killed run left behind.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

RESULTS: Final = "results"
HITS: Final = "hits"
_PART_NAME: Final = re.compile(r"part-\d{6,}\.parquet(\.tmp)?")
_ROW_GROUP_BYTES: Final = 32 * 1024 * 1024
_ROW_GROUP_ROWS: Final = 100_000


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
class WrittenPart:
    """What was written: counts of rows, and the files' SHA-256 as lower-case hexadecimal text."""

    name: str
    rows: int
    hits: int
    results_sha256: str
    hits_sha256: str


def part_name(number: int) -> str:
    """File name of the part with this number, from 1."""
    return f"part-{number:06d}.parquet"


def table_from_json(lines: bytes, schema: pa.Schema) -> pa.Table:
    """Read JSON lines into a table of exactly `schema`; absent fields are null."""
    if not lines.strip():
        return schema.empty_table()
    longest = max(len(lines), 1) + 1
    table = pj.read_json(
        io.BytesIO(lines),
        read_options=pj.ReadOptions(use_threads=False, block_size=min(longest, 2**31 - 1)),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
    )
    return table.select(schema.names).cast(schema)


class _Table:
    """One Parquet file being written: small tables in, row groups of a sensible size out."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._temporary = path.with_name(path.name + ".tmp")
        self._file = self._temporary.open("wb")
        self._writer = pq.ParquetWriter(self._file, schema, compression="zstd")

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._bytes += table.nbytes
        self.rows += table.num_rows
        if self._bytes >= _ROW_GROUP_BYTES or sum(t.num_rows for t in self._waiting) >= _ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting, self._bytes = [], 0

    def sync(self) -> str:
        """Put everything on disk under the temporary name; the file's SHA-256."""
        self._flush()
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        with self._temporary.open("rb") as written:
            return hashlib.file_digest(written, "sha256").hexdigest()

    def publish(self) -> None:
        self._temporary.replace(self.path)
        sync_folder(self.path.parent)

    def abandon(self) -> None:
        with suppress(Exception):
            self._writer.close()
        self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class PartWriter:
    """Writes parts of one output folder.

    Args:
        folder: The output folder; `results/` and `hits/` are made in it.
        results_schema: The whole of `results`: the manifest's own columns first.
        own_schema: The columns of `results` that come from the ledger's JSON.
        hits_schema: The columns of `hits`.
        carried_schema: The manifest's own columns as the ledger keeps them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        results_schema: pa.Schema,
        own_schema: pa.Schema,
        hits_schema: pa.Schema,
        carried_schema: pa.Schema,
    ) -> None:
        self._folder = folder
        self._results_schema = results_schema
        self._own_schema = own_schema
        self._hits_schema = hits_schema
        self._carried_schema = carried_schema

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            OutputError: When they cannot be made.
        """
        try:
            for name in (RESULTS, HITS):
                (self._folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self._folder}: cannot make the output folder: {error.strerror}") from error

    def remove_unsealed(self, sealed: Collection[str]) -> list[str]:
        """Remove parts that no seal covers, and temporary files; the names removed."""
        removed = []
        for name in (RESULTS, HITS):
            for path in sorted((self._folder / name).iterdir()):
                if _PART_NAME.fullmatch(path.name) and path.name not in sealed:
                    path.unlink()
                    removed.append(f"{name}/{path.name}")
        return removed

    def write(self, name: str, chunks: Iterable[Sequence[Entry]]) -> WrittenPart:
        """Write one part; on return both files are durable under their final names.

        Raises:
            OutputError: When the disk refuses; nothing is left under a final name that is not whole.
        """
        tables: list[_Table] = []
        try:
            results = _Table(self._folder / RESULTS / name, self._results_schema)
            tables.append(results)
            hits = _Table(self._folder / HITS / name, self._hits_schema)
            tables.append(hits)
            for chunk in chunks:
                results.add(self._results_of(chunk))
                found = b"".join(entry.hits for entry in chunk)
                if found:
                    hits.add(table_from_json(found, self._hits_schema))
            results_sha256, hits_sha256 = results.sync(), hits.sync()
            hits.publish()
            results.publish()
        except BaseException as error:
            for table in tables:
                table.abandon()
            if isinstance(error, OSError):
                raise OutputError(
                    f"{self._folder}: part {name} cannot be written: {error.strerror or error}; "
                    "what was answered is kept in the ledger, running again writes it"
                ) from error
            raise
        return WrittenPart(name, results.rows, hits.rows, results_sha256, hits_sha256)

    def _results_of(self, chunk: Sequence[Entry]) -> pa.Table:
        own = table_from_json(b"\n".join(entry.result for entry in chunk), self._own_schema)
        batches = [
            pa.ipc.read_record_batch(pa.py_buffer(entry.carried), self._carried_schema) for entry in chunk
        ]
        carried = pa.Table.from_batches(batches, self._carried_schema)
        return pa.Table.from_arrays([*carried.columns, *own.columns], schema=self._results_schema)
