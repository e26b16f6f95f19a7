"""Rows by the digests of their keys, in sixteen bytes a row however many there are (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from batchsearch.storage.digest_sort import halves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def places_among(
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
    wanted_high: NDArray[np.uint64],
    wanted_low: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Where each of some digests is among others; -1 where it is not.

    Args:
        high: First halves of the others, sorted.
        low: Their second halves, in any order where the first ones are equal.
        wanted_high: First halves of those that are looked for.
        wanted_low: Their second halves.
    """
    found = np.full(len(wanted_high), -1, dtype=np.int64)
    place = np.searchsorted(high, wanted_high)
    # Eight bytes are hardly ever shared by two digests: one step, and nearly always none after it.
    while len(high):
        inside = np.minimum(place, len(high) - 1)
        same = (place < len(high)) & (high[inside] == wanted_high)
        found = np.where(same & (found < 0) & (low[inside] == wanted_low), place, found)
        if not (same & (found < 0)).any():
            break
        place = place + 1
    return found


class DigestSet:
    """Digests of sixteen bytes, sorted; never changed once made.

    Args:
        digests: They, in any order, each by itself or many in one piece.
    """

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        high, low = halves(b"".join(digests)).T
        order = np.lexsort((low, high))
        self._high, self._low = high[order], low[order]

    def __len__(self) -> int:
        return len(self._high)

    def among(self, digests: list[bytes]) -> NDArray[np.bool_]:
        """Which of some digests are in the set."""
        high, low = halves(b"".join(digests)).T
        found: NDArray[np.bool_] = places_among(self._high, self._low, high, low) >= 0
        return found

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, bytes):
            return False
        high, low = np.uint64(int.from_bytes(digest[:8])), np.uint64(int.from_bytes(digest[8:]))
        first, last = np.searchsorted(self._high, high, "left"), np.searchsorted(self._high, high, "right")
        return bool((self._low[first:last] == low).any())
