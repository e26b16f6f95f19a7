"""Which pairs are accepted: thresholds, the mutual-best option, what people have judged (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.dedup.matches import (
    IDENTICAL_BYTES,
    IDENTICAL_PIXELS,
    JUDGEMENT,
    NO_RANK,
    NOT_FOUND,
    PERCEPTUAL,
    UNKNOWN,
    Pairs,
    folded,
    pair_key,
    together,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOT_JUDGED, SAME, DIFFERENT = 0, 1, 2
JUDGED: Final = (None, "same", "different")
"""What a person has said of a pair, by number."""

_ROUNDING: Final = 1e-9
"""Scores this near to one another count as equal: they went through text."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What people have said of pairs of products; arrays of one length, each pair once with a < b."""

    a: NDArray[np.int32]
    b: NDArray[np.int32]
    verdict: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of each pair; arrays of the length of the pairs.

    Attributes:
        judged: Place in `JUDGED`.
        mutual: Whether each product is among the other's best.
        accepted: Whether the two are the same product.
        near: Whether they resemble each other, accepted or not.
    """

    judged: NDArray[np.int8]
    mutual: NDArray[np.bool_]
    accepted: NDArray[np.bool_]
    near: NDArray[np.bool_]


def with_judged(pairs: Pairs, judged: Judged) -> Pairs:
    """The pairs, and those judged `same` that no search has found: without a score."""
    same = judged.verdict == SAME
    missing = ~np.isin(pair_key(judged.a, judged.b), pairs.key) & same
    count = int(missing.sum())
    if count == 0:
        return pairs
    added = Pairs(
        a=judged.a[missing],
        b=judged.b[missing],
        score_ab=np.full(count, NOT_FOUND),
        score_ba=np.full(count, NOT_FOUND),
        rank_ab=np.full(count, NO_RANK, np.int32),
        rank_ba=np.full(count, NO_RANK, np.int32),
        count_ab=np.zeros(count, np.int32),
        count_ba=np.zeros(count, np.int32),
        count_local=np.zeros(count, np.int32),
        score=np.full(count, NOT_FOUND),
        row=np.full(count, UNKNOWN, np.int32),
        picture_a=np.full(count, UNKNOWN, np.int32),
        picture_b=np.full(count, UNKNOWN, np.int32),
        category=np.full(count, UNKNOWN, np.int64),
        found_by=np.full(count, JUDGEMENT, np.int8),
    )
    return folded(together([pairs, added]))


def mutual_best(pairs: Pairs, best: int) -> NDArray[np.bool_]:
    """Which pairs are, by score, among the `best` of each of their two products; ties are in.

    The score of a pair counts for both of its products, whichever was searched: a product searched on an
    earlier night cannot have found a newer one.
    """
    if len(pairs) == 0:
        return np.zeros(0, bool)
    count = len(pairs)
    product = np.concatenate((pairs.a, pairs.b))
    score = np.concatenate((pairs.score, pairs.score))
    order = np.lexsort((-score, product))
    sorted_product = product[order]
    begins = np.concatenate(([True], sorted_product[1:] != sorted_product[:-1]))
    starts = np.flatnonzero(begins)
    group = np.cumsum(begins) - 1
    sizes = np.diff(np.concatenate((starts, [2 * count])))
    last = starts + np.minimum(sizes, best) - 1
    bar = score[order][last]
    inside = np.empty(2 * count, bool)
    inside[order] = score[order] >= bar[group] - _ROUNDING
    return np.asarray(inside[:count] & inside[count:])


def decide(
    pairs: Pairs,
    thresholds: NDArray[np.float64],
    judged: Judged,
    *,
    near: float,
    best: int | None,
    trust_perceptual: bool,
    variants: NDArray[np.bool_] | None = None,
) -> Decision:
    """What becomes of each pair.

    A judgement wins over everything. Otherwise identical pictures are accepted whatever the score, pictures
    that only a perceptual hash holds for alike when `trust_perceptual`, all others by score.

    Args:
        pairs: As folded, with those judged.
        thresholds: The score that each pair needs.
        judged: What people have said.
        near: How far below its threshold a pair still resembles.
        best: Accept only pairs that are each other's so many best; None accepts any.
        trust_perceptual: Accept what the perceptual hash found and no search has scored.
        variants: Which pairs differ in colour: they neither are duplicates nor resemble; None for none.
    """
    verdict = _verdicts(pairs, judged)
    mutual = mutual_best(pairs, best or 1)
    certain = (pairs.found_by == IDENTICAL_BYTES) | (pairs.found_by == IDENTICAL_PIXELS)
    hashed = pairs.found_by == PERCEPTUAL
    reaches = pairs.score >= thresholds - _ROUNDING
    if best is not None:
        reaches &= mutual
    accepted = certain | np.where(hashed, trust_perceptual, reaches)
    differs = np.zeros(len(pairs), bool) if variants is None else variants & ~certain
    accepted &= ~differs
    accepted = np.where(verdict == SAME, True, np.where(verdict == DIFFERENT, False, accepted))
    resembles = ((pairs.score >= thresholds - near - _ROUNDING) & ~differs) | accepted
    return Decision(verdict, mutual, accepted, resembles & (verdict != DIFFERENT))


def _verdicts(pairs: Pairs, judged: Judged) -> NDArray[np.int8]:
    found = np.zeros(len(pairs), np.int8)
    if len(pairs) and len(judged.a):
        key = pair_key(judged.a, judged.b)
        place = np.searchsorted(pairs.key, key)
        inside = place < len(pairs)
        inside[inside] = pairs.key[place[inside]] == key[inside]
        found[place[inside]] = judged.verdict[inside]
    return found
