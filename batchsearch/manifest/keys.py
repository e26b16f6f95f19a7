"""Row keys: their text, and finding those given twice in memory that does not grow with the table.

The key of a row is the text of its one key column, or the compact JSON array of several. Each key is kept as
a 16-byte digest with its row's number: a run of them at a time is sorted, stripped of its own repeats and
written to one temporary file; at the end the runs are compared slice by slice, so that only a 64th of the
keys is in memory at once. Two different keys with one digest are not to be expected in the life of the
universe, nor can anybody make them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RUN_ROWS: Final = 1 << 16
"""Keys in memory before a run is written: 1.5 MB of digests."""

_SLICES: Final = 64
_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<u8")])
_BOUNDS: Final = (np.arange(1, _SLICES, dtype=np.uint64) << np.uint64(58)).astype(np.uint64)

_quoted = json.JSONEncoder(ensure_ascii=False).encode


def key_texts(columns: Sequence[pa.Array]) -> list[str | None]:
    """The row keys of a batch; None where a key column is null.

    Whole numbers are decimal, true and false in lower case, dates `YYYY-MM-DD`. In a JSON array numbers
    and true/false stay bare.

    Args:
        columns: The key columns, of the types that `columns.key_type_problem` lets pass.
    """
    if len(columns) == 1:
        return _texts(columns[0])
    parts = [_json_texts(column) for column in columns]
    if any(column.null_count for column in columns):
        return [None if None in row else f"[{','.join(row)}]" for row in zip(*parts, strict=True)]
    if len(parts) == 2:  # noqa: PLR2004 - the default key, worth its own short cut
        return [f"[{first},{second}]" for first, second in zip(*parts, strict=True)]
    return [f"[{','.join(row)}]" for row in zip(*parts, strict=True)]


def _texts(column: pa.Array) -> list[str | None]:
    values: list[Any] = column.to_pylist()
    if pa.types.is_string(column.type):
        return values
    if pa.types.is_boolean(column.type):
        return [None if value is None else "true" if value else "false" for value in values]
    return [None if value is None else str(value) for value in values]


def _json_texts(column: pa.Array) -> list[str | None]:
    texts = _texts(column)
    if pa.types.is_string(column.type) or pa.types.is_date(column.type):
        return [None if text is None else _quoted(text) for text in texts]
    return texts


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

    def __init__(self, *, listed: int = 20, run_rows: int = RUN_ROWS) -> None:
        """Begins with no keys.

        Args:
            listed: How many repeats are told by row; all are counted.
            run_rows: Keys in memory before they are written.
        """
        self._listed = listed
        self._run_rows = run_rows
        self._digests: list[bytes] = []
        self._rows: list[NDArray[np.uint64]] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self._runs: list[list[int]] = []
        self._written = 0
        self._total = 0
        self._pairs: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, keys: Sequence[str], rows: NDArray[np.uint64]) -> None:
        """Takes keys and the numbers of their rows, both ascending by row.

        Raises:
            OSError: The temporary folder is full or not writable.
        """
        digest = hashlib.blake2b
        self._digests.append(b"".join([digest(key.encode(), digest_size=16).digest() for key in keys]))
        self._rows.append(rows.astype(np.uint64, copy=False))
        self._held += len(keys)
        if self._held >= self._run_rows:
            self._write(self._take_run())

    def repeats(self) -> Repeats:
        """What was given twice so far.

        Raises:
            OSError: The temporary file cannot be read.
        """
        last = self._take_run()
        if self._file is None:
            return Repeats(self._total, tuple(sorted(self._pairs)))
        self._write(last)
        for number in range(_SLICES):
            slices = [self._read(run[number], run[number + 1]) for run in self._runs]
            self._strip(np.concatenate(slices))
        return Repeats(self._total, tuple(sorted(self._pairs)))

    def _take_run(self) -> NDArray[Any]:
        """The keys held, sorted by digest and row, without those that repeat one among them."""
        entries = np.empty(self._held, dtype=_ENTRY)
        digests = np.frombuffer(b"".join(self._digests), dtype="<u8").reshape(-1, 2)
        entries["high"], entries["low"] = digests[:, 0], digests[:, 1]
        entries["row"] = np.concatenate(self._rows) if self._rows else 0
        self._digests, self._rows, self._held = [], [], 0
        return self._strip(entries)

    def _strip(self, entries: NDArray[Any]) -> NDArray[Any]:
        """Counts and removes all but the first row of each key; the rest is in order of digest."""
        entries = entries[np.lexsort((entries["row"], entries["low"], entries["high"]))]
        high, low, row = entries["high"], entries["low"], entries["row"]
        repeated = np.zeros(len(entries), dtype=bool)
        repeated[1:] = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
        found = np.flatnonzero(repeated)
        if len(found) == 0:
            return entries
        self._total += len(found)
        firsts = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(entries))))
        earliest = found[np.argsort(row[found])[: self._listed]]
        pairs = zip(row[earliest].tolist(), row[firsts[earliest]].tolist(), strict=True)
        self._pairs = sorted([*self._pairs, *pairs])[: self._listed]
        return entries[~repeated]

    def _write(self, run: NDArray[Any]) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="batchsearch-keys-")  # noqa: SIM115 - closed by __exit__
        inside = np.searchsorted(run["high"], _BOUNDS).tolist()
        self._runs.append([self._written + bound for bound in (0, *inside, len(run))])
        self._file.seek(self._written * _ENTRY.itemsize)
        self._file.write(run.tobytes())
        self._written += len(run)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if self._file is None:
            return np.empty(0, dtype=_ENTRY)
        self._file.seek(start * _ENTRY.itemsize)
        return np.frombuffer(self._file.read((stop - start) * _ENTRY.itemsize), dtype=_ENTRY)
