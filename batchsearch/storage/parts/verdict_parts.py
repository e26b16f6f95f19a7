"""Verdicts of a check that is not over, in parts: what was looked at is not looked at again.

A part holds the verdicts of one shard of the manifest, batch by batch, each batch with a digest of what was
asked of it. A check that was stopped or killed finds its parts again, and takes those of them whose batches
are what they were. When all is there, the parts become `verdicts.parquet` and are gone.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.publish import disk_errors, make_folder, publishing
from batchsearch.storage.parts.fitting import fitting_of
from batchsearch.storage.parts.verdict_table import VerdictFile, verdicts_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PARTS_FOLDER: Final = "parts"
_LOCK: Final = "check.lock"
_BATCHES: Final = b"batchsearch.batches"
_ROWS_AT_ONCE: Final = 20_000


@dataclass(slots=True)
class ShardVerdicts:
    """The verdicts of one shard, as far as they are there.

    Attributes:
        batches: Digest of each batch, and how many verdicts it has.
        verdicts: All of them, in order.
    """

    batches: list[tuple[str, int]] = field(default_factory=list)
    verdicts: list[Mapping[str, Any]] = field(default_factory=list)

    def of_batch(self, number: int, digest: str) -> list[Mapping[str, Any]] | None:
        """The verdicts of a batch; None where there are none of just this one."""
        if number >= len(self.batches) or self.batches[number][0] != digest:
            return None
        start = sum(count for _, count in self.batches[:number])
        return self.verdicts[start : start + self.batches[number][1]]

    def add(self, digest: str, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Add a batch."""
        self.batches.append((digest, len(verdicts)))
        self.verdicts += verdicts


class VerdictParts:
    """The parts of one check.

    Args:
        folder: Folder of the check's `verdicts.parquet`; made when it is not there.
        max_age: Parts older than this are not taken, seconds.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path, *, max_age: float) -> None:
        self._folder = folder
        self.parts = folder / PARTS_FOLDER
        self.lock = self.parts / _LOCK
        self._oldest = time.time() - max_age
        self._schema = verdicts_schema()
        self._fitting = fitting_of(self._schema)
        self._written = 0
        with disk_errors(folder, "the verdicts cannot be written here"):
            make_folder(self.parts)

    def read(self, shard: int) -> ShardVerdicts:
        """What is known of a shard; a part that cannot be read is none."""
        path = self._path(shard)
        with suppress(OSError, pa.ArrowException, ValueError, KeyError, TypeError):
            if path.stat().st_mtime < self._oldest:
                return ShardVerdicts()
            table = pq.read_table(arrow_readable(path))
            batches = [
                (str(digest), int(count)) for digest, count in json.loads(table.schema.metadata[_BATCHES])
            ]
            if sum(count for _, count in batches) == table.num_rows:
                return ShardVerdicts(batches, table.to_pylist())
        return ShardVerdicts()

    def write(self, shard: int, known: ShardVerdicts) -> None:
        """Write a shard's part, whole or not at all, in the place of an earlier one.

        Raises:
            OutputError: The disk refuses.
        """
        # A number in a file's header may be more than any column holds: it costs that field, not the table.
        table = self._fitting.table(known.verdicts, self._schema).replace_schema_metadata(
            {**self._schema.metadata, _BATCHES: json.dumps(known.batches).encode()}
        )
        path = self._path(shard)
        with disk_errors(path, "the verdicts cannot be written"), publishing(path) as file:
            pq.write_table(table, file, compression="zstd")

    def join(self, shards: int) -> Path:
        """Make `verdicts.parquet` of all parts, in order, and remove them.

        Args:
            shards: How many there are.

        Returns:
            The file.

        Raises:
            OutputError: The disk refuses, or a part is gone.
        """
        with VerdictFile(self._folder) as file:
            for shard in range(shards):
                try:
                    for batch in _batches(self._path(shard)):
                        file.add_table(pa.Table.from_batches([batch]).cast(self._schema))
                except (OSError, pa.ArrowException) as error:
                    raise OutputError(
                        f"{self._path(shard)}: cannot be read: {error}; run the same command again"
                    ) from error
        self.forget()
        return file.path

    def forget(self) -> None:
        """Remove all parts."""
        for path in self.parts.glob("*.parquet"):
            path.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove the folder of the parts where it holds none."""
        if next(self.parts.glob("*.parquet"), None) is not None:
            return
        self.lock.unlink(missing_ok=True)
        with suppress(OSError):  # something of somebody else is in it
            self.parts.rmdir()

    def _path(self, shard: int) -> Path:
        return self.parts / f"{shard:08}.parquet"


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(arrow_readable(path)) as file:
        yield from file.iter_batches(_ROWS_AT_ONCE)
