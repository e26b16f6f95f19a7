"""Row keys: their text, and finding those given twice in memory that does not grow with the table.

The key of a row is the text of its one key column, or the compact JSON array of several, made a column at a
time. Each key is kept as a 16-byte digest with its row's number: a run of them at a time is sorted, stripped
of its own repeats and written to one temporary file; at the end the runs are compared slice by slice, so that
some ten thousand keys are in memory at once, or a 512th of all. Two different keys with one digest are not to
be expected in the life of the universe, nor can anybody make them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa

from batchsearch.manifest.column_types import normal_type, normalised, uuid_texts, whole_numbers
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.digest_sort import SortedRuns, halves
from batchsearch.storage.ledger.entries import digests_of_texts
from batchsearch.widening import is_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RUN_ROWS: Final = 1 << 15
"""Keys in memory before a run is written: 0.8 MB of digests."""

_SLICES: Final = 512
_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u8")])
_AT_ONCE: Final = 1 << 16
"""Least keys that are compared, and that `RepeatFinder.in_order` gives, at a time, but for the last."""

BESIDE: Final = np.dtype([("source_high", "<u8"), ("source_low", "<u8"), ("seen", "u1")])
"""What a key may be kept with: two halves of a digest, and a number."""
_NUMBER_OR_TRUTH: Final = re.compile(r"0|-?[1-9][0-9]*|true|false")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")

_quoted = json.JSONEncoder(ensure_ascii=False).encode


def is_quoted(kind: pa.DataType) -> bool:
    """Whether cells of this type stand in quotes in a key of several columns."""
    return bool(pa.types.is_string(kind) or pa.types.is_date(kind) or is_uuid(kind))


def key_column(columns: Sequence[pa.Array], quoted: Sequence[bool] | None = None) -> pa.Array:
    """The row keys of a batch as a column of text; null where a key column is null.

    Whole numbers are decimal, true and false in lower case, dates `YYYY-MM-DD`, UUIDs in lower case. In a
    JSON array numbers and true/false stay bare.

    Args:
        columns: The key columns, of the types that `columns.key_type_problem` lets pass.
        quoted: Which of several columns stand in quotes, as `is_quoted` said of them when rows were first
            named: ids that were whole numbers and are text now name the rows that they named.
    """
    if len(columns) == 1:
        return _text(columns[0])
    parts: list[Any] = []
    opening = "["
    for place, column in enumerate(columns):
        closing = ""
        text = _text(column)
        is_text = is_quoted(column.type)
        if is_text if quoted is None else quoted[place]:
            text = _escaped(text)
            opening, closing = f'{opening}"', '"'
        elif is_text:
            text = _bare(text)
        parts += [opening, text]
        opening = f"{closing},"
    return pc.binary_join_element_wise(*parts, f"{closing}]", "")


def key_texts(columns: Sequence[pa.Array], quoted: Sequence[bool] | None = None) -> list[str | None]:
    """The row keys of a batch as Python texts; None where a key column is null. See `key_column`."""
    found: list[str | None] = key_column(columns, quoted).to_pylist()
    return found


def product_keys(piece: pa.RecordBatch, key: Sequence[str]) -> list[str | None]:
    """The key of each row's product as text; None where it has none."""
    there = frozenset(piece.schema.names)
    if not key or not there.issuperset(key):
        return [None] * piece.num_rows
    columns = [normalised(piece.column(name), normal_type(piece.column(name).type)) for name in key]
    found: list[str | None] = key_column(columns).to_pylist()
    return found


def digests_of(keys: pa.Array) -> list[bytes]:
    """Sixteen bytes for each key of a column without nulls: BLAKE2b of its UTF-8, as the ledger has them."""
    return digests_of_texts(keys.cast(pa.binary()).to_pylist())


def _text(column: pa.Array) -> pa.Array:
    """Cells as text; None stays None."""
    if pa.types.is_date64(column.type):
        column = column.cast(pa.date32())
    elif pa.types.is_decimal(column.type):
        column = whole_numbers(column)
    elif is_uuid(column.type):
        return uuid_texts(column)
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _bare(column: pa.Array) -> pa.Array:
    """Texts as a JSON array has them that had numbers or true/false in their place; other text in quotes."""
    texts = [
        text if text is None or _NUMBER_OR_TRUTH.fullmatch(text) else _quoted(text)
        for text in column.to_pylist()
    ]
    return pa.array(texts, pa.string())


def _escaped(column: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of JSON; the column itself where nothing needs an escape."""
    _, offsets, data = column.buffers()
    if data is None or len(column) == 0:
        return column
    ends = np.frombuffer(offsets, dtype=np.int32)
    begin, end = int(ends[column.offset]), int(ends[column.offset + len(column)])
    letters = np.frombuffer(data, dtype=np.uint8)[begin:end]
    if not ((letters < ord(" ")) | (letters == _QUOTE) | (letters == _BACKSLASH)).any():
        return column
    texts = [None if text is None else _quoted(text)[1:-1] for text in column.to_pylist()]
    return pa.array(texts, pa.string())


@dataclass(frozen=True, slots=True)
class KeyBatch:
    """The keys of some rows in manifest order, and nothing else of them.

    Attributes:
        column: The keys as a column of text, none of them null.
    """

    column: pa.Array

    def __len__(self) -> int:
        return len(self.column)

    def keys(self) -> list[str]:
        """The keys as Python texts."""
        found: list[str] = self.column.to_pylist()
        return found

    def digests(self) -> list[bytes]:
        """Sixteen bytes for each key, as the ledger names rows."""
        return digests_of(self.column)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Keys given more than once.

    Attributes:
        total: Rows whose key an earlier row has.
        pairs: Of the first such rows, the row and an earlier one with its key, by row.
    """

    total: int
    pairs: tuple[tuple[int, int], ...]


class RepeatFinder:
    """Takes the keys of a table in order and says which were given twice.

    A context manager: its temporary file goes with it. Memory is a few megabytes for ten million keys.
    """

    def __init__(
        self, *, listed: int = 20, run_rows: int = RUN_ROWS, keeps: bool = False, beside: bool = False
    ) -> None:
        """Begins with no keys.

        Args:
            listed: How many repeats are told by row; all are counted.
            run_rows: Keys in memory before they are written.
            keeps: Keep what is repeated, for `kept`.
            beside: Each key comes with a record of `BESIDE`.
        """
        entry = np.dtype([*_ENTRY.descr, *BESIDE.descr]) if beside else _ENTRY
        self._last: NDArray[Any] = np.empty(0, entry)
        self._keeps = keeps
        self._kept: list[tuple[NDArray[np.uint64], NDArray[np.uint64]]] = []
        self._listed = listed
        self._run_rows = run_rows
        self._entries = np.empty(run_rows, dtype=entry)
        self._held = 0
        self._runs = SortedRuns(entry, "batchsearch-keys-", slices=_SLICES)
        self._total = 0
        self._pairs: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runs.__exit__()

    def add(
        self, digests: Sequence[bytes], rows: NDArray[np.uint64], beside: NDArray[Any] | None = None
    ) -> None:
        """Takes the digests of keys (see `digests_of`) and the numbers of their rows, both ascending by row.

        Args:
            digests: Of the keys.
            rows: As many numbers.
            beside: As many records of `BESIDE`, where keys come with them.

        Raises:
            OSError: The temporary folder is full or not writable.
        """
        words = halves(b"".join(digests))
        taken = 0
        while taken < len(words):
            more = min(len(words) - taken, self._run_rows - self._held)
            free = self._entries[self._held : self._held + more]
            free["high"], free["low"] = words[taken : taken + more, 0], words[taken : taken + more, 1]
            free["row"] = rows[taken : taken + more]
            if beside is not None:
                for name in BESIDE.names or ():
                    free[name] = beside[name][taken : taken + more]
            self._held += more
            taken += more
            if self._held == self._run_rows:
                self._runs.write(self._take_run())

    def repeats(self) -> Repeats:
        """What was given twice so far.

        Raises:
            OSError: The temporary file cannot be read.
        """
        last = self._last = self._take_run()
        if not self._runs:
            return Repeats(self._total, tuple(sorted(self._pairs)))
        self._runs.write(last)
        for entries in self._runs.slices(_AT_ONCE):
            self._strip(entries)
        return Repeats(self._total, tuple(sorted(self._pairs)))

    def in_order(self) -> Iterator[NDArray[Any]]:
        """All keys, by the first half of their digests, some at a time; once `repeats` has found none twice.

        Each has the fields `high`, `low` and `row`, and those of `BESIDE` where keys come with them.

        Raises:
            OSError: The temporary file cannot be read.
        """
        if not self._runs:
            yield self._last
            return
        for entries in self._runs.slices(_AT_ONCE):
            yield entries[np.argsort(entries["high"])]

    def kept(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Of every repeat so far the first half of its key's digest, and an earlier row that has it."""
        nothing = np.empty(0, np.uint64)
        words = [nothing, *(words for words, _ in self._kept)]
        rows = [nothing, *(rows for _, rows in self._kept)]
        return np.concatenate(words), np.concatenate(rows)

    def _take_run(self) -> NDArray[Any]:
        """The keys held, sorted by digest and row, without those that repeat one among them."""
        held, self._held = self._held, 0
        return self._strip(self._entries[:held])

    def _strip(self, entries: NDArray[Any]) -> NDArray[Any]:
        """Counts and removes all but the first row of each key; the rest is in order of digest."""
        given = entries
        entries = given[np.argsort(given["high"])]
        if not (entries["high"][1:] == entries["high"][:-1]).any():
            return entries
        # Order by more than the first half of the digest is dear, and matters beside a repeat only.
        entries = given[np.lexsort((given["row"], given["low"], given["high"]))]
        high, low, row = entries["high"], entries["low"], entries["row"]
        repeated = np.zeros(len(entries), dtype=bool)
        repeated[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
        found = np.flatnonzero(repeated)
        if len(found) == 0:
            return entries
        self._total += len(found)
        firsts = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(entries))))
        if self._keeps:
            self._kept.append((high[found].copy(), row[firsts[found]].copy()))
        earliest = found[np.argsort(row[found])[: self._listed]]
        pairs = zip(row[earliest].tolist(), row[firsts[earliest]].tolist(), strict=True)
        self._pairs = sorted([*self._pairs, *pairs])[: self._listed]
        return entries[~repeated]
