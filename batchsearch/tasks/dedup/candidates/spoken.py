"""What the catalogue's own columns say of pairs of products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.off_memory import Room

SILENT: Final = -1


def value_of_products(
    value: NDArray[np.int32], product: NDArray[np.int32], shown: NDArray[np.bool_], count: int, room: Room
) -> NDArray[np.int32]:
    """The one value of each product; `SILENT` where its rows have none, or not all the same.

    Args:
        value: By row; negative where the cell is empty.
        product: By row.
        shown: Rows that count.
        count: Products that there are.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    lowest = room.array(count, np.int32, np.iinfo(np.int32).max)
    highest = room.array(count, np.int32, SILENT)
    for some in pieces(len(value)):
        filled = np.flatnonzero((value[some] >= 0) & shown[some]) + some.start
        np.minimum.at(lowest, product[filled], value[filled])
        np.maximum.at(highest, product[filled], value[filled])
    for some in pieces(count):
        highest[some][lowest[some] != highest[some]] = SILENT
    return highest


def speaking_column(
    values: Sequence[NDArray[np.int32]],
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    *,
    equal: bool,
) -> NDArray[np.int8]:
    """For each pair the first column that speaks, by its place; `SILENT` for none.

    Args:
        values: The values of products, by column.
        a: One product of each pair.
        b: The other.
        equal: Whether equal values speak, or different ones.
    """
    speaks = np.full(len(a), SILENT, np.int8)
    for place, value in enumerate(values):
        one, other = value[a], value[b]
        said = (one >= 0) & (other >= 0) & ((one == other) == equal)
        speaks[said & (speaks == SILENT)] = place
    return speaks


def all_agree(
    values: Sequence[NDArray[np.int32]], a: NDArray[np.int32], b: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """For each pair whether both products have one value in every column; False without columns."""
    agree = np.full(len(a), bool(values))
    for value in values:
        agree &= (value[a] >= 0) & (value[a] == value[b])
    return agree
