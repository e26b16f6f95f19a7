"""How old rows are, as numbers that order like what a column says: nothing is the youngest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.coding import Coding, numbered
from batchsearch.tasks.dedup.candidates.in_pieces import pieces
from batchsearch.tasks.dedup.candidates.off_memory import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

NOTHING: Final = np.iinfo(np.int64).max
"""The age of a row of which nothing is said."""

_NOT_A_NUMBER: Final = NOTHING - 1


class Ages:
    """Takes what a column says of rows, some after the others, and gives numbers that order alike.

    Args:
        count: Rows that will come.
        room: For what memory does not hold.
    """

    def __init__(self, count: int, room: Room) -> None:
        self._room = room
        self._numbers = room.array(count, np.int64, NOTHING)
        self._end = 0
        self._texts: Texts | None = None
        self._others: list[pa.Array] = []

    def add(self, column: pa.Array) -> None:
        """Take more rows.

        Raises:
            OutputError: The disk refuses.
        """
        if _is_text(column.type):
            self._texts = self._texts or Texts(self._room)
            self._texts.add(column.cast(pa.string()))
        elif (numbers := _as_whole(column)) is not None:
            self._numbers[self._end : self._end + len(column)] = numbers
        else:
            self._others.append(column)
        self._end += len(column)

    def order(self) -> NDArray[np.int64]:
        """The numbers of all rows; nothing can be added then.

        Raises:
            OutputError: The disk refuses.
        """
        if self._texts is not None:
            place = numbered(self._texts.array(), Coding(self._room))[1]
            for some in pieces(len(place)):
                self._numbers[some] = place[some]
                self._numbers[some][place[some] < 0] = NOTHING
        elif self._others:
            ranks = pc.rank(pa.chunked_array(self._others), sort_keys="ascending", tiebreaker="min")
            self._numbers[:] = ranks.to_numpy()
        return self._numbers


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_whole(column: pa.Array) -> NDArray[np.int64] | None:
    """Whole numbers that order like these; None where the column is of no such kind."""
    kind = column.type
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_null(kind):
        return np.full(len(column), NOTHING)
    if pa.types.is_floating(kind):
        real = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False) + 0.0
        bits = real.view(np.int64)
        # Of two numbers below zero the one with the larger bits is the smaller.
        whole = np.where(bits < 0, np.bitwise_xor(bits, np.int64(NOTHING)), bits)
        whole[np.isnan(real)] = _NOT_A_NUMBER
    elif pa.types.is_boolean(kind) or (pa.types.is_integer(kind) and kind != pa.uint64()):
        whole = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        narrow = pa.int32() if kind.bit_width == 32 else pa.int64()  # noqa: PLR2004 - bits
        whole = column.cast(narrow).cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    else:
        return None
    return np.where(missing, NOTHING, whole)
