"""Parquet files as record batches, with the row group in every message."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.columns import (
    bad_text,
    cell,
    has_path,
    is_picture_struct,
    normal_type,
    normalised,
    without,
)
from batchsearch.manifest.remote_file import LostError, RemoteFile, arrow_source
from batchsearch.manifest.table_file import PIECE_BYTES, UnreadableError, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.manifest.remote_file import ManifestPath
    from batchsearch.manifest.table_file import Report, Wished

_MOST_ROWS: Final = 8 * 1024
_REPEATED_BYTES: Final = 1024 * 1024
"""How large a value of a column's dictionary is taken to be, at most: a picture of a usual size."""
_READING: Final[dict[str, Any]] = {"pre_buffer": False, "buffer_size": 256 * 1024}
"""How column data comes in: a quarter of a mebibyte of each column at a time. Arrow's default fetches whole
row groups ahead and keeps them until the file is closed, pictures and all. What remains is a page and the
dictionary of each column: writers end a page after a thousand rows or so, and with their row groups."""
_REMOTE_BUFFER: Final = 1024 * 1024
"""The same from a store, where every piece is a request."""


class ParquetFile:
    """One Parquet file, its footer read."""

    def __init__(self, path: ManifestPath) -> None:
        """Reads the footer.

        Raises:
            ManifestError: The file cannot be opened, is no Parquet file or has a column name twice.
        """
        self.path = path
        try:
            with pq.ParquetFile(arrow_source(path), **_READING) as file:
                metadata, texts = file.metadata, _texts(file.schema)
                fields = [(field.name, field.type) for field in file.schema_arrow]
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ManifestError([Problem(str(path), _unopenable(path, error))]) from None
        names = [name for name, _ in fields]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ManifestError([Problem(str(path), f"has the column {cell(twice[0])} twice; rename one")])
        self.schema = pa.schema(fields)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        self._ends = list(accumulate(group.num_rows for group in groups))
        self._sizes = [_row_bytes(group, texts) for group in groups]

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        leaves = [f"{column.name}.path" if column.path_only else column.name for column in wished]
        seen = 0
        try:
            with self._opened() as file:
                for batch in file.iter_batches(self._rows_at_once(leaves), columns=leaves, use_threads=False):
                    yield self._normalised(batch, wished, report, seen)
                    seen += batch.num_rows
        except LostError as error:
            raise UnreadableError(seen, str(error.strerror)) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UnreadableError(seen, f"cannot be read from here on: {short(error)}") from None
        expected = self._ends[-1] if self._ends else 0
        if seen != expected:
            raise UnreadableError(seen, f"ends here; its footer promises {expected:,} rows")

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`: every row is given."""
        return position

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        last = len(self._ends) - 1
        return {
            row: f"row {row + 1} (row group {min(bisect_right(self._ends, row), last) + 1})" for row in rows
        }

    def _opened(self) -> Any:
        options = dict(_READING)
        if isinstance(self.path, RemoteFile):
            options["buffer_size"] = _REMOTE_BUFFER
        return pq.ParquetFile(arrow_source(self.path), **options, page_checksum_verification=True)

    def _rows_at_once(self, leaves: Sequence[str]) -> int:
        """Rows whose columns take about `PIECE_BYTES` in the widest row group."""
        widest = 1.0
        for sizes in self._sizes:
            size = sum(
                bytes_
                for path, bytes_ in sizes.items()
                if any(path == leaf or path.startswith(f"{leaf}.") for leaf in leaves)
            )
            widest = max(widest, size)
        return max(1, min(_MOST_ROWS, int(PIECE_BYTES / widest)))

    def _normalised(
        self, batch: pa.RecordBatch, wished: Sequence[Wished], report: Report, seen: int
    ) -> pa.RecordBatch:
        arrays = []
        for column in wished:
            array = batch.column(column.name)
            if column.path_only:
                array = pc.struct_field(array, "path")
            if is_picture_struct(column.type) and has_path(array.type):
                self._valid(normalised(pc.struct_field(array, "path"), pa.string()), column, report, seen)
            elif pa.types.is_string(normal_type(array.type)):
                text = normalised(array, pa.string())
                valid = self._valid(text, column, report, seen)
                array = array if valid is text else valid
            arrays.append(normalised(array, column.type))
        return pa.record_batch(arrays, names=[column.name for column in wished])

    def _valid(self, array: pa.Array, column: Wished, report: Report, seen: int) -> pa.Array:
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            bad = bad_text(array)
            for index in bad:
                report(seen + index, f"column `{column.name}` is not UTF-8 text")
            return without(array.cast(pa.binary()), bad).cast(pa.string())
        return array


def _row_bytes(group: Any, texts: frozenset[str]) -> dict[str, float]:
    """About how many bytes a row of a row group takes in each column, by the column's path in the schema.

    Many rows may have one and the same large value, a picture that stands once in the column's dictionary:
    each may then take as much as the whole dictionary, or `_REPEATED_BYTES` where many share a large one.
    """
    found = {}
    for number in range(group.num_columns):
        column = group.column(number)
        path = column.path_in_schema
        size = column.total_uncompressed_size / max(group.num_rows, 1)
        if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page and path not in texts:
            dictionary = column.data_page_offset - column.dictionary_page_offset
            size = max(size, min(dictionary, _REPEATED_BYTES))
        found[path] = size
    return found


def _texts(schema: Any) -> frozenset[str]:
    """Paths of the columns that are text."""
    columns = (schema.column(number) for number in range(len(schema)))
    return frozenset(column.path for column in columns if column.logical_type.type == "STRING")


def _unopenable(path: ManifestPath, error: Exception) -> str:
    if isinstance(error, LostError | PermissionError | FileNotFoundError):
        return f"cannot be read: {error.strerror or short(error)}"
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as unreadable:
        return f"cannot be read: {unreadable.strerror}"
    if begins != b"PAR1":
        return "is not a Parquet file; if it is CSV, set `manifest.format: csv`"
    return f"is a damaged or unfinished Parquet file: {short(error)}"
