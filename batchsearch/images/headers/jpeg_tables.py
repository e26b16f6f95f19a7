"""JPEG: whether the tables and headers that a decoder needs fit together (ITU T.81, annex B.2).

A decoder refuses an image whose scan names a component or table that is not there. Finding that out
here takes microseconds, and catches damage to the head of a file that its markers alone do not show.
"""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

from functools import lru_cache
from typing import Final

_CACHED: Final = 8 * (1 + 16 + 256)
"""Bytes of a segment that holds every table there can be; the same few tables are in
most files, so what they say is remembered."""
_LENGTHS: Final = 16
"""Lengths that a Huffman code may have, bits, from 1."""


class Tables:
    """The tables defined so far and the components that will use them."""

    def __init__(self) -> None:
        self._quantization: set[int] = set()
        self._huffman: set[int] = set()
        self._components: dict[int, int] = {}

    def define_quantization(self, body: bytes) -> str | None:
        """Takes in a DQT segment; returns what is wrong with it."""
        numbers = _quantization_numbers(body) if len(body) <= _CACHED else None
        if numbers is None:
            return "a quantization table is damaged"
        self._quantization |= numbers
        return None

    def define_huffman(self, body: bytes) -> str | None:
        """Takes in a DHT segment; returns what is wrong with it."""
        heads = _huffman_heads(body) if len(body) <= _CACHED else None
        if heads is None:
            return "a Huffman table is damaged"
        self._huffman |= heads
        return None

    def define_components(self, body: bytes) -> str | None:
        """Takes in the components of a frame header, three bytes each; returns what is wrong with them."""
        for at in range(0, len(body), 3):
            identifier, sampling, table = body[at : at + 3]
            if not (1 <= sampling >> 4 <= 4 and 1 <= sampling & 15 <= 4) or table > 3:
                return "a component's sampling is impossible"
            self._components[identifier] = table
        if 3 * len(self._components) != len(body):
            return "two components have the same name"
        return None

    def check_scan(self, body: bytes, *, sequential: bool) -> tuple[str | None, bool]:
        """Looks at the first scan's header.

        Returns:
            What is wrong with it, and whether all Huffman tables that it names are there: images
            without any (frames of a film) are read by some decoders and refused by others.
        """
        count = body[0] if body else 0
        if not 1 <= count <= 4 or len(body) != 4 + 2 * count:
            return "the scan header has the wrong length", True
        complete = True
        for at in range(1, 1 + 2 * count, 2):
            identifier, tables = body[at], body[at + 1]
            if identifier not in self._components:
                return "the scan names a component that is not there", True
            needed = {tables >> 4} | ({0x10 | tables & 15} if sequential else set())
            complete = complete and needed <= self._huffman
        if not set(self._components.values()) <= self._quantization:
            return "a quantization table is missing", True
        start, end = body[-3], body[-2]
        if sequential and (start, end, body[-1]) != (0, 63, 0):
            return "the scan's range of coefficients is impossible", True
        if start > end or end > 63:
            return "the scan's range of coefficients is impossible", True
        return None, complete


@lru_cache(maxsize=256)
def _quantization_numbers(body: bytes) -> frozenset[int] | None:
    """The numbers of the tables in a DQT segment, None if it is damaged."""
    numbers: set[int] = set()
    at = 0
    while at < len(body):
        precision, number = body[at] >> 4, body[at] & 15
        at += 65 + 64 * precision
        if precision > 1 or number > 3 or at > len(body):
            return None
        numbers.add(number)
    return frozenset(numbers)


@lru_cache(maxsize=256)
def _huffman_heads(body: bytes) -> frozenset[int] | None:
    """Class (upper four bits) and number of each table in a DHT segment, None if it is damaged."""
    heads: set[int] = set()
    at = 0
    while at < len(body):
        head = body[at]
        counts = body[at + 1 : at + 1 + _LENGTHS]
        at += 1 + _LENGTHS + sum(counts)
        if head >> 4 > 1 or head & 15 > 3 or at > len(body) or not _is_code(counts):
            return None
        heads.add(head)
    return frozenset(heads)


def _is_code(counts: bytes) -> bool:
    """Whether so many codes of each length can exist (Kraft's inequality)."""
    used = sum(count << (_LENGTHS - length) for length, count in enumerate(counts, 1))
    return 0 < used <= 1 << _LENGTHS and sum(counts) <= 256
