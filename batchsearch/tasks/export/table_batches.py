"""Tables of an output, read in bounded memory: batch by batch, and some rows by what names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.arrow_values import python_values
from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.storage.parts.former_columns import names_of_today
from batchsearch.storage.parts.parquet_table import reading, reason_of
from batchsearch.storage.parts.passthrough_types import as_text, conformed_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH_ROWS: Final = 4_096


def schema_of(files: Sequence[Path]) -> pa.Schema:
    """The columns of a table, by its last file: the newest; without columns where there is no file.

    Raises:
        OutputError: The file cannot be read.
    """
    if not files:
        return pa.schema([])
    with _opened(files[-1]) as file:
        schema = file.schema_arrow
        fields = zip(schema, names_of_today(schema).values(), strict=True)
        return pa.schema([field.with_name(name) for field, name in fields], metadata=schema.metadata)


def rows_of(files: Sequence[Path]) -> int:
    """How many rows a table has, by its files' footers.

    Raises:
        OutputError: A file cannot be read.
    """
    total = 0
    for path in files:
        with _opened(path) as file:
            total += file.metadata.num_rows
    return total


def batches(files: Sequence[Path], schema: pa.Schema, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """A table's rows in order, with exactly these columns; one that a file does not have comes as nulls.

    Raises:
        OutputError: A file cannot be read, or a run has replaced it meanwhile.
    """
    for path in files:
        with _opened(path) as file:
            today = names_of_today(file.schema_arrow)
            present = [written for written, name in today.items() if name in schema.names]
            with reading(path):
                for batch in file.iter_batches(batch_size=rows, columns=present):
                    named = batch.rename_columns([today[name] for name in batch.schema.names])
                    yield conformed_batch(named, schema)


class Lookup:
    """Finds rows of a table by the text of one column: a whole look at that column for many rows at once.

    Args:
        files: The table's files.
        key: The column.
        schema: Columns that are wanted of the rows found; at least one.
    """

    def __init__(self, files: Sequence[Path], key: str, schema: pa.Schema) -> None:
        self._files = files
        self._key = key
        self._schema = schema

    def find(
        self, keys: Sequence[str | None], *, prefer: str | None = None, wanted: Sequence[str | None] = ()
    ) -> pa.Table:
        """For each key the first row that has it, or a row of nulls.

        Args:
            keys: What the column is to hold, in any order, also several times.
            prefer: A column; of several rows the first that holds there what `wanted` says is taken.
            wanted: For each key.

        Raises:
            OutputError: A file cannot be read.
        """
        found: list[pa.Table] = []
        first: dict[str, int] = {}
        exact: dict[tuple[str, str], int] = {}
        wishes = set(zip(keys, wanted, strict=True)) if prefer is not None else set()
        value_set = pa.array(list({key for key in keys if key is not None}), pa.string())
        rows = 0
        for batch, names, second_names in self._matching(value_set, prefer):
            taken: list[int] = []
            for place, key in enumerate(names):
                second = None if second_names is None else second_names[place]
                is_exact = (key, second) in wishes and (key, second) not in exact and second is not None
                if key in first and not is_exact:
                    continue
                position = rows + len(taken)
                taken.append(place)
                first.setdefault(key, position)
                if is_exact and second is not None:
                    exact[key, second] = position
            if taken:
                found.append(pa.Table.from_batches([batch.take(pa.array(taken, pa.int64()))]))
                rows += len(taken)
        whole = pa.concat_tables(found) if found else self._schema.empty_table()
        seconds: Sequence[str | None] = wanted if prefer is not None else [None] * len(keys)
        places = [
            None if key is None else exact.get((key, second or ""), first.get(key))
            for key, second in zip(keys, seconds, strict=True)
        ]
        if not rows:
            columns = [pa.nulls(len(keys), field.type) for field in self._schema]
            return pa.Table.from_arrays(columns, schema=self._schema)
        return whole.combine_chunks().take(pa.array(places, pa.int64()))

    def _matching(
        self, value_set: pa.Array, prefer: str | None
    ) -> Iterator[tuple[pa.RecordBatch, list[str], list[str | None] | None]]:
        """Rows whose key is among the values, with the texts of key and preference."""
        if len(value_set) == 0:
            return
        looked_at = [self._key] if prefer is None else [self._key, prefer]
        for path in self._files:
            with _opened(path) as file:
                names = file.schema_arrow.names
                if self._key not in names:
                    continue
                columns = list(dict.fromkeys([self._key, *(n for n in self._schema.names if n in names)]))
                with reading(path):
                    for group in range(file.num_row_groups):
                        there = [name for name in looked_at if name in names]
                        seen = file.read_row_group(group, columns=there)
                        mask = pc.is_in(_texts(seen[self._key]), value_set=value_set)
                        if not pc.any(mask).as_py():
                            continue
                        keys = _texts(seen[self._key]).filter(mask)
                        second = _texts(seen[prefer]).filter(mask) if prefer in there and prefer else None
                        del seen
                        table = self._of_group(file, group, columns, mask)
                        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
                            count = batch.num_rows
                            yield (
                                conformed_batch(batch, self._schema),
                                keys.slice(0, count).to_pylist(),
                                None if second is None else second.slice(0, count).to_pylist(),
                            )
                            keys = keys.slice(count)
                            second = None if second is None else second.slice(count)

    @staticmethod
    def _of_group(file: pq.ParquetFile, group: int, columns: list[str], mask: Any) -> pa.Table:
        """The rows of a row group that are wanted, a batch of it in memory at a time."""
        parts, done = [], 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group], columns=columns):
            here = mask.slice(done, batch.num_rows)
            here = here.combine_chunks() if isinstance(here, pa.ChunkedArray) else here
            parts.append(batch.filter(here))
            done += batch.num_rows
        return pa.Table.from_batches(parts)


def _texts(column: Any) -> pa.ChunkedArray:
    """A column as text, as keys and product ids are compared."""
    if pa.types.is_string(column.type):
        return column
    return pa.chunked_array([as_text(chunk) for chunk in column.chunks], pa.string())


def texts(batch: pa.RecordBatch, column: str) -> list[str | None]:
    """A column of a batch as texts."""
    found = batch.column(column)
    listed: list[str | None] = (found if pa.types.is_string(found.type) else as_text(found)).to_pylist()
    return listed


def values(column: pa.Array) -> list[Any]:
    """A column as Python values; as text where Python has none, as for a year beyond its calendar."""
    try:
        found = python_values(column)
    except (ValueError, OverflowError, pa.ArrowException):
        found = as_text(column).to_pylist()
    return found


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(arrow_readable(path), page_checksum_verification=True, pre_buffer=False)
    except FileNotFoundError as error:
        raise OutputError(f"{path}: was replaced meanwhile; export again") from error
    except (OSError, pa.ArrowException, ValueError) as error:
        raise OutputError(f"{path}: cannot be read: {reason_of(error)}") from error
