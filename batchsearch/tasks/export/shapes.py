"""Which tables can be exported of which output, and which of their columns people see (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.storage.parts.results_and_hits import HIT_COLUMNS, RESULT_COLUMNS
from batchsearch.tasks.compare.scores_table import SCORE_COLUMNS
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTER_COLUMNS, PAIR_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

TableName = Literal["clusters", "pairs", "products", "results", "hits", "scores"]

TABLES: Final[Mapping[TableName, str]] = {
    "clusters": "One row for each product found more than once, cluster by cluster.",
    "pairs": "One row for each two products found alike, with the verdict and its reason.",
    "products": "One row for each product of the manifest, and what it is a duplicate of.",
    "results": "One row for each row of the manifest, with its outcome and its first hits.",
    "hits": "One row for each hit, with the row that it was found for.",
    "scores": "One row for each pair that was compared.",
}
"""Every table that can be exported, by name."""

OF_DEDUP: Final[tuple[TableName, ...]] = ("clusters", "pairs", "products", "results", "hits")
OF_SEARCH: Final[tuple[TableName, ...]] = ("results", "hits")
OF_COMPARISON: Final[tuple[TableName, ...]] = ("scores", "results")
OF_RUN: Final[tuple[TableName, ...]] = ("results",)
"""Tables of each kind of output; the first is the one that is exported where none is named."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table on its way to a file.

    Attributes:
        name: What it is called.
        schema: Its columns; each has its meaning in the metadata.
        batches: Makes its rows, a few thousand at a time.
        rows: How many there are; None where that shows only while they are read.
    """

    name: TableName
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]
    rows: int | None = None


SHOWN_OF_CLUSTERS: Final = (
    "cluster_id",
    "product_id",
    "is_representative",
    "representative",
    "title",
    "verdict",
    "reason",
    "compared_with",
    "score",
    "confidence",
    "review",
    "size",
    "images",
    "image",
)
SHOWN_OF_PAIRS: Final = (
    "product_a",
    "product_b",
    "title_a",
    "title_b",
    "verdict",
    "reason",
    "accepted",
    "judged",
    "score",
    "confidence",
    "threshold",
    "found_by",
    "pic_a",
    "pic_b",
)
SHOWN_OF_PRODUCTS: Final = (
    "is_duplicate",
    "duplicate_of",
    "cluster_id",
    "verdict",
    "reason",
    "compared_with",
    "score",
    "confidence",
    "review",
    "cluster_size",
    "images",
)
SHOWN_OF_RESULTS: Final = (
    "row_key",
    "image_index",
    "in_manifest",
    "left_at",
    "outcome",
    "error_code",
    "error_message",
    "score",
    "hit_count",
    "deleted_pic_names",
    "answered_at",
)
SHOWN_OF_HITS: Final = tuple(
    column.name
    for column in HIT_COLUMNS
    if column.name not in {"row_key", "rank", "sort_expr_values", "page", "request_id"}
)
SHOWN_OF_SCORES: Final = (
    "pair_key",
    "group",
    "primary",
    "secondary",
    "primary_image",
    "secondary_image",
    "score",
    "same_bytes",
    "outcome",
    "error_code",
    "error_message",
)
HITS_BESIDE: Final = ("product_id", "pic_name", "score")
"""What a row of `results` says of each of its first hits."""

MEANINGS: Final[Mapping[str, str]] = {
    **{column.name: column.description for column in PAIR_COLUMNS},
    **{column.name: column.description for column in CLUSTER_COLUMNS},
    "verdict": "What the images say of this product and the one in `compared_with`.",
    "reason": "Why that, in words.",
    "compared_with": "The product that verdict and reason speak of: the representative, or else the member "
    "of the cluster that it is surest of.",
    "is_duplicate": "Whether another product stands for it.",
    "duplicate_of": "The product that stands for it.",
    "cluster_size": "Members of the cluster.",
    "images": "Rows of the product in the search's results.",
}
"""Meanings of columns that an export makes itself, and of those that a table of dedup has."""

FROM_MANIFEST: Final = "From the manifest."
_RENAMED: Final = "manifest_"
_OWN_RESULTS: Final = frozenset(
    column.name.casefold() for columns in RESULT_COLUMNS.values() for column in columns
)
_OWN_SCORES: Final = frozenset(column.name.casefold() for column in SCORE_COLUMNS)


def manifest_columns(results: pa.Schema) -> tuple[str, ...]:
    """The manifest's own columns in a table of results: they stand before batchsearch's."""
    names = results.names
    before = names[: names.index("row_key")] if "row_key" in names else names
    return tuple(name for name in before if name.casefold() not in _OWN_RESULTS)


def more_of_scores(scores: pa.Schema) -> tuple[str, ...]:
    """The manifest's own columns in a table of scores."""
    return tuple(name for name in scores.names if name.casefold() not in _OWN_SCORES)


def named_beside(own: Sequence[str], others: Sequence[str], *, same: Collection[str] = ()) -> dict[str, str]:
    """What the manifest's columns are called beside an export's own.

    Args:
        own: The export's own columns.
        others: The manifest's.
        same: Those of them that hold what the own column of that name holds; they are left out.

    Returns:
        The name in the export of each that is shown: its own, or `manifest_<name>` where that is taken.
    """
    taken = {name.casefold() for name in own}
    left = [name for name in others if not (name in same and name.casefold() in taken)]
    taken |= {name.casefold() for name in left if name.casefold() not in taken}
    given: dict[str, str] = {}
    owned = {name.casefold() for name in own}
    for name in left:
        new = name
        while new.casefold() in owned or (new != name and new.casefold() in taken):
            new = f"{_RENAMED}{new}"
        taken.add(new.casefold())
        given[name] = new
    return given


def shown_columns(
    present: Sequence[str], shown: Sequence[str], *, everything: bool, without: Collection[str] = ()
) -> list[str]:
    """A table's own columns that an export has: those for people first, then, if wanted, all others."""
    first = [name for name in shown if name in present]
    rest = [name for name in present if name not in first and name not in without] if everything else []
    return first + rest


def described(field: pa.Field, name: str, meaning: str | None = None) -> pa.Field:
    """A column under its name in the export, with its meaning."""
    metadata: dict[Any, Any] = dict(field.metadata or {})
    told = meaning or MEANINGS.get(name)
    kept = metadata.get(b"description", b"").decode("utf-8", "replace")
    return field.with_name(name).with_nullable(True).with_metadata({"description": told or kept})
