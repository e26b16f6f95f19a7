"""Tables of an output folder, read batch by batch: memory holds one batch, whatever the table's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.storage.parts.former_columns import names_of_today
from batchsearch.storage.parts.parquet_table import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BATCH_ROWS: Final = 16_384


def columns_of(files: Sequence[Path]) -> tuple[str, ...]:
    """Names of the columns of a table, by its first file; none for a table without files.

    Raises:
        OutputError: The file cannot be read.
    """
    return tuple(names_of_today(_opened(files[0]).schema_arrow).values()) if files else ()


def rows_of(files: Sequence[Path]) -> int:
    """How many rows a table has, by its files' footers.

    Raises:
        OutputError: A file cannot be read.
    """
    return sum(_opened(path).metadata.num_rows for path in files)


def first_of(files: Sequence[Path], column: str) -> str | None:
    """The first value of a column of texts; None for a table without rows, or without the column.

    Raises:
        OutputError: A file cannot be read.
    """
    for batch in batches(files, [column]):
        if batch.num_rows:
            value = batch.column(0)[0].as_py()
            return value if isinstance(value, str) else None
    return None


def batches(files: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A table's rows in order, a few thousand at a time, with exactly the columns asked for.

    Args:
        files: The table's files.
        columns: Names; one that a file does not have comes as nulls (another version wrote it).

    Raises:
        OutputError: A file cannot be read, or a run has replaced it meanwhile.
    """
    for path in files:
        table = _opened(path)
        today = names_of_today(table.schema_arrow)
        present = [written for written, name in today.items() if name in columns]
        try:
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=present):
                yield _completed(batch.rename_columns([today[name] for name in batch.schema.names]), columns)
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OutputError(f"{path}: this part cannot be read: {reason_of(error)}") from error
        finally:
            table.close()


def _completed(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    arrays: list[Any] = []
    for name in columns:
        index = batch.schema.get_field_index(name)
        arrays.append(batch.column(index) if index >= 0 else pa.nulls(batch.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(arrow_readable(path), page_checksum_verification=True)
    except FileNotFoundError as error:
        raise OutputError(
            f"{path}: this part was replaced while the report was made; make the report again"
        ) from error
    except (OSError, pa.ArrowException, ValueError) as error:
        raise OutputError(f"{path}: this part cannot be read: {reason_of(error)}") from error
