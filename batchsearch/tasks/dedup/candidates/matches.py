"""From image-level hits to product-level pairs, in memory that grows with the pairs kept (pure).

A **match** is one hit of a search: a row's image found an image of another product. A **pair** is two
products with all their matches, either way round. Products and rows are numbers here; products are numbered
in the order of their ids, so that `a < b` is also the order of the texts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_RANK: Final = np.int32(2**31 - 1)
NOT_FOUND: Final = -1.0
"""Score of a direction in which nothing was found; no score is below 0."""

UNKNOWN: Final = -1

SEARCH, IDENTICAL_BYTES, IDENTICAL_PIXELS, PERCEPTUAL, JUDGEMENT = range(5)
FOUND_BY: Final = ("search", "identical_bytes", "identical_pixels", "perceptual", "judgement")
"""How a pair came to be known, by number. What is certain without a call wins over what was searched."""

_PRECEDENCE: Final = np.array([2, 0, 1, 3, 4], dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Matches:
    """Hits that may make a pair; arrays of one length.

    Attributes:
        product: Product of the row that was searched.
        other: Product found, never the same one.
        row: Row that was searched.
        image: Name of its image, as a number.
        found_image: Name of the image found, likewise.
        score: 0 to 1.
        rank: Place among the other products of that row, from 1.
        category: Category of the image found; `UNKNOWN` for none.
        found_by: Place in `FOUND_BY`.
    """

    product: NDArray[np.int32]
    other: NDArray[np.int32]
    row: NDArray[np.int32]
    image: NDArray[np.int32]
    found_image: NDArray[np.int32]
    score: NDArray[np.float64]
    rank: NDArray[np.int32]
    category: NDArray[np.int64]
    found_by: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.product)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of products, ascending by (a, b) and each once; arrays of one length.

    Attributes:
        a: The product whose id is first.
        b: The other one.
        score_ab: Best score of b among a's hits; `NOT_FOUND` where a's searches did not find b.
        score_ba: The other way round.
        rank_ab: Best rank of b among the other products that a's searches found; `NO_RANK` for none.
        rank_ba: The other way round.
        count_ab: Matches of a's searches.
        count_ba: Matches of b's searches.
        count_local: Matches found without a call, either way round: a search may have found them, too.
        score: The best score of either way.
        row: Row whose search found that; the first of several; `UNKNOWN` where no search did.
        image_a: Name of a's image in the best match, as a number; `UNKNOWN` for none.
        image_b: Likewise b's.
        category: Category of the image found in the best match.
        found_by: Place in `FOUND_BY`.
    """

    a: NDArray[np.int32]
    b: NDArray[np.int32]
    score_ab: NDArray[np.float64]
    score_ba: NDArray[np.float64]
    rank_ab: NDArray[np.int32]
    rank_ba: NDArray[np.int32]
    count_ab: NDArray[np.int32]
    count_ba: NDArray[np.int32]
    count_local: NDArray[np.int32]
    score: NDArray[np.float64]
    row: NDArray[np.int32]
    image_a: NDArray[np.int32]
    image_b: NDArray[np.int32]
    category: NDArray[np.int64]
    found_by: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.a)

    @property
    def images(self) -> NDArray[np.int32]:
        """Matches between the two: as many as the way that found most; what two ways find counts once."""
        return np.maximum(np.maximum(self.count_ab, self.count_ba), self.count_local)

    @property
    def key(self) -> NDArray[np.int64]:
        """Both products as one number; ascending."""
        return pair_key(self.a, self.b)


def pair_key(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.int64]:
    """Two products as one number that orders like (a, b)."""
    return (a.astype(np.int64) << 32) | b.astype(np.int64)


def pairs_of(matches: Matches) -> Pairs:
    """The pairs that matches make, before any folding: one for each match."""
    forward = matches.product < matches.other
    missing = np.full(len(matches), NOT_FOUND)
    ones, zeros = np.ones(len(matches), np.int32), np.zeros(len(matches), np.int32)
    none = np.full(len(matches), NO_RANK, np.int32)
    by_search = matches.found_by == SEARCH
    there, back = forward & by_search, ~forward & by_search
    return Pairs(
        a=np.where(forward, matches.product, matches.other),
        b=np.where(forward, matches.other, matches.product),
        score_ab=np.where(there, matches.score, missing),
        score_ba=np.where(back, matches.score, missing),
        rank_ab=np.where(there, matches.rank, none),
        rank_ba=np.where(back, matches.rank, none),
        count_ab=np.where(there, ones, zeros),
        count_ba=np.where(back, ones, zeros),
        count_local=np.where(by_search, zeros, ones),
        score=matches.score,
        row=matches.row,
        image_a=np.where(forward, matches.image, matches.found_image),
        image_b=np.where(forward, matches.found_image, matches.image),
        category=matches.category,
        found_by=matches.found_by,
    )


def only(matches: Matches, which: NDArray[np.bool_]) -> Matches:
    """Some of the matches, by mask."""
    return Matches(*(getattr(matches, field.name)[which] for field in fields(Matches)))


def folded(pairs: Pairs) -> Pairs:
    """Each pair once: the best of its scores and ranks, the sum of its counts; in any order of folding."""
    if len(pairs) == 0:
        return pairs
    key = pairs.key
    order = np.argsort(key)
    key = key[order]
    same = key[1:] == key[:-1]
    starts = np.flatnonzero(np.concatenate(([True], ~same)))
    if same.any():
        several = np.flatnonzero(np.concatenate((same, [False])) | np.concatenate(([False], same)))
        at = order[several]
        # The best match first: a certain one, then the higher score, then the earlier row.
        best = np.lexsort(
            (
                pairs.image_b[at],
                pairs.image_a[at],
                pairs.row[at],
                -pairs.score[at],
                _PRECEDENCE[pairs.found_by[at]],
                key[several],
            )
        )
        order[several] = at[best]
    first = order[starts]
    return Pairs(
        a=pairs.a[first],
        b=pairs.b[first],
        score_ab=np.maximum.reduceat(pairs.score_ab[order], starts),
        score_ba=np.maximum.reduceat(pairs.score_ba[order], starts),
        rank_ab=np.minimum.reduceat(pairs.rank_ab[order], starts),
        rank_ba=np.minimum.reduceat(pairs.rank_ba[order], starts),
        count_ab=np.add.reduceat(pairs.count_ab[order], starts, dtype=np.int32),
        count_ba=np.add.reduceat(pairs.count_ba[order], starts, dtype=np.int32),
        count_local=np.add.reduceat(pairs.count_local[order], starts, dtype=np.int32),
        score=pairs.score[first],
        row=pairs.row[first],
        image_a=pairs.image_a[first],
        image_b=pairs.image_b[first],
        category=pairs.category[first],
        found_by=pairs.found_by[first],
    )


def together(several: list[Pairs]) -> Pairs:
    """Pairs one after the other, not folded."""
    columns = (field.name for field in fields(Pairs))
    return Pairs(*(np.concatenate([getattr(each, name) for each in several]) for name in columns))


def taken(pairs: Pairs, which: NDArray[np.bool_] | NDArray[np.integer[Any]] | slice) -> Pairs:
    """Some of the pairs, by mask or by position."""
    return Pairs(*(getattr(pairs, field.name)[which] for field in fields(Pairs)))


def no_pairs() -> Pairs:
    """Pairs of length 0."""
    whole, real = np.empty(0, np.int32), np.empty(0, np.float64)
    return pairs_of(
        Matches(whole, whole, whole, whole, whole, real, whole, np.empty(0, np.int64), np.empty(0, np.int8))
    )
