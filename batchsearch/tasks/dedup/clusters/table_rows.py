"""The rows of tonight's tables: numbers back to texts, some hundred thousand at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.coding import Coding, numbered
from batchsearch.tasks.dedup.candidates.in_pieces import pieces, places_of
from batchsearch.tasks.dedup.candidates.matches import FOUND_BY, NO_RANK, NOT_FOUND, pair_key, taken
from batchsearch.tasks.dedup.candidates.off_memory import Numbers, Texts
from batchsearch.tasks.dedup.clusters.decide import JUDGED
from batchsearch.tasks.dedup.clusters.earlier_tables import Earlier, read_earlier
from batchsearch.tasks.dedup.clusters.names import NEW, new_names, taken_over
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTERS, FINDINGS, PAIRS, dedup_schema
from batchsearch.tasks.dedup.clusters.verdicts import REASONS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Columns, Images
    from batchsearch.tasks.dedup.candidates.matches import Matches, Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.candidates.shared_images import SharedImage
    from batchsearch.tasks.dedup.clusters.clustering import Clusters
    from batchsearch.tasks.dedup.clusters.decide import Decision
    from batchsearch.tasks.dedup.clusters.judgements import Judgements
    from batchsearch.tasks.dedup.clusters.verdicts import Measures

ROWS_AT_ONCE: Final = 100_000
_NO_MEMBER: Final = -2


@dataclass(frozen=True, slots=True)
class Sources:
    """What tonight's tables are made from.

    Attributes:
        folder: Output folder of the dedup job.
        search: Output folder of its search.
        columns: What columns are called in the search's results.
        keys: The manifest's row keys, some thousand at a time.
        judgements: What people have said.
        local: Finds matches without a call; None where there is no pre-check.
        compare: Compares the images of two rows each: how much they differ in colour, and what was
            measured; None does not look.
        changed_at: Tells when each row's image was first seen to be another one; None where nobody looked.
        copies: File of rows that were not searched; None for none.
        night: Tonight's id.
        now: UTC.
        flat: Tells what share of some rows' images their three most frequent colours cover, NaN for those
            not known; None does not look.
        told: Reads what the manifest says now of the columns that speak, some rows at a time; None where
            nobody asks.
        held_by: Name of the instance that holds every image searched; None where it need not.
    """

    folder: Path
    search: Path
    columns: Columns
    keys: Iterator[list[str]]
    judgements: Judgements
    local: Callable[[Images], LocalMatches] | None
    compare: (
        Callable[[Images, NDArray[np.int64], NDArray[np.int64]], tuple[NDArray[np.float64], Measures]] | None
    )
    copies: Path | None
    night: str
    now: datetime
    held_by: str | None = None
    changed_at: Callable[[Images], NDArray[np.int64]] | None = None
    flat: Callable[[Images, NDArray[np.int64]], NDArray[np.float64]] | None = None
    told: Callable[[], Iterable[pa.RecordBatch]] | None = None


@dataclass(frozen=True, slots=True)
class LocalMatches:
    """What was found without a call.

    Attributes:
        matches: The matches.
        crowded: Products that have more identical images than were paired.
    """

    matches: Matches
    crowded: NDArray[np.int32]


def _named(texts: pa.Array, numbers: NDArray[Any]) -> pa.Array:
    """Texts by number; null for numbers below 0."""
    return texts.take(pa.array(numbers, pa.int64(), mask=numbers < 0))


def pair_rows(
    pairs: Pairs,
    decision: Decision,
    measures: tuple[NDArray[np.float64], NDArray[np.float64], Measures],
    *,
    images: Images,
    earlier: Earlier,
    sources: Sources,
    room: Room,
) -> Iterator[pa.Table]:
    """The rows of `pairs`, ascending by both products.

    A pair that an earlier night had keeps the moment at which it was first found.

    Args:
        pairs: All pairs kept.
        decision: What was decided of each.
        measures: The score that each needs, how much its images differ in colour (NaN: not known), and
            what was measured of them.
        images: What the numbers stand for.
        earlier: The pairs of the night before.
        sources: Says which night it is.
        room: For what memory does not hold.

    Raises:
        OutputError: The disk refuses.
    """
    schema = dedup_schema(PAIRS)
    thresholds, colours, measured = measures
    speak = [f"`{name}` differs" for name in sources.columns.different_when]
    speak += [f"`{name}` is the same" for name in sources.columns.same_when]
    reasons, names = pa.array([*REASONS, *speak]), pa.array(VERDICTS)
    titles = _TitleRows(images, room)
    now = int(sources.now.timestamp() * 1e6)
    ways, verdicts = pa.array(FOUND_BY), pa.array(JUDGED, pa.string())
    for start in range(0, len(pairs), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        compared = measured.part(some)
        row = pairs.row[some].astype(np.int64)
        run = np.where(row >= 0, images.run[row], -1)
        found = np.where(row >= 0, images.answered_at[row], now)
        there, place = earlier.found(pair_key(pairs.a[some], pairs.b[some]))
        found[there] = np.minimum(found[there], earlier.found_at[place])
        values = {
            "product_a": _named(images.products, pairs.a[some]),
            "product_b": _named(images.products, pairs.b[some]),
            **{
                name: pa.array(getattr(pairs, name)[some], mask=getattr(pairs, name)[some] == NOT_FOUND)
                for name in ("score", "score_ab", "score_ba")
            },
            **{
                name: pa.array(getattr(pairs, name)[some], mask=getattr(pairs, name)[some] == NO_RANK)
                for name in ("rank_ab", "rank_ba")
            },
            "mutual": pa.array(decision.mutual[some]),
            "images": pa.array(taken(pairs, some).images),
            "row_key": _named(images.row_keys, row),
            "pic_a": _named(images.names, pairs.image_a[some]),
            "pic_b": _named(images.names, pairs.image_b[some]),
            "found_by": ways.take(pa.array(pairs.found_by[some])),
            "category_id": pa.array(pairs.category[some], mask=pairs.category[some] < 0),
            "threshold": pa.array(thresholds[some].copy()),
            "colour_distance": pa.array(colours[some].copy(), mask=np.isnan(colours[some])),
            "verdict": names.take(pa.array(decision.verdict[some])),
            "reason": reasons.take(pa.array(decision.reason[some])),
            "confidence": pa.array(decision.confidence[some]),
            "inliers": pa.array(compared.inliers.copy(), mask=~compared.known),
            **{
                name: pa.array(values.copy(), mask=np.isnan(values))
                for name, values in (
                    ("overlap", compared.overlap),
                    ("agreement", compared.agreement),
                    ("colour_shift", compared.colour),
                    ("light_shift", compared.light),
                )
            },
            "mirrored": pa.array(compared.mirrored > 0, mask=~(compared.inliers > 0)),
            "title_a": titles.of(pairs.a[some]),
            "title_b": titles.of(pairs.b[some]),
            "judged": verdicts.take(pa.array(decision.judged[some])),
            "accepted": pa.array(decision.accepted[some]),
            "run_id": _named(images.runs, run),
            "found_at": pa.array(found, pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        }
        yield pa.Table.from_arrays([values[field.name].cast(field.type) for field in schema], schema=schema)


def cluster_rows(
    clusters: Clusters,
    images: Images,
    counts: NDArray[np.int32],
    shown: NDArray[np.bool_],
    *,
    sources: Sources,
    room: Room,
) -> Iterator[pa.Table]:
    """The rows of `clusters`, cluster by cluster, the representative first.

    Args:
        clusters: The clusters.
        images: What the numbers stand for.
        counts: Images of each product.
        shown: Rows whose images may be shown: those of the manifest.
        sources: Where the clusters of the night before are.
        room: For what memory does not hold.

    Raises:
        OutputError: One of them cannot be read.
    """
    schema = dedup_schema(CLUSTERS)
    rows = _best_rows(clusters, images, shown, room)
    ids = _Ids(clusters, images, sources, room)
    titles = _TitleRows(images, room)
    for start in range(0, len(clusters.product), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        row = rows[clusters.product[some]]
        values = {
            "cluster_id": ids.of(clusters.cluster[some]),
            "product_id": _named(images.products, clusters.product[some]),
            "is_representative": pa.array(clusters.product[some] == clusters.representative[some]),
            "representative": _named(images.products, clusters.representative[some]),
            "confidence": pa.array(clusters.confidence[some]),
            "size": pa.array(clusters.size[some]),
            "review": clusters.review.texts(clusters.cluster[some]),
            "score": pa.array(clusters.score[some]),
            "images": pa.array(counts[clusters.product[some]]),
            "image": image_references(row, images),
            "row_key": _named(images.row_keys, row),
            "title": titles.of(clusters.product[some]),
        }
        yield pa.Table.from_arrays([values[field.name].cast(field.type) for field in schema], schema=schema)


class _TitleRows:
    """What each product is called: what the first of its rows in the manifest says, or else of any."""

    def __init__(self, images: Images, room: Room) -> None:
        self._titles = images.titles
        if images.titles is None:
            return
        self._row = room.array(len(images.products), np.int32, -1)
        for by in (None, images.present):
            for some in reversed(list(pieces(len(images)))):
                titles = images.titles.slice(some.start, some.stop - some.start)
                filled = titles.is_valid().to_numpy(zero_copy_only=False)
                at = np.flatnonzero(filled if by is None else filled & by[some])[::-1] + some.start
                self._row[images.product[at]] = at

    def of(self, products: NDArray[np.int32]) -> pa.Array:
        if self._titles is None:
            return pa.nulls(len(products), pa.string())
        return _named(self._titles, self._row[products])


def finding_rows(shared: Sequence[SharedImage], bare: NDArray[np.int32], images: Images) -> pa.Table:
    """The rows of `findings`: images on many products that are no proof, then products without a usable one.

    Args:
        shared: The images.
        bare: Products that have nothing but images that prove nothing.
        images: What the numbers stand for.
    """
    order = sorted(shared, key=lambda image: (-len(image.products), int(image.rows[0])))
    first = _first_rows(bare, images)
    row = np.concatenate([np.array([image.rows[0] for image in order], np.int64), first])
    where = image_references(row, images)
    called = _named(images.names, np.where(row >= 0, images.name[row], -1))
    count, more = len(order), len(bare)
    schema = dedup_schema(FINDINGS)
    values = {
        "finding": pa.array(["shared_image"] * count + ["no_usable_image"] * more, pa.string()),
        "image": pc.coalesce(where, called),
        "products": pa.array([len(image.products) for image in order] + [None] * more, pa.int32()),
        "product_id": _named(
            images.products, np.concatenate([[image.products[0] for image in order], bare]).astype(np.int64)
        ),
        "worth": pa.array([image.worth for image in order] + [None] * more, pa.string()),
        "why": pa.array(
            [image.why for image in order] + ["it shows nothing but images that are on many products"] * more,
            pa.string(),
        ),
        "row_key": _named(images.row_keys, row),
    }
    return pa.Table.from_arrays([values[field.name].cast(field.type) for field in schema], schema=schema)


def _first_rows(products: NDArray[np.int32], images: Images) -> NDArray[np.int64]:
    """The first row of each product; these are ascending."""
    first = np.full(len(products), -1, np.int64)
    for some in reversed(list(pieces(len(images)))):
        rows = np.flatnonzero(np.isin(images.product[some], products))[::-1]
        first[np.searchsorted(products, images.product[some][rows])] = rows + some.start
    return first


class _Ids:
    """The ids of clusters: those of the night before that they take over, or those of products."""

    def __init__(self, clusters: Clusters, images: Images, sources: Sources, room: Room) -> None:
        texts, products = Texts(room), Numbers(np.int32, room)
        for batch in read_earlier(sources.folder, CLUSTERS, ["product_id", "cluster_id"]):
            texts.add(batch.column("cluster_id"))
            products.add(images.product_index.places(batch.column("product_id")))
        index, number = numbered(texts.array(), Coding(room))
        self._names, self._products = index.texts, images.products
        had = room.array(len(images.products) + 1, np.int32, -1)
        product = products.array()
        for some in pieces(len(product)):
            had[product[some]] = number[some]
        # Products that are no longer known.
        had[-1] = -1
        self._stands = room.array(clusters.count, np.int32)
        before = room.array(len(clusters.product), np.int32)
        for some in pieces(len(before)):
            self._stands[clusters.cluster[some]] = clusters.representative[some]
            before[some] = had[clusters.product[some]]
        self._taken = taken_over(clusters.cluster, before, self._stands, len(self._names), room)
        self._given = new_names(self._new(room), index)
        self._others = np.array(sorted(self._given), np.int64)

    def _new(self, room: Room) -> Iterator[tuple[int, pa.Array]]:
        """The products that new clusters are called after; their places among those are as they come."""
        asked = room.array(len(self._taken), bool)
        for some in pieces(len(asked)):
            asked[some] = self._taken[some] == NEW
        self._clusters = places_of(asked, room)
        for some in pieces(len(self._clusters)):
            yield some.start, _named(self._products, self._stands[self._clusters[some]])

    def of(self, clusters: NDArray[np.int32]) -> pa.Array:
        """The id of each."""
        taken = self._taken[clusters]
        ids = pc.coalesce(
            _named(self._names, taken).cast(pa.large_string()),
            _named(self._products, self._stands[clusters]).cast(pa.large_string()),
        )
        place = np.searchsorted(self._clusters, clusters)
        other = np.flatnonzero((taken == NEW) & np.isin(place, self._others))
        if not len(other):
            return ids
        mask = np.zeros(len(clusters), bool)
        mask[other] = True
        names = [self._given[at] for at in place[other].tolist()]
        return pc.replace_with_mask(ids, pa.array(mask), pa.array(names, ids.type))


def _best_rows(clusters: Clusters, images: Images, shown: NDArray[np.bool_], room: Room) -> NDArray[np.int32]:
    """By product in a cluster: the row of its largest image, the first of several; -1 for none."""
    largest = room.array(len(images.products), np.int64, _NO_MEMBER)
    for some in pieces(len(clusters.product)):
        largest[clusters.product[some]] = -1
    for some in pieces(len(images)):
        rows = np.flatnonzero(shown[some] & (largest[images.product[some]] > _NO_MEMBER)) + some.start
        np.maximum.at(largest, images.product[rows], images.area[rows])
    best = room.array(len(images.products), np.int32, -1)
    for some in reversed(list(pieces(len(images)))):
        area, product = images.area[some], images.product[some]
        rows = np.flatnonzero(shown[some] & (largest[product] == area))[::-1]
        best[product[rows]] = rows + some.start
    return best


def image_references(row: NDArray[np.integer[Any]], images: Images) -> pa.Array:
    """Where the images of these rows are, as the results carry it; null for rows below 0."""
    if images.references is None:
        return pa.nulls(len(row), pa.string())
    return _named(images.references, row).cast(pa.string())
