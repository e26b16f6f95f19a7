"""Which requests may have an answer, in memory that does not grow (pure).

A Bloom filter over the requests' SHA-256 (B. Bloom, "Space/time trade-offs in hash coding with allowable
errors", 1970): what was added is always found; what was not is found by mistake in one of a million cases
with a hundred thousand requests, in one of six with ten million. A mistake costs a look into the ledger.
"""

from __future__ import annotations

from typing import Final

_BITS: Final = 25
_MASK: Final = (1 << _BITS) - 1
_PLACES: Final = 3


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

    def may_hold(self, request_key: bytes) -> bool:
        """Whether a request may have been added; False is certain."""
        number = int.from_bytes(request_key[:12], "little")
        for _ in range(_PLACES):
            if not self._bits[(number & _MASK) >> 3] & (1 << (number & 7)):
                return False
            number >>= _BITS
        return True
