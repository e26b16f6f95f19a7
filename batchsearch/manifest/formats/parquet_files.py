"""Parquet files as record batches, with the row group in every message."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import cell
from batchsearch.manifest.formats.parquet_bounds import (
    MOST_ROWS,
    group_bounds,
    leaves_below,
    longest_entry,
    pieces_of,
)
from batchsearch.manifest.formats.table_file import EveryRow, UnreadableError, short
from batchsearch.manifest.formats.typed_columns import fitted_batch
from batchsearch.manifest.remote_file import LostError, RemoteFile, arrow_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from batchsearch.manifest.formats.parquet_bounds import GroupBounds, Leaf
    from batchsearch.manifest.formats.table_file import AnyOf, Report, Wished
    from batchsearch.manifest.remote_file import ManifestPath

_READING: Final[dict[str, Any]] = {"pre_buffer": False, "buffer_size": 256 * 1024}
"""How column data comes in: a quarter of a mebibyte of each column at a time. Arrow's default fetches whole
row groups ahead and keeps them until the file is closed, images and all. What remains is a page and the
dictionary of each column: writers end a page after a thousand rows or so, and with their row groups."""
_REMOTE_BUFFER: Final = 1024 * 1024
"""The same from a store, where every piece is a request."""


_ROWS_OF_A_RUN: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Run:
    """Row groups that are read together.

    Attributes:
        groups: Their numbers.
        rows: Rows at once.
        dictionaries: Paths of columns that are read as entries of their dictionary.
        first: The first one's first row.
    """

    groups: tuple[int, ...]
    rows: int
    dictionaries: frozenset[str]
    first: int


class ParquetFile(EveryRow):
    """One Parquet file, its footer read."""

    def __init__(self, path: ManifestPath) -> None:
        """Reads the footer.

        Raises:
            ManifestError: The file cannot be opened, is no Parquet file or has a column name twice.
        """
        self.path = path
        try:
            with pq.ParquetFile(arrow_source(path), **_READING) as file:
                metadata = file.metadata
                fields = [(field.name, field.type) for field in file.schema_arrow]
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ManifestError.at(path, _unopenable(path, error)) from None
        twice = sorted(name for name, count in Counter(name for name, _ in fields).items() if count > 1)
        if twice:
            raise ManifestError.at(path, f"has the column {cell(twice[0])} twice; rename one")
        self.schema = pa.schema(fields)
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        self._ends = list(accumulate(group.num_rows for group in groups))
        self._bounds: dict[tuple[int, tuple[Leaf, ...]], GroupBounds] = {}

    @property
    def rows(self) -> int:
        """See `TableFile.rows`."""
        return self._ends[-1] if self._ends else 0

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        for _, piece in self.pieces_among(wished, report, lambda *_: True):
            yield piece

    def pieces_among(
        self, wished: Sequence[Wished], report: Report, any_of: AnyOf
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """See `SkippingFile.pieces_among`: row groups without a wanted row are not read."""
        names = [f"{column.name}.path" if column.path_only else column.name for column in wished]
        seen = 0
        try:
            for run, batches in self._batches(names, any_of):
                if run.first > seen and any_of(seen, run.first - seen):
                    break
                seen = run.first
                for batch in batches:
                    for piece in pieces_of(batch, seen):
                        yield seen, fitted_batch(piece, wished, report, seen)
                        seen += piece.num_rows
            else:
                if not any_of(seen, self.rows - seen):
                    seen = self.rows
        except LostError as error:
            raise UnreadableError(seen, str(error.strerror)) from None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UnreadableError(seen, f"cannot be read from here on: {short(error)}") from None
        if seen != self.rows:
            raise UnreadableError(seen, f"ends here; its footer promises {self.rows:,} rows")

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        last = len(self._ends) - 1
        return {
            row: f"row {row + 1} (row group {min(bisect_right(self._ends, row), last) + 1})" for row in rows
        }

    def _batches(
        self, names: Sequence[str], any_of: AnyOf
    ) -> Iterator[tuple[_Run, Iterator[pa.RecordBatch]]]:
        """The wanted rows, columns with large dictionaries as entries of these."""
        with self._opened() as file, ExitStack() as stack:
            leaves = tuple(leaves_below(file.schema, names))
            pages = None if isinstance(self.path, RemoteFile) else stack.enter_context(self.path.open("rb"))
            for run in self._runs(file, leaves, pages, any_of):
                with self._opened(run.dictionaries) if run.dictionaries else nullcontext(file) as reader:
                    yield (
                        run,
                        reader.iter_batches(
                            run.rows, row_groups=list(run.groups), columns=list(names), use_threads=False
                        ),
                    )

    def _runs(
        self, file: Any, leaves: tuple[Leaf, ...], pages: IO[bytes] | None, any_of: AnyOf
    ) -> Iterator[_Run]:
        """Row groups with wanted rows that are read alike, enough of them for a few batches."""
        metadata = file.metadata
        run = _Run((), MOST_ROWS, frozenset(), 0)
        waiting = 0
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            first = self._ends[number] - group.num_rows
            if not any_of(first, group.num_rows):
                continue
            longest = partial(self._longest_entry, number)
            # A manifest is read several times, alike every time.
            known = (number, leaves)
            if known not in self._bounds:
                self._bounds[known] = group_bounds(group, leaves, pages, longest, first)
            bounds = self._bounds[known]
            is_next = bool(run.groups) and run.groups[-1] == number - 1
            if not is_next or waiting >= _ROWS_OF_A_RUN or bounds.dictionaries != run.dictionaries:
                if run.groups:
                    yield run
                run, waiting = _Run((), MOST_ROWS, frozenset(), first), 0
            run = _Run((*run.groups, number), min(run.rows, bounds.rows), bounds.dictionaries, run.first)
            waiting += group.num_rows
        if run.groups:
            yield run

    def _longest_entry(self, group: int, path: str) -> int:
        """Bytes of the longest entry in the dictionary of a row group's column."""
        with self._opened({path}) as file:
            first = next(file.iter_batches(1, row_groups=[group], columns=[path], use_threads=False))
        return longest_entry(first.column(0))

    def _opened(self, dictionaries: Collection[str] = ()) -> Any:
        options = dict(_READING)
        if isinstance(self.path, RemoteFile):
            options["buffer_size"] = _REMOTE_BUFFER
        return pq.ParquetFile(
            arrow_source(self.path),
            **options,
            page_checksum_verification=True,
            read_dictionary=sorted(dictionaries) or None,
        )


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
