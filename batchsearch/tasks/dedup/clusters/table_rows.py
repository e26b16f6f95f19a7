"""The rows of tonight's tables: numbers back to texts, some hundred thousand at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of, places
from batchsearch.tasks.dedup.candidates.matches import FOUND_BY, NO_RANK, NOT_FOUND, pair_key
from batchsearch.tasks.dedup.clusters.decide import JUDGED
from batchsearch.tasks.dedup.clusters.earlier_tables import read_earlier
from batchsearch.tasks.dedup.clusters.names import cluster_ids
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
    read = read_earlier(folder, PAIRS, ["product_a", "product_b", "found_at", "accepted"])
    if read is None:
        return Earlier(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool))
    read = read.combine_chunks()
    one = places(_plain(read.column("product_a")), images.products)
    other = places(_plain(read.column("product_b")), images.products)
    # Products that are no longer known have numbers of no product: their pairs are gone.
    key = np.where((one >= 0) & (other >= 0), pair_key(one, other), -1 - np.arange(len(one)))
    order = np.argsort(key, kind="stable")
    found = _plain(read.column("found_at")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    accepted = _plain(read.column("accepted")).to_numpy(zero_copy_only=False).astype(bool)
    return Earlier(key[order], found[order], accepted[order])


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


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
    titles = titles_of(images)
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
            "title_a": _named(titles, pairs.a[some]),
            "title_b": _named(titles, pairs.b[some]),
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
    sources: Sources,
) -> Iterator[pa.Table]:
    """The rows of `clusters`, cluster by cluster, the representative first.

    Args:
        clusters: The clusters.
        images: What the numbers stand for.
        counts: Images of each product.
        shown: Rows whose images may be shown: those of the manifest.
        sources: Where the search's results and the clusters of the night before are.

    Raises:
        OutputError: One of them cannot be read.
    """
    schema = clusters_schema()
    row = _best_rows(clusters, images, shown)
    image = image_references(row, images, sources)
    ids = _named(_ids(clusters, images, sources), clusters.cluster)
    reviews = [clusters.review.get(number) for number in range(clusters.count)]
    titles = titles_of(images)
    review = pa.array(reviews, pa.string()).take(pa.array(clusters.cluster))
    for start in range(0, len(clusters.product), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        values = {
            "cluster_id": ids[some],
            "product_id": _named(images.products, clusters.product[some]),
            "is_representative": pa.array(clusters.product[some] == clusters.representative[some]),
            "representative": _named(images.products, clusters.representative[some]),
            "confidence": pa.array(clusters.confidence[some]),
            "size": pa.array(clusters.size[some]),
            "review": review[some],
            "score": pa.array(clusters.score[some]),
            "images": pa.array(counts[clusters.product[some]]),
            "image": image[some],
            "row_key": _named(images.row_keys, row[some]),
            "title": _named(titles, clusters.product[some]),
        }
        yield pa.Table.from_arrays([values[field.name].cast(field.type) for field in schema], schema=schema)


def titles_of(images: Images) -> pa.Array:
    """What each product is called: what the first of its rows in the manifest says, or else of any."""
    count = len(images.products)
    if images.titles is None:
        return pa.nulls(count, pa.string())
    filled = images.titles.is_valid().to_numpy(zero_copy_only=False)
    row = np.full(count, -1, np.int64)
    for some in (filled, filled & images.present):
        at = np.flatnonzero(some)[::-1]
        row[images.product[at]] = at
    return _named(images.titles, row)


def finding_rows(
    shared: Sequence[SharedImage], bare: NDArray[np.int32], images: Images, sources: Sources
) -> pa.Table:
    """The rows of `findings`: images on many products that are no proof, then products without a usable one.

    Args:
        shared: The images.
        bare: Products that have nothing but images that prove nothing.
        images: What the numbers stand for.
        sources: Where the search's results are.

    Raises:
        OutputError: The results cannot be read.
    """
    told = [image for image in shared if image.worth != "proof"]
    order = sorted(told, key=lambda image: (-len(image.products), int(image.rows[0])))
    first = _first_rows(bare, images)
    row = np.concatenate([np.array([image.rows[0] for image in order], np.int64), first])
    where = image_references(row, images, sources)
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


def _ids(clusters: Clusters, images: Images, sources: Sources) -> pa.Array:
    """The id of each cluster, by its number."""
    before = read_earlier(sources.folder, CLUSTERS, ["product_id", "cluster_id"])
    earlier: dict[str, str] = {}
    if before is not None:
        earlier = dict(
            zip(before.column("product_id").to_pylist(), before.column("cluster_id").to_pylist(), strict=True)
        )
    if not clusters.count:
        return pa.array([], pa.string())
    products = _named(images.products, clusters.product).to_pylist()
    starts = np.flatnonzero(np.concatenate(([True], clusters.cluster[1:] != clusters.cluster[:-1])))
    ends = [*starts[1:], len(products)]
    members = [products[start:end] for start, end in zip(starts, ends, strict=True)]
    stand = _named(images.products, clusters.representative[starts]).to_pylist()
    return pa.array(cluster_ids(members, stand, earlier), pa.string())


def _best_rows(clusters: Clusters, images: Images, shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each member the row of its largest image, the first of several; -1 where it has no row."""
    rows = np.flatnonzero(shown)
    order = rows[np.lexsort((rows, -images.area[rows], images.product[rows]))]
    product = images.product[order]
    place = np.searchsorted(product, clusters.product)
    inside = place < len(product)
    inside[inside] = product[place[inside]] == clusters.product[inside]
    found = np.full(len(clusters.product), -1, np.int64)
    found[inside] = order[place[inside]]
    return found


def image_references(row: NDArray[np.int64], images: Images, sources: Sources) -> pa.Array:
    """Where the images of these rows are, as the results carry it; null for rows below 0.

    Raises:
        OutputError: The results cannot be read.
    """
    column = sources.columns.image
    if column is None or not len(row):
        return pa.nulls(len(row), pa.string())
    wanted = images.row_keys.take(pa.array(np.unique(row[row >= 0])))
    keys, texts = [], []
    for batch in batches_of(sources.search / RESULTS, ["row_key", column], sources.copies):
        chosen = pa.array(places(batch.column("row_key"), wanted) >= 0)
        keys.append(batch.column("row_key").filter(chosen))
        texts.append(batch.column(column).cast(pa.string()).filter(chosen))
    if not keys:
        return pa.nulls(len(row), pa.string())
    # By key: the results are stored in the order of the answers.
    at = places(images.row_keys.take(pa.array(row, mask=row < 0)), pa.concat_arrays(keys))
    return _named(pa.concat_arrays(texts), at)
