"""Rows sorted by a column of texts, of which there may be more than memory holds."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.off_memory import mapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.tasks.dedup.candidates.off_memory import Room

_TO_SORT_A_ROW: Final = 16
"""Bytes that putting a row in order takes beside the row itself."""
_ROWS_OF_A_BATCH: Final = 1 << 16
_SAMPLES: Final = 256
"""Keys that are looked at of each sorted run, to put pieces of about half its size together."""


class SortedRows:
    """Takes rows in any order and gives them back ascending by one column of texts.

    Rows of one key stay in the order in which they came. Rows are sorted in memory, written to a file when
    there are too many, and put together again in pieces between keys that every file was looked at for.

    Args:
        key: Name of the column.
        room: Where files are made.
    """

    def __init__(self, key: str, room: Room) -> None:
        self._key = key
        self._room = room
        self._held: list[pa.Table] = []
        self._size = 0
        self._file: BinaryIO | None = None
        self._runs: list[tuple[int, int]] = []
        self._written = 0
        self.count = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows.

        Raises:
            OutputError: The disk refuses.
        """
        self._held.append(rows)
        self._size += rows.nbytes + len(rows) * _TO_SORT_A_ROW
        self.count += len(rows)
        # They are in memory twice and a half while they are sorted.
        if self._room.is_full(self._size * 2):
            self._write()

    def pieces(self) -> Iterator[pa.Table]:
        """All rows, piece by piece.

        Raises:
            OutputError: The disk refuses.
        """
        if self._file is None:
            if self._held:
                yield self._sorted(self._held)
            return
        if self._held:
            self._write()
        with self._room.writing():
            whole = mapped(self._file)
        runs = [pa.ipc.open_stream(whole.slice(start, size)).read_all() for start, size in self._runs]
        cuts = self._cuts(runs)
        for number in range(len(cuts[0]) - 1):
            yield self._sorted(
                [
                    rows.slice(at[number], at[number + 1] - at[number])
                    for rows, at in zip(runs, cuts, strict=True)
                ]
            )

    def _sorted(self, several: list[pa.Table]) -> pa.Table:
        rows = pa.concat_tables(several).combine_chunks()
        several.clear()
        return rows.take(pc.sort_indices(rows.column(self._key)))

    def _write(self) -> None:
        rows = self._sorted(self._held)
        if self._file is None:
            self._file = self._room.file()
        with self._room.writing():
            start = self._file.tell()
            with pa.ipc.new_stream(self._file, rows.schema) as stream:
                stream.write_table(rows, max_chunksize=_ROWS_OF_A_BATCH)
            self._runs.append((start, self._file.tell() - start))
        self._written += self._size
        self._size = 0

    def _cuts(self, runs: list[pa.Table]) -> list[list[int]]:
        """Where each run is cut so that pieces are about equal and hold all rows of their keys."""
        wanted = max(1, -(-4 * self._written // max(1, self._room.in_memory)))
        samples: list[str] = []
        for rows in runs:
            places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLES)).astype(np.int64))
            samples += rows.column(self._key).take(pa.array(places)).to_pylist()
        samples.sort()
        between = sorted({samples[len(samples) * number // wanted] for number in range(1, wanted)})
        cuts = []
        for rows in runs:
            keys = rows.column(self._key)
            at = [0]
            for key in between:
                at.append(bisect_left(keys, key, at[-1], key=lambda each: each.as_py()))
            cuts.append([*at, len(rows)])
        return cuts
