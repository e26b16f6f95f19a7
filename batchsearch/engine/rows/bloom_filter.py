"""Which requests may have an answer, in memory that does not grow (pure).

A Bloom filter over the requests' SHA-256 (B. Bloom, "Space/time trade-offs in hash coding with allowable
errors", 1970): what was added is always found; what was not is found by mistake in one of a million cases
with a hundred thousand requests, in one of six with ten million. A mistake costs a look into the ledger.
"""

from __future__ import annotations

from typing import Final

import numpy as np

_BITS: Final = 25
_MASK: Final = (1 << _BITS) - 1
_PLACES: Final = 3
_WORD: Final = 64


class BloomFilter:
    """Remembers requests in 4 MB, however many; for one thread that adds and any that ask."""

    def __init__(self) -> None:
        self._bits = bytearray(1 << (_BITS - 3))

    def add(self, request_key: bytes) -> None:
        """Remember a request (SHA-256, 32 bytes)."""
        number = int.from_bytes(request_key[:12], "little")
        for _ in range(_PLACES):
            self._bits[(number & _MASK) >> 3] |= 1 << (number & 7)
            number >>= _BITS

    def add_all(self, request_keys: bytes) -> None:
        """Remember many requests: their SHA-256, one after the other."""
        words = np.frombuffer(request_keys, dtype="<u8").reshape(-1, 4)
        low, high = words[:, 0], words[:, 1]
        bits = np.frombuffer(self._bits, dtype=np.uint8)
        for place in range(_PLACES):
            numbers = low >> np.uint64(place * _BITS)
            if (place + 1) * _BITS > _WORD:
                numbers = numbers | (high << np.uint64(_WORD - place * _BITS))
            numbers &= np.uint64(_MASK)
            places, masks = numbers >> np.uint64(3), np.uint8(1) << (numbers & np.uint64(7)).astype(np.uint8)
            np.bitwise_or.at(bits, places, masks)

    def may_hold(self, request_key: bytes) -> bool:
        """Whether a request may have been added; False is certain."""
        number = int.from_bytes(request_key[:12], "little")
        for _ in range(_PLACES):
            if not self._bits[(number & _MASK) >> 3] & (1 << (number & 7)):
                return False
            number >>= _BITS
        return True
