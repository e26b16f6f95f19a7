"""What the table of pairs tells of the members of clusters: the verdict that holds one there, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.tasks.export.table_batches import batches, schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_COLUMNS: Final = (
    ("product_a", pa.string()),
    ("product_b", pa.string()),
    ("score", pa.float64()),
    ("confidence", pa.float64()),
    ("accepted", pa.bool_()),
    ("verdict", pa.string()),
    ("reason", pa.string()),
)

_BATCH_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Member:
    """A product that is in a cluster.

    Attributes:
        product: Its id.
        cluster: The cluster's.
        representative: The product that stands for the cluster.
    """

    product: str
    cluster: str | None
    representative: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a member.

    Attributes:
        other: The product that it was compared with.
        verdict: What the images say of the two.
        reason: Why.
    """

    other: str
    verdict: str | None
    reason: str | None


def told_of(members: Sequence[Member], pairs: Sequence[Path], clusters: Sequence[Path]) -> dict[str, Told]:
    """What the pairs tell of members, by product; nothing of one that stands for its cluster itself.

    Of several pairs that with the representative counts, then an accepted one within the cluster, then the
    surest. One look at all pairs, whatever the number of members.

    Args:
        members: Some thousands.
        pairs: Files of the table `pairs`.
        clusters: Files of the table `clusters`.

    Raises:
        OutputError: A file cannot be read.
    """
    by_product = {each.product: each for each in members if each.product != each.representative}
    if not by_product or not pairs:
        return {}
    wanted = pa.array(list(by_product), pa.string())
    present = schema_of(pairs).names
    schema = pa.schema([pa.field(name, kind) for name, kind in _COLUMNS if name in present])
    together = _together(by_product, clusters)
    direct: dict[str, Mapping[str, Any]] = {}
    surest: dict[str, Mapping[str, Any]] = {}
    # Large batches: what is looked for is hashed anew for each.
    for batch in batches(pairs, schema, _BATCH_ROWS):
        ids = batch.column("product_a"), batch.column("product_b")
        mask = pc.or_(*(pc.is_in(each, value_set=wanted) for each in ids))
        for row in batch.filter(mask).to_pylist():
            for product, other in _both_ways(row):
                member = by_product.get(product)
                if member is None:
                    continue
                if other == member.representative:
                    direct[product] = row
                elif row.get("accepted") and together.get(other) == member.cluster:
                    known = surest.get(product)
                    if known is None or _sureness(row) > _sureness(known):
                        surest[product] = row
    return {product: _told(product, row) for product, row in {**surest, **direct}.items()}


def _together(members: Mapping[str, Member], clusters: Sequence[Path]) -> dict[str, str]:
    """Everything that is in one of the members' clusters, and in which."""
    ids = {each.cluster for each in members.values()} - {None}
    wanted = pa.array(list(ids), pa.string())
    schema = pa.schema([("product_id", pa.string()), ("cluster_id", pa.string())])
    found: dict[str, str] = {}
    for batch in batches(clusters, schema, _BATCH_ROWS):
        there = batch.filter(pc.is_in(batch.column("cluster_id"), value_set=wanted))
        rows = zip(
            there.column("product_id").to_pylist(), there.column("cluster_id").to_pylist(), strict=True
        )
        found.update(rows)
    return found


def _both_ways(row: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    one, other = row["product_a"], row["product_b"]
    return (one, other), (other, one)


def _sureness(row: Mapping[str, Any]) -> float:
    return float(row.get("confidence") or row.get("score") or 0.0)


def _told(product: str, row: Mapping[str, Any]) -> Told:
    other = row["product_b"] if row["product_a"] == product else row["product_a"]
    return Told(other, row.get("verdict"), row.get("reason"))
