"""The few rows of a long table that are worth showing, kept while it streams by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

T = TypeVar("T")


class Best(Generic[T]):
    """Keeps the `limit` rows with the lowest places; of equal places the earlier rows.

    Args:
        limit: Most rows kept; 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[tuple[float, int, T]] = []
        self._seen = 0
        self._worst = np.inf

    def offer(
        self, places: npt.NDArray[np.float64], take: Callable[[npt.NDArray[np.int64]], Sequence[T]]
    ) -> None:
        """Look at a batch; only rows that may stay are taken out of it.

        Args:
            places: One number a row, lowest best; NaN never stays.
            take: Gives the rows at these positions of the batch.
        """
        offered = len(places)
        full = len(self._kept) >= self._limit
        able = np.flatnonzero(places < self._worst if full else ~np.isnan(places))
        if self._limit > 0 and len(able):
            if len(able) > self._limit:
                order = np.argsort(places[able], kind="stable")[: self._limit]
                able = np.sort(able[order])
            rows = take(able)
            self._kept += [
                (float(places[position]), self._seen + int(position), row)
                for position, row in zip(able, rows, strict=True)
            ]
            self._kept.sort(key=lambda kept: kept[:2])
            del self._kept[self._limit :]
            if len(self._kept) == self._limit:
                self._worst = self._kept[-1][0]
        self._seen += offered

    def rows(self) -> list[T]:
        """What was kept, best first."""
        return [row for _, _, row in self._kept]
