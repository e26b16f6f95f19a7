"""How many rows of a Parquet file are read at once, so that what they unpack to is bounded.

The bound is what pages unpack to, not what the footer says. What is small on disk and large in memory is read
as entries of its dictionary and unpacked a few rows at a time; what cannot be read in parts is refused, with
the setting that leaves the column out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.manifest.formats.parquet_pages import ChunkPages, chunk_pages
from batchsearch.manifest.formats.table_file import PIECE_BYTES, UnreadableError
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

MOST_ROWS: Final = 8 * 1024
_MOST_UNPACKED: Final = 256 * 1024 * 1024
"""What the largest pages of a row group's columns may unpack to together, and what one row may."""

_HONEST: Final = 20
"""Pages may unpack to so many times their size in the file, whatever that is: images and most data do not."""

_MOST_LISTED: Final = 1024 * 1024 * 1024
_HONEST_LISTS: Final = 100
"""The same of all cells of lists in a row group: one row may hold them all."""

_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}
_LEVELS: Final = 5
"""Bytes that Arrow takes for a cell beside the cell itself."""

_SMALL: Final = 4 * 1024
_LITTLE_PACKED: Final = frozenset({"UNCOMPRESSED", "SNAPPY"})
"""Of these a byte becomes some twenty at most."""

_MEBIBYTE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of values in the file; a nested column has several.

    Attributes:
        number: Its place.
        path: Its path, such as `list.list.element`.
        width: Bytes of a cell; None for texts and bytes.
        repeated: Whether a row may have several cells.
    """

    number: int
    path: str
    width: int | None
    repeated: bool


@dataclass(frozen=True, slots=True)
class GroupBounds:
    """How a row group is read.

    Attributes:
        rows: Rows at once.
        dictionaries: Paths of columns that are read as entries of their dictionary.
    """

    rows: int
    dictionaries: frozenset[str]


def leaves_below(schema: Any, names: Iterable[str]) -> list[Leaf]:
    """The columns of values of some columns.

    Args:
        schema: The file's Parquet schema.
        names: Columns, or `column.field`.
    """
    wanted = frozenset(names)
    found = []
    for number in range(len(schema)):
        column = schema.column(number)
        parts = column.path.split(".")
        if any(".".join(parts[:count]) in wanted for count in range(1, len(parts) + 1)):
            kind = column.physical_type
            width = column.length if kind == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(kind)
            found.append(Leaf(number, column.path, width, column.max_repetition_level > 0))
    return found


def group_bounds(
    group: Any, leaves: Sequence[Leaf], file: IO[bytes] | None, longest: Callable[[str], int], row: int
) -> GroupBounds:
    """How a row group is read in bounded memory.

    Args:
        group: What the footer says of it.
        leaves: Columns of values that are read.
        file: The file, to look at its pages; None where that is dear: the footer is believed then.
        longest: Says how many bytes the longest entry has in the dictionary of a column, by path.
        row: The group's first row.

    Raises:
        UnreadableError: It cannot be.
    """
    size, packed, unpacked = 1.0, 0, 0
    dictionaries = set()
    worst = (0, "")
    rows = max(group.num_rows, 1)
    for leaf in leaves:
        column = group.column(leaf.number)
        pages = _small(leaf, column) or _pages_of(column, file)
        packed += pages.packed
        unpacked += pages.unpacked
        worst = max(worst, (pages.unpacked, leaf.path))
        cells = column.num_values / rows if leaf.repeated else 1.0
        if leaf.repeated:
            _check_lists(leaf, column, row)
        if leaf.width is not None:
            size += cells * (leaf.width + _LEVELS)
            continue
        cell = max(pages.cell, column.total_uncompressed_size / max(column.num_values, 1))
        if pages.prefixed:
            # Rarely are all as long as a page: the bound is twice what it is elsewhere.
            cell = max(cell, pages.prefixed / 2)
        if pages.dictionary * MOST_ROWS > PIECE_BYTES and (
            pages.is_all_dictionary or longest(leaf.path) * MOST_ROWS > PIECE_BYTES
        ):
            dictionaries.add(leaf.path)
        size += cells * (cell + _LEVELS)
    if unpacked > max(_MOST_UNPACKED, _HONEST * packed):
        raise UnreadableError(row, _too_large(worst[1], unpacked))
    return GroupBounds(max(1, min(MOST_ROWS, int(PIECE_BYTES / size))), frozenset(dictionaries))


def _small(leaf: Leaf, column: Any) -> ChunkPages | None:
    """A chunk of few bytes that no packing makes many: its pages need no look."""
    size = column.total_compressed_size
    is_flat = leaf.width is not None and not leaf.repeated
    if is_flat and column.compression in _LITTLE_PACKED and size <= _SMALL:
        return ChunkPages(packed=size, unpacked=_HONEST * size)
    return None


def _pages_of(column: Any, file: IO[bytes] | None) -> ChunkPages:
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    if file is not None:
        return chunk_pages(file, start, column.total_compressed_size, column.num_values)
    dictionary = column.total_uncompressed_size if column.has_dictionary_page else 0
    return ChunkPages(dictionary=dictionary)


def _check_lists(leaf: Leaf, column: Any, row: int) -> None:
    taken = column.num_values * ((leaf.width or 0) + _LEVELS)
    if taken > max(_MOST_LISTED, _HONEST_LISTS * column.total_compressed_size):
        raise UnreadableError(row, _too_large(leaf.path, taken))


def _too_large(path: str, taken: int) -> str:
    name = path.partition(".")[0]
    return (
        f"column `{name}` unpacks to {taken // _MEBIBYTE:,} MiB here, many times its size in the file; leave "
        "it out (`manifest.carry` lists the columns that are carried), or write the file with smaller pages"
    )


def longest_entry(array: pa.Array) -> int:
    """Bytes of the longest entry of the dictionaries in a column."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return pc.max(pc.binary_length(array.dictionary)).as_py() or 0
    if pa.types.is_struct(kind):
        return max((longest_entry(array.field(number)) for number in range(kind.num_fields)), default=0)
    if pa.types.is_map(kind):
        return max(longest_entry(array.keys), longest_entry(array.items))
    return longest_entry(array.values) if pa.types.is_nested(kind) else 0


def pieces_of(batch: pa.RecordBatch, row: int) -> Iterator[pa.RecordBatch]:
    """A batch cut so that its dictionaries, once unpacked, take about `PIECE_BYTES` a piece.

    Raises:
        UnreadableError: One row takes too much.
    """
    taken = np.zeros(batch.num_rows, dtype=np.int64)
    for column in batch.columns:
        lengths = _unpacked_lengths(column)
        if lengths is not None:
            taken += lengths
    if int(taken.sum()) <= PIECE_BYTES:
        yield batch
        return
    if int(taken.max()) > _MOST_UNPACKED:
        raise UnreadableError(
            row + int(taken.argmax()), _too_large(_widest(batch, int(taken.argmax())), int(taken.max()))
        )
    ends = np.cumsum(taken)
    start = 0
    while start < batch.num_rows:
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + PIECE_BYTES, side="right")))
        # Taken, not sliced: a slice of a nested column would be unpacked with all that it is a slice of.
        yield batch.take(pa.array(np.arange(start, stop)))
        start = stop


def _widest(batch: pa.RecordBatch, row: int) -> str:
    def taken(name: str) -> int:
        lengths = _unpacked_lengths(batch.column(name))
        return 0 if lengths is None else int(lengths[row])

    return str(max(batch.schema.names, key=taken))


def _unpacked_lengths(array: pa.Array) -> NDArray[np.int64] | None:
    """Bytes that each cell takes once its dictionary entries are written out; None if it has none."""
    types = pa.types
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _unpacked_lengths(array.storage)
    if types.is_dictionary(kind) and _is_of_bytes(kind.value_type):
        lengths = pc.binary_length(array.dictionary).cast(pa.int64()).fill_null(0)
        taken = lengths.take(array.indices).fill_null(0)
        return np.asarray(taken.to_numpy(zero_copy_only=False), dtype=np.int64)
    if types.is_struct(kind):
        return _sum(pc.struct_field(array, number) for number in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        cells = _sum([array.keys, array.items] if types.is_map(kind) else [array.values])
        if cells is not None:
            sums = np.concatenate([[0], np.cumsum(cells)])
            offsets = np.asarray(array.offsets)
            return np.asarray(sums[offsets[1:]] - sums[offsets[:-1]], dtype=np.int64)
    return None


def _sum(arrays: Iterable[pa.Array]) -> NDArray[np.int64] | None:
    found = [lengths for lengths in map(_unpacked_lengths, arrays) if lengths is not None]
    return np.sum(found, axis=0) if found else None


def _is_of_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    fits = (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
    return any(fit(kind) for fit in fits)
