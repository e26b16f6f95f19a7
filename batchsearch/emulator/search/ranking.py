"""From everyone's raw similarity to the best few in a fixed order. Pure.

Raw similarities come from one large float32 product, whose last bits depend on how many queries shared it.
So they only choose candidates, a margin wider than their error included; candidates are scored again in
float64, rounded to six decimals, and ranked by that, older items first where scores are equal. The order
is therefore the same whoever else was searching.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

MARGIN: Final = 4e-6
"""More than a float32 product of two unit vectors of 256 dimensions and rounding to six decimals err."""

DECIMALS: Final = 6


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
    *,
    rescore: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    most: int,
    mask: NDArray[np.bool_] | None = None,
    threshold: float = 0.0,
    products: NDArray[np.int64] | None = None,
) -> Ranked:
    """The `most` best rows that match.

    Args:
        raw: Similarity of every row, float32.
        rescore: Exact similarities of the rows named, rounded to `DECIMALS`.
        most: How many to return at most.
        mask: Rows that may be returned; None for all.
        threshold: Rows that score less are left out; 0 or less leaves none out, since scores below 0
            count as 0.
        products: Each row's product; only the best row of each is then returned. None returns all.
    """
    rows = np.arange(len(raw)) if mask is None else np.flatnonzero(mask)
    seen = raw if mask is None else raw[rows]
    if threshold > 0:
        kept = seen >= threshold - MARGIN
        unsure = np.flatnonzero(kept & (seen < threshold + MARGIN))
        kept[unsure] = rescore(rows[unsure]) >= threshold
        rows, seen = rows[kept], seen[kept]
    if products is None:
        best, scores = _best(rows, seen, most, rescore)
        return Ranked(best, scores, len(rows))
    total = len(np.unique(products[rows]))
    wanted, taken = min(most, total), most
    while True:
        best, scores = _best(rows, seen, taken, rescore)
        first = np.sort(np.unique(products[best], return_index=True)[1])
        # Fewer products than wanted among the best `taken` rows: look at more rows.
        if len(first) >= wanted:
            return Ranked(best[first[:wanted]], scores[first[:wanted]], total)
        taken *= 4


def _best(
    rows: NDArray[np.int64],
    raw: NDArray[np.float32],
    most: int,
    rescore: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if most < len(rows):
        last = np.partition(raw, len(raw) - most)[len(raw) - most]
        rows = rows[raw >= last - MARGIN]
    scores = rescore(rows)
    # Rows ascend, so a stable sort keeps older items first among equals.
    order = np.argsort(-scores, kind="stable")[:most]
    return rows[order], scores[order]


def vote(categories: NDArray[Any], scores: NDArray[np.float64]) -> int | None:
    """The category that the nearest items speak for, each with its score; None without any neighbour."""
    weights: dict[int, float] = {}
    for category, score in zip(categories.tolist(), scores.tolist(), strict=True):
        # Squared, so that one near copy outweighs several that are merely of the same kind.
        weights[category] = weights.get(category, 0.0) + max(score, 0.0) ** 2
    return max(weights, key=lambda category: weights[category], default=None)
