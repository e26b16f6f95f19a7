"""What the pages of a Parquet file hold, read from the pages' own headers, which is what Arrow makes room by.

The footer says how large a column is, but a dictionary of one text may stand for a million cells, and a page
of a few bytes may unpack to gigabytes. A header is a Thrift structure in the compact protocol (Parquet
format, `parquet.thrift`, `PageHeader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_LOOK: Final = 1024
_LARGEST_HEADER: Final = 16 * 1024 * 1024  # Arrow's own bound
_DEEPEST: Final = 16
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DELTA_BYTE_ARRAY: Final = 7
_DICTIONARY_ENCODINGS: Final = frozenset({2, 8})  # PLAIN_DICTIONARY, RLE_DICTIONARY


@dataclass(frozen=True, slots=True)
class Page:
    """One page's header.

    Attributes:
        is_dictionary: Whether it holds the column's dictionary.
        packed: Bytes in the file.
        unpacked: Bytes in memory.
        values: Cells, those of lists one by one and nulls included.
        encoding: As the format numbers them.
    """

    is_dictionary: bool
    packed: int
    unpacked: int
    values: int
    encoding: int


@dataclass(frozen=True, slots=True)
class ChunkPages:
    """The pages of one column in one row group.

    Attributes:
        packed: Bytes of the largest page and of the dictionary in the file.
        unpacked: The same in memory.
        dictionary: Bytes of the dictionary in memory; 0 without one.
        cell: Most bytes of a cell, averaged over a page that holds its cells one by one.
        is_all_dictionary: Whether every cell is an entry of the dictionary.
        prefixed: Bytes in memory of the largest page whose cells begin as the ones before them do: each may
            be as long as the whole page.
    """

    packed: int = 0
    unpacked: int = 0
    dictionary: int = 0
    cell: float = 0.0
    is_all_dictionary: bool = False
    prefixed: int = 0


def chunk_pages(file: IO[bytes], start: int, length: int, values: int) -> ChunkPages:
    """What the pages of a column chunk hold.

    Args:
        file: The Parquet file.
        start: Where the chunk begins.
        length: Its bytes.
        values: Its cells.
    """
    dictionary = largest = Page(is_dictionary=False, packed=0, unpacked=0, values=0, encoding=0)
    cell, prefixed = 0.0, 0
    others = found = 0
    for page in _pages(file, start, length, values):
        if page.is_dictionary:
            dictionary = page
            continue
        found += 1
        if page.unpacked > largest.unpacked:
            largest = page
        if page.encoding in _DICTIONARY_ENCODINGS:
            continue
        others += 1
        cell = max(cell, page.unpacked / max(page.values, 1))
        if page.encoding == _DELTA_BYTE_ARRAY:
            prefixed = max(prefixed, page.unpacked)
    return ChunkPages(
        packed=largest.packed + dictionary.packed,
        unpacked=largest.unpacked + dictionary.unpacked,
        dictionary=dictionary.unpacked,
        cell=cell,
        is_all_dictionary=found > 0 and others == 0,
        prefixed=prefixed,
    )


def _pages(file: IO[bytes], start: int, length: int, values: int) -> Iterator[Page]:
    """The chunk's pages, as far as they make sense; Arrow says what is wrong with the rest."""
    place, seen = start, 0
    while place < start + length and seen < values:
        try:
            header, size = _header(file, place)
            page = _page(header)
        except (ValueError, IndexError, KeyError, TypeError):
            return
        if page is not None:
            yield page
            seen += 0 if page.is_dictionary else max(page.values, 1)
        place += size + header[3]


def _page(header: dict[int, Any]) -> Page | None:
    kind, unpacked, packed = header[1], header[2], header[3]
    if min(unpacked, packed) < 0:
        raise ValueError("a page's size is negative")
    if kind == _DICTIONARY:
        return Page(is_dictionary=True, packed=packed, unpacked=unpacked, values=header[7][1], encoding=0)
    if kind == _DATA:
        values, encoding = header[5][1], header[5][2]
    elif kind == _DATA_V2:
        values, encoding = header[8][1], header[8][4]
    else:
        return None
    return Page(is_dictionary=False, packed=packed, unpacked=unpacked, values=values, encoding=encoding)


def _header(file: IO[bytes], place: int) -> tuple[dict[int, Any], int]:
    """A page's header by field, and its size."""
    size = _FIRST_LOOK
    while True:
        file.seek(place)
        data = file.read(size)
        reader = _Compact(data)
        try:
            return reader.struct(), reader.at
        except IndexError:
            # Statistics of long texts make a header long.
            if len(data) < size or size >= _LARGEST_HEADER:
                raise
            size *= 16


class _Compact:
    """Reads a structure in Thrift's compact protocol.

    Raises:
        IndexError: The data ends inside it.
        ValueError: It is none.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Its fields by number."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        found: dict[int, Any] = {}
        field = 0
        while (head := self._byte()) != 0:
            delta, kind = head >> 4, head & 15
            field = field + delta if delta else self._signed()
            found[field] = self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):  # true, false
            return kind == 1
        if kind == 3:  # noqa: PLR2004 - a byte
            return self._byte()
        if kind in (4, 5, 6):  # whole numbers
            return self._signed()
        if kind == 7:  # noqa: PLR2004 - a double
            self._skip(8)
        elif kind == 8:  # noqa: PLR2004 - bytes
            self._skip(self._varint())
        elif kind in (9, 10):  # list, set
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4  # noqa: PLR2004 - the count follows
            for _ in range(count):
                if head & 15 in (1, 2):
                    self._skip(1)
                else:
                    self._value(head & 15, depth + 1)
        elif kind == 12:  # noqa: PLR2004 - a structure
            return self.struct(depth + 1)
        else:
            raise ValueError("no such type")
        return None

    def _byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
        return value

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:  # noqa: PLR2004 - the last one
                return value
            shift += 7
            if shift > 63:  # noqa: PLR2004 - more than a number has
                raise ValueError("no number")

    def _signed(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
