"""What the galleries of a dedup job show: clusters with their members, and the pairs hardest to decide.

Cards as in `cards`, with these names:

* a cluster: `k` cluster id, `c` confidence, `n` products, `v` why a person should look, `y` the same by kind,
  `g` category, `m` its members, each `[product id, thumbnail, score, images, image]`, the one to keep first,
  `p` pairs among them, each `[place, place, score, accepted, judgement, decision]`;
* a pair of products: also `d` how far its score is from its threshold, `f` how it was found, `ok` accepted,
  `o` left to people, `j` judgement, `g` category, `u` each among the other's best, `r` why that was
  decided, `x` decision in words, `z` all numbers behind it in words, `na` and `nb` titles.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import python_rows
from batchsearch.tasks.report.best import Best
from batchsearch.tasks.report.cards import card, product_thumbnail, score
from batchsearch.tasks.report.references import RowImages, passthrough_reference
from batchsearch.tasks.report.run_facts import numbers
from batchsearch.tasks.report.summing_up.pair_decisions import (
    FOR_PEOPLE,
    decision_of,
    is_open,
    numbers_of,
    reason_of,
)
from batchsearch.tasks.report.table_reading import batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchsearch.tasks.report.cards import Card
    from batchsearch.tasks.report.references import Source
    from batchsearch.tasks.report.summing_up.pair_decisions import DecisionLimits
    from batchsearch.tasks.report.thumbnails import Thumbnails

MOST_MEMBERS: Final = 40
"""Members of one cluster that are shown."""
MOST_INNER_PAIRS: Final = 120
"""Pairs of one cluster that are shown."""
_UNFLAGGED: Final = 10.0
"""Puts clusters without a reason behind all that have one; confidence is at most 1."""
_BY_SIZE: Final = 1e-9

_MEMBER: Final = (
    "cluster_id",
    "product_id",
    "is_representative",
    "confidence",
    "size",
    "review",
    "score",
    "images",
    "image",
    "row_key",
)
_PAIR: Final = (
    "product_a",
    "product_b",
    "score",
    "found_by",
    "category_id",
    "threshold",
    "judged",
    "accepted",
    "mutual",
    "pic_a",
    "pic_b",
    "row_key",
    "verdict",
    "reason",
    "confidence",
    "colour_distance",
    "inliers",
    "overlap",
    "agreement",
    "colour_shift",
    "light_shift",
    "mirrored",
    "title_a",
    "title_b",
)
_INNER: Final = tuple(
    name for name in _PAIR if name not in ("title_a", "title_b", "pic_a", "pic_b", "row_key")
)
_KIND_ENDS: Final = r"(?s):.*"
_KIND_NUMBERS: Final = r"[0-9]+"


def kind_of_review(review: str) -> str:
    """The kind of a reason to look: up to the first colon, numbers left out."""
    return re.sub(_KIND_NUMBERS, "…", re.sub(_KIND_ENDS, "", review))


def kinds_of_review(reviews: pa.Array) -> pa.Array:
    """The same of a whole column."""
    kinds = pc.replace_substring_regex(reviews.cast(pa.string()), _KIND_ENDS, "")
    return pc.replace_substring_regex(kinds, _KIND_NUMBERS, "…")


class ChosenClusters:
    """The clusters most worth a look: those with a reason first, then the least certain, then the largest."""

    columns: Final = ("cluster_id", "is_representative", "confidence", "size", "review")

    def __init__(self, most: int) -> None:
        self._best: Best[str] = Best(most)

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at a batch of members."""
        heads = batch.filter(batch.column(batch.schema.get_field_index("is_representative")))
        confidence = np.nan_to_num(numbers(heads, "confidence"), nan=0.0)
        size = np.nan_to_num(numbers(heads, "size"), nan=0.0)
        flagged = np.asarray(heads.column(heads.schema.get_field_index("review")).is_valid())
        places = np.where(flagged, 0.0, _UNFLAGGED) + np.clip(confidence, 0.0, 1.0) - size * _BY_SIZE
        ids = heads.column(heads.schema.get_field_index("cluster_id"))
        self._best.offer(places, lambda rows: ids.take(pa.array(rows)).to_pylist())

    def ids(self) -> list[str]:
        """Their ids, most worth a look first."""
        return self._best.rows()


class ChosenPairs:
    """The pairs that people can decide best.

    Those for review first, the surest of them before the others; then those nearest to the threshold that
    applied. Tables without verdicts have only the latter.
    """

    columns: Final = _PAIR

    def __init__(self, most: int) -> None:
        self._best: Best[dict[str, Any]] = Best(most)

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at a batch of pairs."""
        away = np.abs(numbers(batch, "score") - numbers(batch, "threshold"))
        places = np.nan_to_num(away, nan=1.0)
        verdict = batch.column(batch.schema.get_field_index("verdict")).cast(pa.string())
        open_ones = pc.is_in(verdict, value_set=pa.array(FOR_PEOPLE)).to_numpy(zero_copy_only=False)
        judged = batch.column(batch.schema.get_field_index("judged")).is_valid()
        accepted = pc.fill_null(batch.column(batch.schema.get_field_index("accepted")), False)
        settled = pc.or_(judged, accepted).to_numpy(zero_copy_only=False)
        worth = np.nan_to_num(numbers(batch, "confidence"), nan=0.0)
        places = np.where(open_ones & ~settled, -worth, places)
        self._best.offer(places, lambda rows: python_rows(batch.take(pa.array(rows)).select(list(_PAIR))))

    def rows(self) -> list[dict[str, Any]]:
        """The pairs, hardest to decide first."""
        return self._best.rows()


@dataclass(slots=True)
class Cluster:
    """One cluster as it is shown.

    Attributes:
        name: Its id.
        confidence: 0 to 1.
        size: Products in it, those not shown included.
        review: Why a person should look, each reason once.
        members: Rows of `clusters`, the representative first.
        pairs: Pairs among the members shown: places, score, accepted, judgement, decision.
    """

    name: str
    confidence: float = 0.0
    size: int = 0
    review: list[str] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[list[Any]] = field(default_factory=list)


def members_of(files: Sequence[Path], ids: Sequence[str]) -> list[Cluster]:
    """The chosen clusters with their members, in the order of `ids`.

    Raises:
        OutputError: The clusters cannot be read.
    """
    clusters = {name: Cluster(name) for name in ids}
    wanted = pa.array(list(ids), pa.string())
    for batch in batches(files, _MEMBER) if ids else ():
        for row in python_rows(batch.filter(pc.is_in(batch.column(0), value_set=wanted))):
            cluster = clusters[row["cluster_id"]]
            cluster.confidence = max(cluster.confidence, row["confidence"] or 0.0)
            cluster.size = max(cluster.size, row["size"] or 0)
            if row["review"] and row["review"] not in cluster.review:
                cluster.review.append(row["review"])
            if row["is_representative"]:
                cluster.members.insert(0, row)
            elif len(cluster.members) < MOST_MEMBERS:
                cluster.members.append(row)
    for cluster in clusters.values():
        cluster.members[1:] = sorted(cluster.members[1:], key=lambda row: -(row["score"] or 0.0))
        cluster.size = max(cluster.size, len(cluster.members))
    return list(clusters.values())


def add_inner_pairs(files: Sequence[Path], clusters: Sequence[Cluster], limits: DecisionLimits) -> None:
    """Give each cluster the pairs among its members.

    Args:
        files: Files of the pairs.
        clusters: The clusters.
        limits: What the numbers of a decision are held against.

    Raises:
        OutputError: The pairs cannot be read.
    """
    places = {
        member["product_id"]: (number, place)
        for number, cluster in enumerate(clusters)
        for place, member in enumerate(cluster.members)
    }
    wanted = pa.array(list(places), pa.string())
    for batch in batches(files, _INNER) if places else ():
        both = pc.and_(
            pc.is_in(batch.column(0), value_set=wanted), pc.is_in(batch.column(1), value_set=wanted)
        )
        for row in python_rows(batch.filter(both)):
            (number, a), (other, b) = places[row["product_a"]], places[row["product_b"]]
            inner = clusters[number].pairs
            if number == other and len(inner) < MOST_INNER_PAIRS:
                decided = [int(bool(row["accepted"])), row["judged"], decision_of(row, limits)]
                inner.append([a, b, score(row["score"]), *decided])


def wanted_rows(
    clusters: Sequence[Cluster], pairs: Sequence[Mapping[str, Any]], most: int
) -> tuple[set[str], set[tuple[str, str]]]:
    """Which rows of the search are needed for images: by row key, and by product and image name.

    Args:
        clusters: The clusters shown.
        pairs: The pairs shown.
        most: Most images that are shown at all; no more rows are needed.
    """
    keys: set[str] = set()
    for cluster in clusters:
        if len(keys) >= most:
            break
        keys.update(member["row_key"] for member in cluster.members if member["row_key"] is not None)
    products: set[tuple[str, str]] = set()
    for pair in pairs:
        if len(products) >= most:
            break
        products.add((pair["product_a"], pair["pic_a"] or ""))
        products.add((pair["product_b"], pair["pic_b"] or ""))
    return keys, products


def cluster_cards(
    clusters: Sequence[Cluster], known: RowImages, thumbnails: Thumbnails, own: Source | None
) -> list[Card]:
    """Cards of clusters, in the order in which thumbnails go to them."""
    cards = []
    for cluster in clusters:
        members = []
        category = None
        for member in cluster.members:
            row = known.by_key.get(member["row_key"])
            text = member["image"] or (row.text if row is not None else None)
            index = thumbnails.want(
                own if text is not None or row is not None else None,
                (member["row_key"] or f"\0{member['product_id']}", "image"),
                close=2 * thumbnails.close_ups_left > thumbnails.close_ups,
                reference=passthrough_reference(text),
                regions=row.regions if row is not None else (),
            )
            category = category if row is None or category is not None else row.category
            members.append([member["product_id"], index, score(member["score"]), member["images"], text])
        cards.append(
            card(
                k=cluster.name,
                c=score(cluster.confidence),
                n=cluster.size,
                v=cluster.review or None,
                y=list(dict.fromkeys(map(kind_of_review, cluster.review))) or None,
                g=category,
                m=members,
                p=cluster.pairs or None,
            )
        )
    return cards


def pair_cards(
    pairs: Sequence[Mapping[str, Any]],
    known: RowImages,
    thumbnails: Thumbnails,
    own: Source | None,
    limits: DecisionLimits,
) -> list[Card]:
    """Cards of pairs of products, in the order in which thumbnails go to them."""
    cards = []
    for pair in pairs:
        a, b = pair["product_a"], pair["product_b"]
        found = numbers_of(pair, limits)
        distance = None
        if pair["score"] is not None and pair["threshold"] is not None:
            distance = score(abs(pair["score"] - pair["threshold"]))
        cards.append(
            card(
                k=pair["row_key"],
                a=a,
                b=b,
                pa=pair["pic_a"],
                pb=pair["pic_b"],
                ta=product_thumbnail(thumbnails, own, known, a, pair["pic_a"]),
                tb=product_thumbnail(thumbnails, own, known, b, pair["pic_b"]),
                s=score(pair["score"]),
                d=distance,
                f=pair["found_by"],
                g=pair["category_id"],
                j=pair["judged"],
                ok=int(bool(pair["accepted"])),
                o=int(is_open(pair)) or None,
                u=int(bool(pair["mutual"])),
                r=reason_of(pair),
                x=decision_of(pair, limits, found),
                z=[number.words for number in found],
                na=pair["title_a"],
                nb=pair["title_b"],
            )
        )
    return cards
