"""Rows by the digests of their keys, in sixteen bytes a row however many there are (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

_PAIR: Final = np.dtype([("high", ">u8"), ("low", ">u8")])


class DigestSet:
    """Digests of sixteen bytes, sorted; never changed once made.

    Args:
        digests: They, in any order.
    """

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        pairs = np.frombuffer(b"".join(digests), dtype=_PAIR)
        high, low = pairs["high"].astype(np.uint64), pairs["low"].astype(np.uint64)
        order = np.lexsort((low, high))
        self._high, self._low = high[order], low[order]

    def __len__(self) -> int:
        return len(self._high)

    def among(self, digests: list[bytes]) -> NDArray[np.bool_]:
        """Which of some digests are in the set."""
        pairs = np.frombuffer(b"".join(digests), dtype=_PAIR)
        high, low = pairs["high"].astype(np.uint64), pairs["low"].astype(np.uint64)
        place = np.searchsorted(self._high, high)
        found = np.zeros(len(high), dtype=bool)
        # Eight bytes are hardly ever shared by two digests: one step, and nearly always none after it.
        while len(self._high):
            inside = place < len(self._high)
            same = np.zeros(len(high), dtype=bool)
            same[inside] = self._high[place[inside]] == high[inside]
            found[same] |= self._low[place[same]] == low[same]
            if not (same & ~found).any():
                break
            place = place + 1
        return found

    def __contains__(self, digest: object) -> bool:
        if not isinstance(digest, bytes):
            return False
        high, low = np.uint64(int.from_bytes(digest[:8])), np.uint64(int.from_bytes(digest[8:]))
        first, last = np.searchsorted(self._high, high, "left"), np.searchsorted(self._high, high, "right")
        return bool((self._low[first:last] == low).any())
