"""Texts as numbers: the different ones of a column, ascending, and the place of each cell among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.off_memory import Texts, give_back
from batchsearch.tasks.dedup.candidates.sorted_rows import SortedRows
from batchsearch.tasks.dedup.candidates.text_index import TextIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

_ROWS_AT_ONCE: Final = 1 << 19


class Coding:
    """The different texts of a column, ascending, each once."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._sorted = SortedRows("text", room)

    def add(self, texts: pa.Array) -> None:
        """Take texts; null is none.

        Raises:
            OutputError: The disk refuses.
        """
        self._sorted.add(pa.table({"text": pc.unique(texts).drop_null()}))

    def texts(self) -> pa.Array:
        """All different ones.

        Raises:
            OutputError: The disk refuses.
        """
        found = Texts(self.room)
        for piece in self._sorted.pieces():
            texts = piece.column("text").combine_chunks()
            for each in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
                found.add(_each_once(each))
        return found.array()


def _each_once(texts: pa.Array) -> pa.Array:
    """The different ones of texts that ascend; no text is in two pieces."""
    if len(texts) < 2:  # noqa: PLR2004 - a text and the one before it
        return texts
    new = pc.not_equal(texts[1:], texts[:-1]).to_numpy(zero_copy_only=False)
    return texts if new.all() else texts.filter(pa.array(np.concatenate(([True], new))))


def numbered(
    column: pa.Array, coding: Coding, *, empty: str | None = None
) -> tuple[TextIndex, NDArray[np.int32]]:
    """The different texts of a column and of those taken before, and each cell's place among them.

    Args:
        column: The cells.
        coding: Takes the texts.
        empty: What null counts as; None makes it -1.
    """
    missing = empty is not None and column.null_count > 0
    if missing:
        coding.add(pa.array([empty], pa.string()))
    for start in range(0, len(column), _ROWS_AT_ONCE):
        coding.add(column.slice(start, _ROWS_AT_ONCE).cast(pa.string()))
    index = TextIndex(coding.texts(), coding.room)
    give_back()
    number = index.places(column)
    if missing:
        place = index.places(pa.array([empty], pa.string()))[0]
        for start in range(0, len(number), _ROWS_AT_ONCE):
            some = number[start : start + _ROWS_AT_ONCE]
            some[some < 0] = place
    return index, number
