"""Long columns worked on piece by piece: what memory holds at once does not grow with them.

Columns are in memory or, where they are long, in files that the system maps (`off_memory`). Whatever is made
of a column on the way, a mask or an order, is made of one piece at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

AT_ONCE = 1 << 19
"""Rows of a piece."""

_SAMPLES: Final = 64
"""Keys that are looked at for each piece that is to be put in order."""


def pieces(count: int) -> Iterator[slice]:
    """So many rows, some at a time."""
    for start in range(0, count, AT_ONCE):
        yield slice(start, min(start + AT_ONCE, count))


def overlapping(count: int) -> Iterator[slice]:
    """As `pieces`, each with the first row of the next one."""
    for some in pieces(count):
        yield slice(some.start, some.stop + 1)


def places_of(which: NDArray[np.bool_], room: Room) -> NDArray[np.int32]:
    """The positions at which a mask is set, ascending."""
    found = room.array(int(which.sum()), np.int32)
    end = 0
    for some in pieces(len(which)):
        at = np.flatnonzero(which[some])
        found[end : end + len(at)] = at + some.start
        end += len(at)
    return found


def ranks_of(which: NDArray[np.bool_], room: Room) -> NDArray[np.int32]:
    """By position: its place among those at which the mask is set; -1 where it is not."""
    rank = room.array(len(which), np.int32)
    end = 0
    for some in pieces(len(which)):
        up = np.cumsum(which[some], dtype=np.int32)
        rank[some] = np.where(which[some], up + (end - 1), -1)
        end += int(up[-1])
    return rank


def counted(numbers: NDArray[np.integer[Any]], count: int, room: Room) -> NDArray[np.int32]:
    """How often each number below `count` is there."""
    found = room.array(count, np.int32, 0)
    for some in pieces(len(numbers)):
        np.add.at(found, numbers[some], np.int32(1))
    return found


def begins_of(sizes: NDArray[np.int32], room: Room) -> NDArray[np.int64]:
    """Where each group begins, and at last the end, when groups of these sizes follow one another."""
    begins = room.array(len(sizes) + 1, np.int64)
    begins[0] = 0
    for some in pieces(len(sizes)):
        up = np.cumsum(sizes[some], dtype=np.int64)
        begins[some.start + 1 : some.stop + 1] = up + begins[some.start]
    return begins


class Grouping:
    """Where rows go that are to be together by their numbers; those of one number stay in their order.

    Args:
        sizes: How many rows each number has.
        room: For what memory does not hold.

    Attributes:
        begins: Where the rows of each number begin, and at last the end.
    """

    def __init__(self, sizes: NDArray[np.int32], room: Room) -> None:
        self.begins = begins_of(sizes, room)
        self._free = room.array(len(sizes), np.int64)
        for some in pieces(len(sizes)):
            self._free[some] = self.begins[some]

    def places(self, numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Where the next rows go, by their numbers; each row is asked for once."""
        at = np.empty(len(numbers), np.int64)
        if len(numbers) == 0:
            return at
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        times = np.diff(first, append=len(ordered))
        at[order] = self._free[ordered] + np.arange(len(ordered)) - np.repeat(first, times)
        self._free[ordered[first]] += times
        return at

    def bounds(self) -> Iterator[tuple[int, int]]:
        """Numbers from one to another, whose rows together are about one piece, at least one number's."""
        last = len(self.begins) - 1
        start = 0
        while start < last:
            end = int(np.searchsorted(self.begins, self.begins[start] + AT_ONCE, "right")) - 1
            end = min(max(end, start + 1), last, start + AT_ONCE)
            yield start, end
            start = end


def in_order(keys: NDArray[np.complex128], room: Room) -> NDArray[np.int32]:
    """The positions of keys, ascending by the real part, then by the other; equal ones in their order."""
    order = room.array(len(keys), np.int32)
    if len(keys) <= AT_ONCE:
        order[:] = np.argsort(keys, kind="stable")
        return order
    wanted = 2 * -(-len(keys) // AT_ONCE)
    step = max(1, len(keys) // (wanted * _SAMPLES))
    samples = np.sort(keys[::step])
    between, times = np.unique(
        samples[[len(samples) * number // wanted for number in range(1, wanted)]], return_counts=True
    )
    # Keys that are many are a piece of their own, which is in order as it is.
    behind = between[times > 1]
    behind = behind.real + 1j * np.nextafter(behind.imag, np.inf)
    between = np.unique(np.concatenate((between, behind)))
    piece = room.array(len(keys), np.int32)
    for some in pieces(len(keys)):
        piece[some] = np.searchsorted(between, keys[some], "right")
    grouping = Grouping(counted(piece, len(between) + 1, room), room)
    for some in pieces(len(keys)):
        order[grouping.places(piece[some])] = np.arange(some.start, some.stop)
    for start, end in zip(grouping.begins[:-1].tolist(), grouping.begins[1:].tolist(), strict=True):
        at = order[start:end]
        if not _are_equal(keys, at):
            at[:] = at[np.argsort(keys[at], kind="stable")]
    return order


def _are_equal(keys: NDArray[np.complex128], at: NDArray[np.int32]) -> bool:
    return all(bool((keys[at[some]] == keys[at[0]]).all()) for some in pieces(len(at)))
