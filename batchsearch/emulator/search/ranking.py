"""From everyone's raw similarity to the best few in a fixed order. Pure.

Raw similarities are wrong by a known amount, whose last bits depend on how many queries shared the product.
So they only choose candidates: every row that can be among the best, however wrong each of them is. These
are scored again in float64, rounded to six decimals, and ranked by that, older items first where scores are
equal. The order is therefore the same whoever else was searching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DECIMALS: Final = 6

MARGIN: Final = 2e-6
"""More than rounding to six decimals, and sums in float32, change."""

_STRETCH: Final = 1_024
"""Rows whose best one stands for all of them at first."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best rows of one search.

    Attributes:
        rows: Best first.
        scores: Similarity of each, -1 to 1, six decimals.
        total: How many rows (products, where only one image of each is kept) match in all.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    total: int


def rank(
    raw: NDArray[np.float32],
    errors: NDArray[np.float32],
    *,
    rescore: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    most: int,
    mask: NDArray[np.bool_] | None = None,
    threshold: float = 0.0,
    products: NDArray[np.int64] | None = None,
    total: int | None = None,
) -> Ranked:
    """The `most` best rows that match.

    Args:
        raw: Similarity of every row, float32.
        errors: How wrong that can be, rounding aside.
        rescore: Exact similarities of the rows named, rounded to `DECIMALS`.
        most: How many to return at most.
        mask: Rows that may be returned; None for all.
        threshold: Rows that score less are left out; 0 or less leaves none out, since scores below 0
            count as 0.
        products: Each row's product; only the best row of each is then returned. None returns all.
        total: How many products match, where that is known.
    """
    wrong = errors + np.float32(MARGIN)
    least, greatest = raw - wrong, raw + wrong
    rows = None if mask is None else np.flatnonzero(mask)
    if rows is not None:
        least, greatest = least[rows], greatest[rows]
    if threshold > 0:
        kept = greatest >= threshold
        unsure = np.flatnonzero(kept & (least < threshold))
        kept[unsure] = rescore(unsure if rows is None else rows[unsure]) >= threshold
        rows = np.flatnonzero(kept) if rows is None else rows[kept]
        least, greatest = least[kept], greatest[kept]
    if products is None:
        best, scores = _best(rows, (least, greatest), most, rescore)
        return Ranked(best, scores, len(least))
    if total is None:
        total = len(np.unique(products if rows is None else products[rows]))
    wanted, taken = min(most, total), most
    while True:
        best, scores = _best(rows, (least, greatest), taken, rescore)
        first = np.sort(np.unique(products[best], return_index=True)[1])
        # Fewer products than wanted among the best `taken` rows: look at more rows.
        if len(first) >= wanted:
            return Ranked(best[first[:wanted]], scores[first[:wanted]], total)
        taken *= 4


def _best(
    rows: NDArray[np.int64] | None,
    bounds: tuple[NDArray[np.float32], NDArray[np.float32]],
    most: int,
    rescore: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best of these rows (None: of all), each of which scores between its bounds."""
    least, greatest = bounds
    if most < len(least):
        # So many rows score this or more, whatever they score: one that cannot is not among the best.
        places = np.flatnonzero(greatest >= _nth_largest(least, most))
        rows = places if rows is None else rows[places]
    elif rows is None:
        rows = np.arange(len(least))
    scores = rescore(rows)
    # Rows ascend, so a stable sort keeps older items first among equals.
    order = np.argsort(-scores, kind="stable")[:most]
    return rows[order], scores[order]


def _nth_largest(values: NDArray[np.float32], number: int) -> np.float32:
    """The value that so many are as large as, or larger."""
    stretches = len(values) // _STRETCH
    if stretches > number:
        largest = values[: stretches * _STRETCH].reshape(-1, _STRETCH).max(axis=1)
        # As many stretches have one as large: nothing below it can be what is looked for.
        values = values[values >= np.partition(largest, stretches - number)[stretches - number]]
    found: np.float32 = np.partition(values, len(values) - number)[len(values) - number]
    return found


def vote(categories: NDArray[Any], scores: NDArray[np.float64]) -> int | None:
    """The category that the nearest items speak for, each with its score; None without any neighbour."""
    weights: dict[int, float] = {}
    for category, score in zip(categories.tolist(), scores.tolist(), strict=True):
        # Squared, so that one near copy outweighs several that are merely of the same kind.
        weights[category] = weights.get(category, 0.0) + max(score, 0.0) ** 2
    return max(weights, key=lambda category: weights[category], default=None)
