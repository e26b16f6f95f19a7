"""Decides all pairs of a night, some at a time: what columns, scores, images and people say of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from batchsearch.tasks.dedup.candidates.in_pieces import pieces, places_of
from batchsearch.tasks.dedup.candidates.matches import IDENTICAL_BYTES, SEARCH, taken
from batchsearch.tasks.dedup.candidates.spoken import all_agree, speaking_column, value_of_products
from batchsearch.tasks.dedup.clusters.decide import Catalogue, bars_of, decide, to_verify, undecided
from batchsearch.tasks.dedup.clusters.verdicts import nothing_measured, to_be_measured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from batchsearch.config.sections.dedup_settings import DedupSettings
    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.clusters.decide import Decision, Judged
    from batchsearch.tasks.dedup.clusters.table_rows import Sources
    from batchsearch.tasks.dedup.clusters.verdicts import Measures


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided of pairs, and by which numbers.

    Attributes:
        decision: What was decided.
        thresholds: The score that each pair needs.
        colours: How much its images differ in colour; NaN where nobody looked.
        measures: What was measured of its images.
    """

    decision: Decision
    thresholds: NDArray[np.float64]
    colours: NDArray[np.float64]
    measures: Measures


@dataclass(frozen=True, slots=True)
class Deciding:
    """Decides pairs by everything that is known but the pairs themselves.

    Attributes:
        dedup: The job's `dedup` section.
        sources: What the tables are made from.
        images: What the search's results say.
        shown: Rows that count.
        judged: What people have said.
        room: For what memory does not hold.
    """

    dedup: DedupSettings
    sources: Sources
    images: Images
    shown: NDArray[np.bool_]
    judged: Judged
    room: Room

    def of(self, pairs: Pairs) -> Decided:
        """What becomes of each pair.

        Raises:
            OutputError: The disk refuses.
        """
        dedup, images, room = self.dedup, self.images, self.room
        pairs = _with_same_files(pairs, images, room)
        best = dedup.mutual_best or 1
        bars = bars_of(pairs, best, len(images.products), room)
        thresholds = thresholds_of(pairs, images, self.shown, dedup, room)
        asked_by = bars if dedup.verify == best else None
        if dedup.verify is not None and asked_by is None and self.sources.compare is not None:
            asked_by = bars_of(pairs, dedup.verify, len(images.products), room)
        colours, measures = self._compared(pairs, thresholds, asked_by)
        spoken = _Spoken.read(images, self.shown, self.sources, room)
        decision = undecided(len(pairs), room, weighs=dedup.verify is not None)
        most = 1.0 if dedup.colours is None else dedup.colours
        for some in pieces(len(pairs)):
            piece = taken(pairs, some)
            found = decide(
                piece,
                thresholds[some],
                self.judged,
                near=dedup.near,
                best=dedup.mutual_best,
                trust_perceptual=dedup.precheck == "instead",
                variants=np.nan_to_num(colours[some]) > most,
                measures=None if dedup.verify is None else measures.part(some),
                catalogue=None if spoken is None else spoken.of(piece),
                bars=bars,
            )
            decision.put(some, found)
        return Decided(decision, thresholds, colours, measures)

    def _compared(
        self, pairs: Pairs, thresholds: NDArray[np.float64], bars: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], Measures]:
        """How much the best matching images of each pair differ in colour (or NaN), and what was measured.

        Where the job verifies, only the pairs that it verifies are compared.
        """
        compare, room, count = self.sources.compare, self.room, len(pairs)
        nothing = np.broadcast_to(np.float64(np.nan), count), nothing_measured(count)
        if compare is None:
            return nothing
        wanted = room.array(count, bool)
        for some in pieces(count):
            piece = taken(pairs, some)
            one, other = _rows(piece, self.images)
            wanted[some] = (one >= 0) & (other >= 0)
            if bars is None:
                wanted[some] &= piece.score >= thresholds[some] - self.dedup.near
            else:
                wanted[some] &= to_verify(piece, self.judged, bars)
        asked = places_of(wanted, room)
        if not len(asked):
            return nothing
        one, other = (room.array(len(asked), np.int64) for _ in range(2))
        for some in pieces(len(asked)):
            one[some], other[some] = _rows(taken(pairs, asked[some]), self.images)
        distance, found = compare(self.images, one, other)
        colours, measures = room.array(count, np.float64, np.nan), to_be_measured(count, room)
        for some in pieces(len(asked)):
            colours[asked[some]] = distance[some]
            measures.put(asked[some], found.part(some))
        return colours, measures


def _rows(pairs: Pairs, images: Images) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the best matching images of each pair."""
    return images.row_of(pairs.a, pairs.image_a), images.row_of(pairs.b, pairs.image_b)


def _with_same_files(pairs: Pairs, images: Images, room: Room) -> Pairs:
    """The pairs, those that a search found and whose best matching images are one file as certain ones.

    A plain image has no shape by which it could be verified, but its file is the same.
    """
    if not any((images.file[some] >= 0).any() for some in pieces(len(images))):
        return pairs
    found_by = room.array(len(pairs), np.int8)
    for some in pieces(len(pairs)):
        piece = taken(pairs, some)
        one, other = _rows(piece, images)
        there = np.flatnonzero((one >= 0) & (other >= 0) & (piece.found_by == SEARCH))
        first, second = images.file[one[there]], images.file[other[there]]
        found_by[some] = piece.found_by
        found_by[some][there[(first >= 0) & (first == second)]] = IDENTICAL_BYTES
    return replace(pairs, found_by=found_by)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """What the columns that the job names say of products: those that distinguish, and the others."""

    distinguishing: list[NDArray[np.int32]]
    joining: list[NDArray[np.int32]]

    @classmethod
    def read(cls, images: Images, shown: NDArray[np.bool_], sources: Sources, room: Room) -> _Spoken | None:
        columns = sources.columns
        if not columns.different_when and not columns.same_when:
            return None

        def values(names: Mapping[str, str]) -> list[NDArray[np.int32]]:
            count = len(images.products)
            return [
                value_of_products(images.values[written], images.product, shown, count, room)
                for written in names.values()
            ]

        return cls(values(columns.different_when), values(columns.same_when))

    def of(self, pairs: Pairs) -> Catalogue:
        against = speaking_column(self.distinguishing, pairs.a, pairs.b, equal=False)
        in_favour = speaking_column(self.joining, pairs.a, pairs.b, equal=True)
        one_variant = all_agree(self.distinguishing, pairs.a, pairs.b)
        return Catalogue(against, in_favour, one_variant, len(self.distinguishing))


def thresholds_of(
    pairs: Pairs, images: Images, shown: NDArray[np.bool_], dedup: DedupSettings, room: Room
) -> NDArray[np.float64]:
    """The score that each pair needs.

    Args:
        pairs: All pairs kept.
        images: What the results say.
        shown: Rows that count: those of the manifest, or all.
        dedup: The job's `dedup` section.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    if not dedup.thresholds:
        return np.broadcast_to(np.float64(dedup.threshold), len(pairs))
    needed = room.array(len(pairs), np.float64, dedup.threshold)
    if images.categories is None or images.category is None:
        for some in pieces(len(pairs)):
            for name, threshold in dedup.thresholds.items():
                if name.lstrip("-").isdecimal():
                    needed[some][pairs.category[some] == int(name)] = threshold
        return needed
    # A place more at the end, for products without a category.
    by_category = np.full(len(images.categories) + 1, dedup.threshold)
    for place, name in enumerate(images.categories.to_pylist()):
        by_category[place] = dedup.thresholds.get(name, dedup.threshold)
    # As between two products the higher threshold counts, so it does between a product's own rows: the
    # order in which rows were answered says nothing. What has left the manifest has no say.
    by_product = room.array(len(images.products), np.float64, -np.inf)
    for some in pieces(len(images)):
        rows = shown[some]
        np.maximum.at(by_product, images.product[some][rows], by_category[images.category[some][rows]])
    for some in pieces(len(by_product)):
        by_product[some][np.isneginf(by_product[some])] = dedup.threshold
    for some in pieces(len(pairs)):
        needed[some] = np.maximum(by_product[pairs.a[some]], by_product[pairs.b[some]])
    return needed
