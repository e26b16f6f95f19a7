"""Which rows are renewed, in sixteen bytes a row: asked for one part after another (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batchsearch.manifest.keys import digests_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class RenewedRows:
    """The rows of some parts, by the digests of their keys, sorted.

    Args:
        columns: Their row keys, a part at a time.
    """

    def __init__(self, columns: Iterable[pa.ChunkedArray]) -> None:
        high, low = zip(*(_halves(column) for column in columns), strict=True)
        highs, lows = np.concatenate(high), np.concatenate(low)
        order = np.lexsort((lows, highs))
        self._high, self._low = highs[order], lows[order]

    def among(self, column: pa.ChunkedArray) -> pa.Array:
        """Those of these row keys that are renewed."""
        high, low = _halves(column)
        place = np.searchsorted(self._high, high)
        found = np.zeros(len(high), dtype=bool)
        # Eight bytes are hardly ever shared by two keys: one step, and nearly always none after it.
        while True:
            inside = place < len(self._high)
            same = np.zeros(len(high), dtype=bool)
            same[inside] = self._high[place[inside]] == high[inside]
            found[same] |= self._low[place[same]] == low[same]
            if not (same & ~found).any():
                break
            place = place + 1
        return column.filter(pa.array(found)).combine_chunks()


def _halves(column: pa.ChunkedArray) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    digests = [digest for chunk in column.chunks for digest in digests_of(chunk)]
    halves = np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)
    return halves[:, 0], halves[:, 1]
