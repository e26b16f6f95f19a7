"""Keeps each pair once while matches are read, in memory or, where there are too many, in files.

What memory does not hold is written in order, some million pairs a file. Files are put together again piece
by piece between keys that each was looked at for, so that memory holds one piece at a time.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.matches import (
    Pairs,
    folded,
    no_pairs,
    pair_key,
    pairs_of,
    taken,
    together,
)
from batchsearch.tasks.dedup.candidates.off_memory import Room, give_back, mapped

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.matches import Matches

_FOLD_AT: Final = 1_000_000
_SAMPLES: Final = 256
_COLUMNS: Final = tuple(field.name for field in fields(Pairs))
_KINDS: Final = tuple((name, getattr(no_pairs(), name).dtype) for name in _COLUMNS)
_ALIGNED: Final = 8


class _PairFiles:
    """Takes pairs, some after the others, each column into a file of its own."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._files: list[BinaryIO] = []

    def add(self, pairs: Pairs) -> None:
        self._files = self._files or [self._room.file() for _ in _KINDS]
        with self._room.writing():
            for file, (name, kind) in zip(self._files, _KINDS, strict=True):
                file.write(np.ascontiguousarray(getattr(pairs, name), kind).data)

    def pairs(self) -> Pairs:
        if not self._files:
            return no_pairs()
        with self._room.writing():
            return Pairs(
                *(
                    np.frombuffer(mapped(file), kind)
                    for file, (_, kind) in zip(self._files, _KINDS, strict=True)
                )
            )


class _Runs:
    """Takes pairs that are in order, run by run, all into one file: open files do not grow with them."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._file: BinaryIO | None = None
        self._begins: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._begins)

    def add(self, pairs: Pairs) -> None:
        if self._file is None:
            self._file = self._room.file()
        with self._room.writing():
            self._begins.append((self._file.tell(), len(pairs)))
            for name, kind in _KINDS:
                column = np.ascontiguousarray(getattr(pairs, name), kind)
                self._file.write(column.data)
                self._file.write(bytes(-column.nbytes % _ALIGNED))

    def taken(self) -> list[Pairs]:
        """All runs; none is left."""
        if self._file is None:
            return []
        with self._room.writing():
            whole = mapped(self._file)
        runs = []
        for begin, count in self._begins:
            columns, at = {}, begin
            for name, kind in _KINDS:
                columns[name] = np.frombuffer(whole, kind, count, at)
                size = count * kind.itemsize
                at += size + -size % _ALIGNED
            runs.append(Pairs(**columns))
        self._file, self._begins = None, []
        return runs


class PairFolder:
    """Takes matches as they are read and keeps each pair once; what there is of it grows with the pairs.

    Args:
        room: Where pairs are that are too many for memory; None keeps all in memory.
        fold_at: Matches in memory before they are folded into the pairs.
    """

    def __init__(self, room: Room | None = None, *, fold_at: int = _FOLD_AT) -> None:
        self._room = room or Room()
        self._fold_at = fold_at
        self._waiting: list[Pairs] = []
        self._held = 0
        self._runs = _Runs(self._room)

    def add(self, matches: Matches) -> None:
        """Takes matches.

        Raises:
            OutputError: The disk refuses.
        """
        if len(matches):
            self._waiting.append(folded(pairs_of(matches)))
            self._held += len(self._waiting[-1])
        if self._held >= self._fold_at + (len(self._waiting[0]) if self._waiting else 0):
            self._fold()

    def pairs(self) -> Pairs:
        """All pairs so far, each once.

        Raises:
            OutputError: The disk refuses.
        """
        self._fold()
        if not self._runs:
            return self._waiting[0] if self._waiting else no_pairs()
        files = [*self._runs.taken(), *self._waiting]
        found = _PairFiles(self._room)
        cuts = _cuts(files, max(1, self._room.in_memory // 2))
        for number in range(len(cuts[0]) - 1):
            piece = [
                taken(pairs, slice(at[number], at[number + 1])) for pairs, at in zip(files, cuts, strict=True)
            ]
            found.add(folded(together(piece)))
        self._waiting = [found.pairs()]
        self._held = len(self._waiting[0])
        return self._waiting[0]

    def _fold(self) -> None:
        if len(self._waiting) > 1:
            self._waiting = [folded(together(self._waiting))]
        self._held = sum(map(len, self._waiting))
        # What is folded with others is in memory three times for a moment.
        if self._waiting and self._room.is_full(2 * _size(self._waiting)):
            self._runs.add(self._waiting[0])
            self._waiting, self._held = [], 0
            give_back()


def kept(pairs: Pairs, there: NDArray[np.bool_], room: Room) -> Pairs:
    """The pairs whose products both are there.

    Args:
        pairs: Pairs.
        there: By product.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    if there.all():
        return pairs
    if not room.is_full(_size([pairs])):
        return taken(pairs, there[pairs.a] & there[pairs.b])
    found = _PairFiles(room)
    for some in pieces(len(pairs)):
        piece = taken(pairs, some)
        found.add(taken(piece, there[piece.a] & there[piece.b]))
    return found.pairs()


def inserted(pairs: Pairs, added: Pairs, room: Room) -> Pairs:
    """The pairs and others, none of which is among them.

    Raises:
        OutputError: The disk refuses.
    """
    added = folded(added)
    if len(pairs) <= in_pieces.AT_ONCE:
        return folded(together([pairs, added]))
    found = _PairFiles(room)
    key, start = added.key, 0
    for some in pieces(len(pairs)):
        piece = taken(pairs, some)
        last = some.stop == len(pairs)
        end = len(key) if last else int(np.searchsorted(key, piece.key[-1]))
        found.add(folded(together([piece, taken(added, slice(start, end))])) if end > start else piece)
        start = end
    return found.pairs()


def _size(several: list[Pairs]) -> int:
    return sum(int(getattr(pairs, name).nbytes) for pairs in several for name in _COLUMNS)


def _cuts(files: list[Pairs], piece: int) -> list[list[int]]:
    """Where each file is cut, so that pieces of about so many bytes hold all there is of their pairs."""
    wanted = -(-_size(files) // piece)
    samples = []
    for pairs in files:
        at = np.linspace(0, len(pairs) - 1, min(len(pairs), _SAMPLES)).astype(int)
        samples.append(pair_key(pairs.a[at], pairs.b[at]))
    ordered = np.sort(np.concatenate(samples))
    between = np.unique(ordered[[len(ordered) * number // wanted for number in range(1, wanted)]]).tolist()
    return [[0, *(_first_at_least(pairs, key) for key in between), len(pairs)] for pairs in files]


def _first_at_least(pairs: Pairs, key: int) -> int:
    """The first place whose key is not below this one."""
    a, b = key >> 32, key & 0xFFFFFFFF
    low, high = np.searchsorted(pairs.a, np.int32(a)), np.searchsorted(pairs.a, np.int32(a), "right")
    return int(low + np.searchsorted(pairs.b[low:high], np.int32(b)))
