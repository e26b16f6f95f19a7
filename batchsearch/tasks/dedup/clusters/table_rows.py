"""The rows of tonight's tables: numbers back to texts, some hundred thousand at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.dedup.candidates.matches import FOUND_BY, NO_RANK, NOT_FOUND, pair_key
from batchsearch.tasks.dedup.candidates.off_memory import Coding, Texts, numbered
from batchsearch.tasks.dedup.clusters.decide import JUDGED
from batchsearch.tasks.dedup.clusters.earlier_tables import read_earlier
from batchsearch.tasks.dedup.clusters.names import NEW, new_names, taken_over
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import (
    CLUSTERS,
    PAIRS,
    clusters_schema,
    findings_schema,
    pairs_schema,
)
from batchsearch.tasks.dedup.clusters.verdicts import REASONS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.candidates.catalogue_images import Columns, Images
    from batchsearch.tasks.dedup.candidates.matches import Matches, Pairs
    from batchsearch.tasks.dedup.candidates.off_memory import Room
    from batchsearch.tasks.dedup.candidates.shared_images import SharedImage
    from batchsearch.tasks.dedup.clusters.components import Clusters
    from batchsearch.tasks.dedup.clusters.decide import Decision
    from batchsearch.tasks.dedup.clusters.judgements import Judgements
    from batchsearch.tasks.dedup.clusters.verdicts import Measures

ROWS_AT_ONCE: Final = 100_000


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
        told: Reads what the manifest says now of the columns that speak; None where none do.
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
    told: Callable[[], pa.Table | None] | None = None


@dataclass(frozen=True, slots=True)
class LocalMatches:
    """What was found without a call.

    Attributes:
        matches: The matches.
        crowded: Products that have more identical images than were paired.
    """

    matches: Matches
    crowded: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The pairs of the night before, by `pair_key`, ascending."""

    key: NDArray[np.int64]
    found_at: NDArray[np.int64]
    accepted: NDArray[np.bool_]


def earlier_pairs(folder: Path, images: Images) -> Earlier:
    """The pairs that the night before wrote, in the numbers of tonight's products.

    Raises:
        OutputError: They cannot be read.
    """
    keys, found, accepted = [], [], []
    gone = 0
    for batch in read_earlier(folder, PAIRS, ["product_a", "product_b", "found_at", "accepted"]):
        one, other = (images.product_index.places(batch.column(name)) for name in ("product_a", "product_b"))
        # Products that are no longer known have numbers of no product: their pairs are gone.
        nobody = -1 - gone - np.arange(len(batch))
        gone += len(batch)
        keys.append(np.where((one >= 0) & (other >= 0), pair_key(one, other), nobody))
        found.append(batch.column("found_at").cast(pa.int64()).to_numpy(zero_copy_only=False))
        accepted.append(batch.column("accepted").to_numpy(zero_copy_only=False).astype(bool))
    if not keys:
        return Earlier(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    key = np.concatenate(keys)
    keys.clear()
    if (key[1:] >= key[:-1]).all():
        return Earlier(key, np.concatenate(found), np.concatenate(accepted))
    order = np.argsort(key, kind="stable")
    return Earlier(key[order], np.concatenate(found)[order], np.concatenate(accepted)[order])


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
    """
    schema = pairs_schema()
    thresholds, colours, compared = measures
    speak = [f"`{name}` differs" for name in sources.columns.different_when]
    speak += [f"`{name}` is the same" for name in sources.columns.same_when]
    reasons, names = pa.array([*REASONS, *speak]), pa.array(VERDICTS)
    titles = _TitleRows(images)
    now = int(sources.now.timestamp() * 1e6)
    ways, verdicts = pa.array(FOUND_BY), pa.array(JUDGED, pa.string())
    for start in range(0, len(pairs), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        row = pairs.row[some].astype(np.int64)
        run = np.where(row >= 0, images.run[row], -1)
        found = np.where(row >= 0, images.answered_at[row], now)
        key = pairs.key[some]
        place = np.minimum(np.searchsorted(earlier.key, key), max(len(earlier.key) - 1, 0))
        if len(earlier.key):
            found = np.where(earlier.key[place] == key, np.minimum(found, earlier.found_at[place]), found)
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
            "images": pa.array(pairs.images[some]),
            "row_key": _named(images.row_keys, row),
            "pic_a": _named(images.names, pairs.image_a[some]),
            "pic_b": _named(images.names, pairs.image_b[some]),
            "found_by": ways.take(pa.array(pairs.found_by[some])),
            "category_id": pa.array(pairs.category[some], mask=pairs.category[some] < 0),
            "threshold": pa.array(thresholds[some]),
            "colour_distance": pa.array(colours[some], mask=np.isnan(colours[some])),
            "verdict": names.take(pa.array(decision.verdict[some])),
            "reason": reasons.take(pa.array(decision.reason[some])),
            "confidence": pa.array(decision.confidence[some]),
            "inliers": pa.array(compared.inliers[some], mask=~compared.known[some]),
            **{
                name: pa.array(values[some], mask=np.isnan(values[some]))
                for name, values in (
                    ("overlap", compared.overlap),
                    ("agreement", compared.agreement),
                    ("colour_shift", compared.colour),
                    ("light_shift", compared.light),
                )
            },
            "mirrored": pa.array(compared.mirrored[some] > 0, mask=~(compared.inliers[some] > 0)),
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
    counts: NDArray[np.int64],
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
    schema = clusters_schema()
    row = _best_rows(clusters, images, shown)
    ids = _ids(clusters, images, sources, room)
    titles = _TitleRows(images)
    for start in range(0, len(clusters.product), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        values = {
            "cluster_id": _named(ids, clusters.cluster[some]),
            "product_id": _named(images.products, clusters.product[some]),
            "is_representative": pa.array(clusters.product[some] == clusters.representative[some]),
            "representative": _named(images.products, clusters.representative[some]),
            "confidence": pa.array(clusters.confidence[some]),
            "size": pa.array(clusters.size[some]),
            "review": pa.array(map(clusters.review.get, clusters.cluster[some].tolist()), pa.string()),
            "score": pa.array(clusters.score[some]),
            "images": pa.array(counts[clusters.product[some]]),
            "image": image_references(row[some], images),
            "row_key": _named(images.row_keys, row[some]),
            "title": titles.of(clusters.product[some]),
        }
        yield pa.Table.from_arrays([values[field.name].cast(field.type) for field in schema], schema=schema)


class _TitleRows:
    """What each product is called: what the first of its rows in the manifest says, or else of any."""

    def __init__(self, images: Images) -> None:
        self._titles = images.titles
        if images.titles is None:
            return
        filled = images.titles.is_valid().to_numpy(zero_copy_only=False)
        self._row = np.full(len(images.products), -1, np.int32)
        for some in (filled, filled & images.present):
            at = np.flatnonzero(some)[::-1]
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
    schema = findings_schema()
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
    rows = np.flatnonzero(np.isin(images.product, products))
    found, at = np.unique(images.product[rows], return_index=True)
    first = np.full(len(products), -1, np.int64)
    first[np.searchsorted(products, found)] = rows[at]
    return first


def _ids(clusters: Clusters, images: Images, sources: Sources, room: Room) -> pa.Array:
    """The id of each cluster, by its number."""
    if not clusters.count:
        return pa.array([], pa.string())
    texts, products = Texts(room), [np.empty(0, np.int32)]
    for batch in read_earlier(sources.folder, CLUSTERS, ["product_id", "cluster_id"]):
        texts.add(batch.column("cluster_id"))
        products.append(images.product_index.places(batch.column("product_id")))
    index, number = numbered(texts.array(), Coding(room))
    names = index.texts
    had = np.full(len(images.products) + 1, -1, np.int32)
    had[np.concatenate(products)] = number
    # Products that are no longer known.
    had[-1] = -1
    starts = np.flatnonzero(np.concatenate(([True], clusters.cluster[1:] != clusters.cluster[:-1])))
    stand = clusters.representative[starts]
    taken = taken_over(clusters.cluster, had[clusters.product], stand)
    new = np.flatnonzero(taken == NEW)
    place = taken.astype(np.int64)
    place[new] = len(names) + np.arange(len(new))
    named = new_names(_named(images.products, stand[new]).cast(names.type), index)
    return pa.concat_arrays([names, named]).take(pa.array(place))


def _best_rows(clusters: Clusters, images: Images, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each member the row of its largest image, the first of several; -1 where it has no row."""
    member = np.zeros(len(images.products), bool)
    member[clusters.product] = True
    rows = np.flatnonzero(shown & member[images.product])
    order = rows[np.lexsort((rows, -images.area[rows], images.product[rows]))]
    product = images.product[order]
    place = np.searchsorted(product, clusters.product)
    inside = place < len(product)
    inside[inside] = product[place[inside]] == clusters.product[inside]
    found = np.full(len(clusters.product), -1, np.int64)
    found[inside] = order[place[inside]]
    return found


def image_references(row: NDArray[np.int64], images: Images) -> pa.Array:
    """Where the images of these rows are, as the results carry it; null for rows below 0."""
    if images.references is None:
        return pa.nulls(len(row), pa.string())
    return _named(images.references, row).cast(pa.string())
