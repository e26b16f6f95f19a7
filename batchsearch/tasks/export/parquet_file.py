"""An export as one Parquet file: the columns of the other two forms with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.arrow_values import size_of

if TYPE_CHECKING:
    from pathlib import Path

_GROUP_ROWS: Final = 65_536
_GROUP_BYTES: Final = 32 * 1024 * 1024


class ParquetFile:
    """Writes rows as Parquet, in row groups of some ten thousand rows.

    Args:
        path: Where it is written.
        schema: Its columns.
        name: What the table is called.

    Attributes:
        rows: How many were written.
    """

    def __init__(self, path: Path, schema: pa.Schema, name: str) -> None:
        self._schema = schema.with_metadata({"batchsearch.table": f"export.{name}"})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Write some rows."""
        self._waiting.append(batch.replace_schema_metadata(self._schema.metadata))
        self._waiting_rows += len(batch)
        self._waiting_bytes += size_of(batch)
        self.rows += len(batch)
        if self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._waiting_rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def finish(self) -> list[str]:
        """Nothing more comes; there is nothing to say of the file."""
        self._flush()
        self._writer.close()
        return []
