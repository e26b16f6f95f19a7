"""Which of a row's outcomes is the latest one, and which rows each part keeps (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


_YEARS: Final = 1e17
"""More microseconds than any two moments are apart: the number of outcomes counts before the moment."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What becomes of a part's rows.

    Attributes:
        latest: Which of them are their rows' latest outcomes, and stand in no other part that is kept.
        earlier: Which of them are outcomes that later ones have replaced.
        lost: Which of them are their rows' latest outcomes and lack what belongs to them.
    """

    latest: NDArray[np.bool_]
    earlier: NDArray[np.bool_]
    lost: NDArray[np.bool_]

    @property
    def whole(self) -> bool:
        """Whether the part can stay as it is."""
        return bool(self.latest.all())


def chosen(parts: Sequence[tuple[int, NDArray[Any]]], usable: Sequence[NDArray[np.bool_]]) -> list[Kept]:
    """Choose the latest outcome of each row, once.

    The one that had more outcomes before it is the later one, then the one that was finished later. Of copies
    of one outcome, as a merged part and the parts that it was made of have, the part with the higher number
    has the one that counts.

    Args:
        parts: Number and rows (`finding.ROW`) of each.
        usable: Which of its rows have all that belongs to them.
    """
    if not parts:
        return []
    rows = np.concatenate([rows for _, rows in parts])
    part = np.repeat(np.arange(len(parts)), [len(each) for _, each in parts])
    number = np.array([each for each, _ in parts])[part]
    good = np.concatenate([*usable]) if usable else np.zeros(0, bool)
    halves = np.frombuffer(rows["digest"].tobytes(), "<u8").reshape(-1, 2)
    # The last key is the one that np.lexsort goes by first: each row's usable, latest outcome comes last.
    place = np.arange(len(rows))
    order = np.lexsort((place, number, rows["finished"], rows["earlier"], good, halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    last = np.ones(len(order), bool)
    last[:-1] = (ordered[1:] != ordered[:-1]).any(axis=1)
    wins = np.zeros(len(rows), bool)
    wins[order[last]] = good[order[last]]
    # Of which outcome each row's winner is, for all of its copies.
    group = np.cumsum(np.concatenate(([True], last[:-1]))) - 1 if len(order) else np.zeros(0, np.int64)
    winner = order[last][group]
    older = np.zeros(len(rows), bool)
    older[order] = good[order] & (
        (rows["earlier"][order] != rows["earlier"][winner])
        | (rows["finished"][order] != rows["finished"][winner])
    )
    lost = np.zeros(len(rows), bool)
    when = rows["earlier"].astype(np.float64) * _YEARS + rows["finished"]
    lost[order] = ~good[order] & (~good[winner] | (when[order] > when[winner]))
    bounds = np.cumsum([0, *(len(each) for _, each in parts)])
    return [Kept(wins[start:stop], older[start:stop], lost[start:stop]) for start, stop in pairwise(bounds)]
