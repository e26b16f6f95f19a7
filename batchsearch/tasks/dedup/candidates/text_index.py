"""Finds the places of texts in a list, in memory that does not grow with how long the texts are.

A text is known by 96 bits that multipliers drawn by chance make of it: 16 bytes a text, whatever its length.
Two texts of a list that share the first 64 bits are seen when the list is taken in, and other multipliers are
drawn. A text that is not in the list is taken for one with a chance of one in 10^21, with 50 million texts
in it. Nothing that is written depends on the multipliers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

_AT_ONCE: Final = 1 << 18
_WORD: Final = 8
_MASKS: Final = np.array([(1 << 8 * size) - 1 for size in range(_WORD + 1)], np.uint64)
_HALF: Final = np.uint64(32)
_NOT_FOUND: Final = -1
_KNOWN: Final = np.dtype([("bits", np.uint64), ("more", np.uint32), ("place", np.int32)])
_AS_ONE: Final = np.complex128
"""A number of the size of those three, which is faster to pick: they are read together."""


@dataclass(frozen=True, slots=True)
class Multipliers:
    """What makes bits of texts: odd numbers of 64 bits, and a number to begin with."""

    first: np.uint64
    second: np.uint64
    last: np.uint64
    start: np.uint64

    @classmethod
    def drawn(cls) -> Multipliers:
        """Such that nobody can make texts that share their bits."""
        return cls(*(np.uint64(secrets.randbits(64) | 1) for _ in range(4)))


def bits_of(texts: pa.Array, by: Multipliers) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """The bits of each text: 64, and 32 more. Null counts as an empty text."""
    if len(texts) == 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint32)
    kind = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, ends, data = texts.buffers()
    ends = np.frombuffer(ends, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    begin, end = int(ends[0]), int(ends[-1])
    # From every byte a whole word can be read.
    padded = np.zeros(end - begin + _WORD, np.uint8)
    if end > begin:
        padded[: end - begin] = np.frombuffer(data, np.uint8)[begin:end]
    words: NDArray[np.uint64] = np.ndarray((end - begin + 1,), np.uint64, padded, strides=(1,))
    left = np.diff(ends)
    bits = left.astype(np.uint64) * by.last ^ by.start
    more = bits * by.second
    place = ends[:-1] - begin
    if int(left.min()) == int(left.max()):
        for at in range(0, int(left[0]), _WORD):
            word = words[place + at] & _MASKS[min(int(left[0]) - at, _WORD)]
            bits, more = _mixed(bits ^ word, by.first), _mixed(more ^ word, by.second)
    else:
        longer = np.flatnonzero(left > 0)
        at = 0
        while len(longer):
            word = words[place[longer] + at] & _MASKS[np.minimum(left[longer] - at, _WORD)]
            bits[longer] = _mixed(bits[longer] ^ word, by.first)
            more[longer] = _mixed(more[longer] ^ word, by.second)
            at += _WORD
            longer = longer[left[longer] > at]
    return _mixed(bits, by.last), (_mixed(more, by.first) >> _HALF).astype(np.uint32)


def _mixed(bits: NDArray[np.uint64], multiplier: np.uint64) -> NDArray[np.uint64]:
    bits = bits * multiplier
    bits ^= bits >> _HALF
    return bits


class TextIndex:
    """The places of texts that are each in a list once; made when it is first asked.

    Args:
        texts: The list.
        room: Where what is known of them is kept when it is much; None for memory.

    Attributes:
        texts: The list.
    """

    def __init__(self, texts: pa.Array, room: Room | None = None) -> None:
        self.texts = texts
        self._room = room
        self._by: Multipliers | None = None
        self._known = np.zeros(0, _KNOWN)
        self._begins: NDArray[np.int32] = np.zeros(0, np.int32)
        self._shift = np.uint64(0)

    def places(self, texts: pa.Array) -> NDArray[np.int32]:
        """Each text's place; -1 where it is not in the list, and for null."""
        if self._by is None:
            self._by = self._made()
        found = self._array(len(texts), np.dtype(np.int32))
        for start in range(0, len(texts), _AT_ONCE):
            some = texts.slice(start, _AT_ONCE)
            places = self._found(*bits_of(some, self._by))
            if some.null_count:
                places[some.is_null().to_numpy(zero_copy_only=False)] = _NOT_FOUND
            found[start : start + len(some)] = places
        return found

    def _array(self, count: int, kind: np.dtype[Any]) -> NDArray[Any]:
        return np.empty(count, kind) if self._room is None else self._room.array(count, kind)

    def _made(self) -> Multipliers:
        count = len(self.texts)
        # The first bits lead to a few texts, one of which it is.
        width = max(1, count.bit_length())
        self._shift = np.uint64(64 - width)
        while True:
            by = Multipliers.drawn()
            sizes = self._array((1 << width) + 1, np.dtype(np.int32))
            sizes[:] = 0
            for _, bits, _ in self._pieces(by):
                np.add.at(sizes, (bits >> self._shift).view(np.int64) + 1, np.int32(1))
            self._begins = np.cumsum(sizes, out=sizes)
            self._known = self._array(count, _KNOWN)
            self._fill(by)
            if self._put_in_order():
                return by

    def _pieces(self, by: Multipliers) -> Iterator[tuple[int, NDArray[np.uint64], NDArray[np.uint32]]]:
        for start in range(0, len(self.texts), _AT_ONCE):
            yield start, *bits_of(self.texts.slice(start, _AT_ONCE), by)

    def _fill(self, by: Multipliers) -> None:
        """Put what is known of each text among those with the same first bits."""
        free = self._array(len(self._begins) - 1, np.dtype(np.int32))
        free[:] = self._begins[:-1]
        for start, unsorted, more in self._pieces(by):
            order = np.argsort(unsorted)
            bits = unsorted[order]
            bucket = (bits >> self._shift).view(np.int64)
            first = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
            times = np.diff(first, append=len(bucket))
            at = free[bucket] + np.arange(len(bucket)) - np.repeat(first, times)
            free[bucket[first]] += times.astype(np.int32)
            known = np.empty(len(bits), _KNOWN)
            known["bits"], known["more"], known["place"] = bits, more[order], start + order
            self._known.view(_AS_ONE)[at] = known.view(_AS_ONE)

    def _put_in_order(self) -> bool:
        """Have all ascend by their bits; whether no two have the same ones."""
        bounds = np.searchsorted(self._begins, np.arange(0, len(self.texts), _AT_ONCE))
        bounds = np.append(self._begins[bounds], len(self.texts))
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            some = self._known[start:end]
            some[:] = some[np.argsort(some["bits"])]
            if (some["bits"][1:] == some["bits"][:-1]).any():
                return False
        return True

    def _found(self, bits: NDArray[np.uint64], more: NDArray[np.uint32]) -> NDArray[np.int32]:
        found = np.full(len(bits), _NOT_FOUND, np.int32)
        bucket = (bits >> self._shift).view(np.int64)
        at, end = self._begins.take(bucket), self._begins.take(bucket + 1)
        asked = np.flatnonzero(at < end)
        if len(asked) < len(bits):
            at, end, bits, more = at[asked], end[asked], bits[asked], more[asked]
        while len(asked):
            there = self._known.view(_AS_ONE).take(at).view(_KNOWN)
            here = np.flatnonzero((there["bits"] == bits) & (there["more"] == more))
            found[asked[here]] = there["place"][here]
            at += 1
            left = np.flatnonzero((there["bits"] < bits) & (at < end))
            asked, at, end, bits, more = asked[left], at[left], end[left], bits[left], more[left]
        return found
