"""Keeps each pair once while matches are read, in memory or, where there are too many, in files.

What memory does not hold is written in order, some million pairs a file. Files are put together again piece
by piece between keys that each was looked at for, so that memory holds one piece at a time.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.matches import Pairs, folded, no_pairs, pairs_of, taken, together
from batchsearch.tasks.dedup.candidates.off_memory import Room, give_back, mapped

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.matches import Matches

_FOLD_AT: Final = 1_000_000
_AT_ONCE: Final = 1 << 20
_SAMPLES: Final = 64
_COLUMNS: Final = tuple(field.name for field in fields(Pairs))


class _PairFiles:
    """Takes pairs, some after the others, each column into a file of its own."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._files: dict[str, tuple[BinaryIO, np.dtype[Any]]] = {}

    def add(self, pairs: Pairs) -> None:
        try:
            for name in _COLUMNS:
                column = np.ascontiguousarray(getattr(pairs, name))
                if name not in self._files:
                    self._files[name] = self._room.file(), column.dtype
                self._files[name][0].write(column.data)
        except OSError as error:
            raise self._room.refused(error) from error

    def pairs(self) -> Pairs:
        if not self._files:
            return no_pairs()
        try:
            return Pairs(
                **{name: np.frombuffer(mapped(file), kind) for name, (file, kind) in self._files.items()}
            )
        except OSError as error:
            raise self._room.refused(error) from error


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
        self._files: list[Pairs] = []

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
        if not self._files:
            return self._waiting[0] if self._waiting else no_pairs()
        files = [*self._files, *self._waiting]
        found = _PairFiles(self._room)
        cuts = _cuts(files, max(1, self._room.in_memory // 2))
        for number in range(len(cuts[0]) - 1):
            pieces = [
                taken(pairs, slice(at[number], at[number + 1])) for pairs, at in zip(files, cuts, strict=True)
            ]
            found.add(folded(together(pieces)))
        self._files, self._waiting = [found.pairs()], []
        self._held = 0
        return self._files[0]

    def _fold(self) -> None:
        if len(self._waiting) > 1:
            self._waiting = [folded(together(self._waiting))]
        self._held = sum(map(len, self._waiting))
        if self._waiting and self._room.is_full(_size(self._waiting)):
            file = _PairFiles(self._room)
            file.add(self._waiting[0])
            self._files.append(file.pairs())
            self._waiting, self._held = [], 0
            give_back()


def kept(pairs: Pairs, which: NDArray[np.bool_], room: Room) -> Pairs:
    """Some of the pairs, by mask.

    Raises:
        OutputError: The disk refuses.
    """
    if which.all():
        return pairs
    if not room.is_full(_size([pairs])):
        return taken(pairs, which)
    found = _PairFiles(room)
    for start in range(0, len(pairs), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        found.add(taken(taken(pairs, some), which[some]))
    return found.pairs()


def _size(several: list[Pairs]) -> int:
    return sum(int(getattr(pairs, name).nbytes) for pairs in several for name in _COLUMNS)


def _cuts(files: list[Pairs], piece: int) -> list[list[int]]:
    """Where each file is cut, so that pieces of about so many bytes hold all there is of their pairs."""
    wanted = -(-_size(files) // piece)
    keys = [pairs.key for pairs in files]
    samples = np.sort(
        np.concatenate(
            [key[np.linspace(0, len(key) - 1, min(len(key), wanted * _SAMPLES)).astype(int)] for key in keys]
        )
    )
    between = np.unique(samples[[len(samples) * number // wanted for number in range(1, wanted)]])
    return [[0, *np.searchsorted(key, between).tolist(), len(key)] for key in keys]
