"""Finds the images of a night that are on many products, and weighs them by what else is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from batchsearch.tasks.dedup.candidates.in_pieces import pieces, places_of, ranks_of
from batchsearch.tasks.dedup.candidates.matches import JUDGEMENT
from batchsearch.tasks.dedup.candidates.shared_images import Known, on_many_products, weighed
from batchsearch.tasks.dedup.clusters.components import united
from batchsearch.tasks.dedup.clusters.table_rows import image_references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.candidates.shared_images import SharedImage
    from batchsearch.tasks.dedup.clusters.decide import Decision
    from batchsearch.tasks.dedup.clusters.table_rows import Sources

_MOST_WEIGHED_BY_LOOKS = 200
"""Images that are read to see whether they are drawings: those on most products."""
_IMAGES_AT_ONCE = 20_000
"""Images that are weighed at once, with their names and their products' titles."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Images on many products.

    Attributes:
        images: Those that are no proof, weighed.
        useless: By row: whether its image proves nothing.
    """

    images: tuple[SharedImage, ...]
    useless: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sharing:
    """Weighs a night's shared images.

    Args:
        images: What the search's results say.
        shown: Rows that count.
        sources: What the tables are made from.
        accepted: Decides pairs that were gathered without some rows: which of them are accepted, some at a
            time.
        room: For what memory does not hold.
    """

    images: Images
    shown: NDArray[np.bool_]
    sources: Sources
    accepted: Callable[[NDArray[np.bool_]], Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]]
    room: Room

    def weigh(self, pairs: Pairs, decision: Decision) -> Shared:
        """The images on many products.

        Args:
            pairs: All pairs.
            decision: What was decided of each.

        Raises:
            OutputError: The results or the hits cannot be read.
        """
        rows, label = self._labels(pairs, decision)
        found = on_many_products(label, self.images.product, self.shown, rows, self.room)
        useless = self.room.array(len(self.images), bool, 0)
        if found is None:
            return Shared((), useless)
        shared = self.room.array(len(self.images), bool, 0)
        for some in pieces(len(found.rows)):
            shared[found.rows[some]] = True
        own = self.room.array(len(self.images), bool)
        for some in pieces(len(own)):
            own[some] = self.shown[some] & ~shared[some]
        speaking = self.images.products_of(own)
        doubtful = found.doubtful(speaking)
        if not len(doubtful):
            return Shared((), useless)
        together: NDArray[np.integer[Any]] = np.arange(0)
        if (found.voices(speaking)[doubtful] > 1).any():
            together = united(len(speaking), self.accepted(shared), self.room)
        firsts = found.rows[found.row_starts[doubtful]]
        largest = np.argsort(-found.sizes[doubtful], kind="stable")
        looked_at = firsts[largest[:_MOST_WEIGHED_BY_LOOKS]].astype(np.int64)
        flat = dict(zip(looked_at.tolist(), self._flat(looked_at).tolist(), strict=True))
        images: list[SharedImage] = []
        for start in range(0, len(doubtful), _IMAGES_AT_ONCE):
            asked = [found.image(number) for number in doubtful[start : start + _IMAGES_AT_ONCE].tolist()]
            known = self._known(asked, speaking, together, flat)
            images += [image for image in (weighed(each, known) for each in asked) if image.worth != "proof"]
        for image in images:
            if image.worth == "nothing":
                useless[image.rows] = True
        return Shared(tuple(images), useless)

    def _known(
        self,
        images: list[SharedImage],
        speaking: NDArray[np.bool_],
        together: NDArray[np.integer[Any]],
        flat: dict[int, float],
    ) -> Known:
        """What is known beside some images."""
        firsts = np.array([image.rows[0] for image in images], np.int64)
        names = dict(zip(firsts.tolist(), self._names(firsts), strict=True))
        titles = self._titles(np.unique(np.concatenate([image.products for image in images])))
        return Known(
            speaking,
            together,
            title=(lambda product: titles.get(product, "")) if titles else None,
            name=lambda row: names[row],
            flat=lambda row: flat.get(row, float("nan")),
        )

    def _labels(self, pairs: Pairs, decision: Decision) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Rows whose image is another's, too, by file or by verdict, and a number for each different one."""
        inside = self.room.array(len(self.images), bool, 0)
        for one, other in self._equal(pairs, decision):
            inside[one] = inside[other] = True
        rows, place = places_of(inside, self.room), ranks_of(inside, self.room)
        edges = ((place[one], place[other]) for one, other in self._equal(pairs, decision))
        return rows, united(len(rows), edges, self.room)

    def _equal(
        self, pairs: Pairs, decision: Decision
    ) -> Iterator[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]]:
        """Rows whose images are one, some at a time: those of one file, each with the first of them."""
        images = self.images
        first: NDArray[np.int32] = self.room.array(images.files, np.int32, -1)
        for some in pieces(len(images)):
            rows = np.flatnonzero(images.file[some] >= 0) + some.start
            file = images.file[rows]
            new = np.flatnonzero(first[file] < 0)[::-1]
            first[file[new]] = rows[new]
            again = first[file] != rows
            yield first[file[again]], rows[again]
        for some in pieces(len(pairs)):
            said = np.flatnonzero(decision.accepted[some] & (pairs.found_by[some] != JUDGEMENT))
            one = images.row_of(pairs.a[some][said], pairs.image_a[some][said])
            other = images.row_of(pairs.b[some][said], pairs.image_b[some][said])
            there = (one >= 0) & (other >= 0)
            yield one[there], other[there]

    def _flat(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        flat = self.sources.flat
        return np.full(len(rows), np.nan) if flat is None else flat(self.images, rows)

    def _names(self, rows: NDArray[np.int64]) -> list[str]:
        """What images are called: where they are, and their names."""
        where = image_references(rows, self.images).to_pylist()
        called = self.images.names.take(pa.array(self.images.name[rows])).to_pylist()
        return [f"{place or ''} {name or ''}".strip() for place, name in zip(where, called, strict=True)]

    def _titles(self, products: NDArray[np.int32]) -> dict[int, str]:
        """What products are called, by the first of their rows that says it."""
        found: dict[int, str] = {}
        if self.images.titles is None:
            return found
        for some in pieces(len(self.images)):
            product = self.images.product[some]
            rows = np.flatnonzero(self.shown[some] & np.isin(product, products))
            titles = self.images.titles.take(pa.array(rows + some.start)).to_pylist()
            for number, title in zip(product[rows].tolist(), titles, strict=True):
                if title:
                    found.setdefault(number, title)
        return found
