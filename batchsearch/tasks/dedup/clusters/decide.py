"""Which pairs are accepted: thresholds, the mutual-best option, what people have judged (pure)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import Grouping, pieces
from batchsearch.tasks.dedup.candidates.matches import (
    IDENTICAL_BYTES,
    IDENTICAL_PIXELS,
    JUDGEMENT,
    NO_RANK,
    NOT_FOUND,
    PERCEPTUAL,
    UNKNOWN,
    Pairs,
    pair_key,
)
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.pair_folding import inserted
from batchsearch.tasks.dedup.clusters.verdicts import (
    ALIKE,
    COLOURS_DIFFER,
    DIFFERS,
    IDENTICAL,
    JUDGED_BY_A_PERSON,
    NOT_VERIFIED,
    REASONS,
    SAME_FILE,
    SAME_PHOTO,
    SAME_PIXELS,
    nothing_measured,
    said_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.clusters.verdicts import Measures

NOT_JUDGED, SAME, DIFFERENT = 0, 1, 2
JUDGED: Final = (None, "same", "different")
"""What a person has said of a pair, by number."""

_CATALOGUE_RIGHT: Final = 0.95
"""How sure a pair is that resembles and that a column speaks for."""

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
        verdict: Place in `VERDICTS`.
        reason: Place in `REASONS`; from its end on, the columns that spoke against pairs, then those for.
        confidence: How sure it is that they are the same, 0 to 1.
        weighed: Whether the pair was looked at, so that its confidence counts for a cluster's; None where
            scores alone decide, and every pair does.
    """

    judged: NDArray[np.int8]
    mutual: NDArray[np.bool_]
    accepted: NDArray[np.bool_]
    near: NDArray[np.bool_]
    verdict: NDArray[np.int8]
    reason: NDArray[np.int8]
    confidence: NDArray[np.float64]
    weighed: NDArray[np.bool_] | None

    def put(self, some: slice, piece: Decision) -> None:
        """Take over what was decided of some of the pairs."""
        for each in fields(Decision):
            whole, part = getattr(self, each.name), getattr(piece, each.name)
            if whole is not None:
                whole[some] = part


def undecided(count: int, room: Room, *, weighs: bool) -> Decision:
    """Room for what is decided of so many pairs.

    Args:
        count: Pairs.
        room: For what memory does not hold.
        weighs: Whether it is known which pairs were looked at.

    Raises:
        OutputError: The disk refuses.
    """
    return Decision(
        judged=room.array(count, np.int8),
        mutual=room.array(count, bool),
        accepted=room.array(count, bool),
        near=room.array(count, bool),
        verdict=room.array(count, np.int8),
        reason=room.array(count, np.int8),
        confidence=room.array(count, np.float64),
        weighed=room.array(count, bool) if weighs else None,
    )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What columns say of pairs: by pair the place of the first that speaks, `SILENT` for none.

    Attributes:
        against: By pair, of the columns that speak against one.
        in_favour: By pair, of those that speak for one.
        one_variant: By pair, whether all columns that may speak against it are filled and agree.
        columns: Columns that may speak against.
    """

    against: NDArray[np.int8]
    in_favour: NDArray[np.int8]
    one_variant: NDArray[np.bool_]
    columns: int


def with_judged(pairs: Pairs, judged: Judged, room: Room | None = None) -> Pairs:
    """The pairs, and those judged `same` that no search has found: without a score.

    Raises:
        OutputError: The disk refuses.
    """
    missing = judged.verdict == SAME
    if not missing.any():
        return pairs
    key = pair_key(judged.a, judged.b)
    for some in pieces(len(pairs)):
        known = pair_key(pairs.a[some], pairs.b[some])
        place = np.minimum(np.searchsorted(known, key), len(known) - 1)
        missing &= known[place] != key
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
        image_a=np.full(count, UNKNOWN, np.int32),
        image_b=np.full(count, UNKNOWN, np.int32),
        category=np.full(count, UNKNOWN, np.int64),
        found_by=np.full(count, JUDGEMENT, np.int8),
    )
    return inserted(pairs, added, room or Room())


def mutual_best(pairs: Pairs, best: int) -> NDArray[np.bool_]:
    """Which pairs are, by score, among the `best` of each of their two products; ties are in.

    The score of a pair counts for both of its products, whichever was searched: a product searched on an
    earlier night cannot have found a newer one.
    """
    first, second = _among_best(pairs, bars_of(pairs, best))
    return np.asarray(first & second)


def to_verify(pairs: Pairs, judged: Judged, bars: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pairs leave doubt and are worth comparing: the best of either product by score.

    Those that are the same file or the same pixels leave none, nor do those that people have judged.

    Args:
        pairs: Pairs.
        judged: What people have said.
        bars: As of `bars_of`.
    """
    first, second = _among_best(pairs, bars)
    certain = (pairs.found_by == IDENTICAL_BYTES) | (pairs.found_by == IDENTICAL_PIXELS)
    found_locally = pairs.found_by == PERCEPTUAL
    return np.asarray((first | second | found_locally) & ~certain & (_judged(pairs, judged) == NOT_JUDGED))


def bars_of(
    pairs: Pairs, best: int, products: int | None = None, room: Room | None = None
) -> NDArray[np.float64]:
    """By product: the score from which a pair is among its `best`; infinitely low for one without a pair.

    Args:
        pairs: All pairs.
        best: How many.
        products: How many products there are; None for those that have pairs.
        room: For what memory does not hold; None keeps all in memory.

    Raises:
        OutputError: The disk refuses.
    """
    room = room or Room()
    if products is None:
        products = int(pairs.b.max(initial=-1)) + 1
    bars = room.array(products, np.float64, -np.inf)
    if best == 1:
        for product, score in _both_ways(pairs):
            np.maximum.at(bars, product, score)
    else:
        _put_bars(bars, pairs, best, room)
    for some in pieces(products):
        bars[some] -= _ROUNDING
    return bars


def _both_ways(pairs: Pairs) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float64]]]:
    """Products and the scores of their pairs, some at a time."""
    for some in pieces(len(pairs)):
        yield pairs.a[some], pairs.score[some]
        yield pairs.b[some], pairs.score[some]


def _put_bars(bars: NDArray[np.float64], pairs: Pairs, best: int, room: Room) -> None:
    """By product: the last of its best scores."""
    sizes = room.array(len(bars), np.int32, 0)
    for product, _ in _both_ways(pairs):
        np.add.at(sizes, product, np.int32(1))
    grouping = Grouping(sizes, room)
    scores = room.array(2 * len(pairs), np.float64)
    for product, score in _both_ways(pairs):
        scores[grouping.places(product)] = score
    for start, end in grouping.bounds():
        begins = grouping.begins[start : end + 1]
        inside = scores[begins[0] : begins[-1]]
        there = np.flatnonzero(sizes[start:end])
        size = sizes[start:end][there]
        order = np.lexsort((-inside, np.repeat(there, size)))
        bars[start + there] = inside[order[begins[there] - begins[0] + np.minimum(size, best) - 1]]


def _among_best(pairs: Pairs, bars: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs are among the best of their first product, and of their second one; ties are in."""
    return pairs.score >= bars[pairs.a], pairs.score >= bars[pairs.b]


def decide(
    pairs: Pairs,
    thresholds: NDArray[np.float64],
    judged: Judged,
    *,
    near: float,
    best: int | None,
    trust_perceptual: bool,
    variants: NDArray[np.bool_] | None = None,
    measures: Measures | None = None,
    catalogue: Catalogue | None = None,
    bars: NDArray[np.float64] | None = None,
) -> Decision:
    """What becomes of each pair.

    A judgement wins over everything, then what the catalogue's columns say, then what the images do:
    identical ones are accepted whatever the score, and those that are one photograph in one light. Only where
    nothing is verified, the score decides.

    Args:
        pairs: As folded, with those judged.
        thresholds: The score that each pair needs.
        judged: What people have said.
        near: How far below its threshold a pair still resembles.
        best: Accept only pairs that are each other's so many best; None accepts any.
        trust_perceptual: Accept what the perceptual hash found and no search has scored.
        variants: Which pairs differ in colour: they neither are duplicates nor resemble; None for none.
        measures: What was measured of the images; None where nothing is verified.
        catalogue: What columns say; None for nothing.
        bars: As of `bars_of` for all pairs, where these are some of them; None where they are all.
    """
    said = _judged(pairs, judged)
    first, second = _among_best(pairs, bars_of(pairs, best or 1) if bars is None else bars)
    mutual = np.asarray(first & second)
    certain = (pairs.found_by == IDENTICAL_BYTES) | (pairs.found_by == IDENTICAL_PIXELS)
    reaches = pairs.score >= thresholds - _ROUNDING
    differs = np.zeros(len(pairs), bool) if variants is None else variants & ~certain
    known = np.zeros(len(pairs), bool) if measures is None else measures.known
    images = said_of(
        nothing_measured(len(pairs)) if measures is None else measures,
        reaches,
        pairs.score,
        None if catalogue is None else catalogue.one_variant,
    )
    verdict, reason, confidence = images.verdict, images.reason, images.confidence
    trusted = (pairs.found_by == PERCEPTUAL) & trust_perceptual & ~known
    if measures is None:
        reason[reaches] = NOT_VERIFIED
        accepted = reaches | trusted
        accepted[(pairs.found_by == PERCEPTUAL) & ~trusted] = False
        confidence = np.clip(pairs.score, 0.0, 1.0)
    else:
        accepted = (verdict == SAME_PHOTO) | trusted
    if best is not None:
        accepted &= mutual | trusted
    unlike = differs & ~known
    verdict[unlike], reason[unlike], confidence[unlike], accepted[unlike] = (
        DIFFERS,
        COLOURS_DIFFER,
        0.0,
        False,
    )
    verdict[certain], confidence[certain], accepted[certain] = IDENTICAL, 1.0, True
    reason[certain] = np.where(pairs.found_by[certain] == IDENTICAL_BYTES, SAME_FILE, SAME_PIXELS)
    if measures is None:
        resembles = ((pairs.score >= thresholds - near - _ROUNDING) & ~differs) | accepted
    else:
        resembles = accepted | (verdict == ALIKE)
    weighed = certain | known
    if catalogue is not None:
        for_it = (catalogue.in_favour >= 0) & (verdict != DIFFERS)
        accepted[for_it], confidence[for_it] = True, np.maximum(confidence[for_it], _CATALOGUE_RIGHT)
        reason[for_it] = len(REASONS) + catalogue.columns + catalogue.in_favour[for_it]
        against = catalogue.against >= 0
        verdict[against], accepted[against], confidence[against] = DIFFERS, False, 0.0
        reason[against] = len(REASONS) + catalogue.against[against]
        resembles = (resembles | for_it) & ~against
        weighed = weighed | for_it | against
    same, different = said == SAME, said == DIFFERENT
    accepted[same], confidence[same], reason[same] = True, 1.0, JUDGED_BY_A_PERSON
    accepted[different], confidence[different], reason[different] = False, 0.0, JUDGED_BY_A_PERSON
    verdict[different] = DIFFERS
    return Decision(
        judged=said,
        mutual=mutual,
        accepted=accepted,
        near=(resembles | accepted) & ~different,
        verdict=verdict,
        reason=reason,
        confidence=confidence,
        weighed=None if measures is None else weighed | (said != NOT_JUDGED),
    )


def _judged(pairs: Pairs, judged: Judged) -> NDArray[np.int8]:
    found = np.zeros(len(pairs), np.int8)
    if len(pairs) and len(judged.a):
        key, known = pair_key(judged.a, judged.b), pairs.key
        place = np.searchsorted(known, key)
        inside = place < len(pairs)
        inside[inside] = known[place[inside]] == key[inside]
        found[place[inside]] = judged.verdict[inside]
    return found
