"""Finds the images of a night that are on many products, and weighs them by what else is known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batchsearch.tasks.dedup.candidates.matches import JUDGEMENT
from batchsearch.tasks.dedup.candidates.shared_images import Known, SharedImage, on_many_products, weighed
from batchsearch.tasks.dedup.clusters.components import components
from batchsearch.tasks.dedup.clusters.table_rows import image_references

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.candidates.matches import Pairs
    from batchsearch.tasks.dedup.clusters.decide import Decision
    from batchsearch.tasks.dedup.clusters.table_rows import Sources

_MOST_WEIGHED_BY_LOOKS = 200
"""Images that are read to see whether they are drawings: those on most products."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Images on many products.

    Attributes:
        images: Those that are no proof, weighed.
        useless: By row: whether its image proves nothing.
    """

    images: tuple[SharedImage, ...]
    useless: NDArray[np.bool_]


@dataclass(slots=True)
class Sharing:
    """Weighs a night's shared images.

    Args:
        images: What the search's results say.
        shown: Rows that count.
        sources: What the tables are made from.
        accepted: Decides pairs that were gathered without some rows: which of them are accepted.
    """

    images: Images
    shown: NDArray[np.bool_]
    sources: Sources
    accepted: Callable[[NDArray[np.bool_]], tuple[NDArray[np.int32], NDArray[np.int32]]]
    _titles: dict[int, str] = field(default_factory=dict)

    def weigh(self, pairs: Pairs, decision: Decision) -> Shared:
        """The images on many products.

        Args:
            pairs: All pairs.
            decision: What was decided of each.

        Raises:
            OutputError: The results or the hits cannot be read.
        """
        rows, label = self._labels(pairs, decision)
        found = on_many_products(label, self.images.product[rows], self.shown[rows])
        useless = np.zeros(len(self.images), bool)
        if found is None:
            return Shared((), useless)
        found = replace(found, rows=rows[found.rows])
        shared = np.zeros(len(self.images), bool)
        shared[found.rows] = True
        speaking = np.zeros(len(self.images.products), bool)
        speaking[self.images.product[self.shown & ~shared]] = True
        doubtful = [found.image(number) for number in found.doubtful(speaking).tolist()]
        if not doubtful:
            return Shared((), useless)
        together = np.arange(len(speaking), dtype=np.int64)
        if any(speaking[image.products].sum() > 1 for image in doubtful):
            one, other = self.accepted(shared)
            together = components(len(speaking), one.astype(np.int64), other.astype(np.int64)).astype(
                np.int64
            )
        firsts = np.array([image.rows[0] for image in doubtful], np.int64)
        largest = np.argsort([-len(image.products) for image in doubtful], kind="stable")
        looked_at = firsts[largest[:_MOST_WEIGHED_BY_LOOKS]]
        flat = dict(zip(looked_at.tolist(), self._flat(looked_at).tolist(), strict=True))
        names = dict(zip(firsts.tolist(), self._names(firsts), strict=True))
        self._read_titles(np.unique(np.concatenate([image.products for image in doubtful])))
        known = Known(
            speaking,
            together,
            title=(lambda product: self._titles.get(product, "")) if self._titles else None,
            name=lambda row: names[row],
            flat=lambda row: flat.get(row, float("nan")),
        )
        images = tuple(
            image for image in (weighed(each, known) for each in doubtful) if image.worth != "proof"
        )
        for image in images:
            if image.worth == "nothing":
                useless[image.rows] = True
        return Shared(images, useless)

    def _labels(self, pairs: Pairs, decision: Decision) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows whose image is another's, too, by file or by verdict, and a number for each different one."""
        same_file = self.images.file
        known = np.flatnonzero(same_file >= 0)
        order = known[np.argsort(same_file[known], kind="stable")]
        equal = same_file[order[1:]] == same_file[order[:-1]]
        one, other = [order[:-1][equal]], [order[1:][equal]]
        said = decision.accepted & (pairs.found_by != JUDGEMENT)
        first = self.images.row_of(pairs.a[said], pairs.image_a[said])
        second = self.images.row_of(pairs.b[said], pairs.image_b[said])
        there = (first >= 0) & (second >= 0)
        one.append(first[there])
        other.append(second[there])
        a, b = np.concatenate(one), np.concatenate(other)
        inside = np.zeros(len(self.images), bool)
        inside[a] = inside[b] = True
        rows = np.flatnonzero(inside)
        place = np.cumsum(inside, dtype=np.int32) - 1
        return rows, components(len(rows), place[a], place[b]).astype(np.int64)

    def _flat(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        flat = self.sources.flat
        return np.full(len(rows), np.nan) if flat is None else flat(self.images, rows)

    def _names(self, rows: NDArray[np.int64]) -> list[str]:
        """What images are called: where they are, and their names."""
        where = image_references(rows, self.images).to_pylist()
        called = self.images.names.take(pa.array(self.images.name[rows])).to_pylist()
        return [f"{place or ''} {name or ''}".strip() for place, name in zip(where, called, strict=True)]

    def _read_titles(self, products: NDArray[np.int32]) -> None:
        if self.images.titles is None:
            return
        rows = np.flatnonzero(self.shown & np.isin(self.images.product, products))
        titles = self.images.titles.take(pa.array(rows)).to_pylist()
        for product, title in zip(self.images.product[rows].tolist(), titles, strict=True):
            if title:
                self._titles.setdefault(product, title)
