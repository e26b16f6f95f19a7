"""What the tables of a dedup job say in figures: pairs and how they were judged, clusters and their sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.tasks.dedup.dedup_page import night_lines
from batchsearch.tasks.report.bin_counts import even
from batchsearch.tasks.report.cluster_cards import kinds_of_review
from batchsearch.tasks.report.report_facts import FactColumn, FactTable, Figure
from batchsearch.tasks.report.run_facts import (
    OTHERS,
    SCORE_BINS,
    Scores,
    Tally,
    histogram_table,
    look_through,
    numbers,
)
from batchsearch.tasks.report.summing_up.job_told import told_table
from batchsearch.tasks.report.summing_up.needs import state
from batchsearch.tasks.report.summing_up.pair_decisions import FOR_PEOPLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.tasks.report.bin_counts import Bin
    from batchsearch.tasks.report.output_kind import DedupFolder
    from batchsearch.tasks.report.run_facts import Look

_FOUND_BY: Final = {
    "search": "found by a search",
    "identical_bytes": "the same file",
    "identical_pixels": "the same pixels",
    "perceptual": "alike by perceptual hash",
}
_SIZES: Final = (2, 3, 4, 5, 10, 20, 50, 100)
_LONGEST_VALUE: Final = 120
_OWN_SECTIONS: Final = frozenset({"search", "sync"})
"""Parts of the summary that the report states by itself."""
_MOST_LISTED: Final = 60


class ClusterCounts:
    """Clusters, their members, and why people should look.

    Reasons are counted by kind: up to the first colon, numbers left out.
    """

    columns: Final = ("is_representative", "size", "confidence", "review")

    def __init__(self) -> None:
        self.members = self.clusters = self.flagged = 0
        self.sizes: dict[int, int] = {}
        self.confidence = even(0.0, 1.0, SCORE_BINS)
        self.reasons = Tally("review")

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch of members."""
        self.members += batch.num_rows
        heads = batch.filter(batch.column(batch.schema.get_field_index("is_representative")))
        self.clusters += heads.num_rows
        self.confidence.add(numbers(heads, "confidence"))
        review = heads.column(heads.schema.get_field_index("review"))
        self.flagged += heads.num_rows - review.null_count
        self.reasons.add(pa.record_batch([kinds_of_review(review).drop_null()], names=["review"]))
        for size in heads.column(heads.schema.get_field_index("size")).value_counts().to_pylist():
            if size["values"] is not None:
                wide = max((step for step in _SIZES if step <= size["values"]), default=1)
                self.sizes[wide] = self.sizes.get(wide, 0) + size["counts"]


@dataclass(frozen=True, slots=True)
class DedupFacts:
    """Everything that is stated of a dedup job beside its runs.

    Attributes:
        figures: The most important.
        tables: All tables.
        scores: Pairs by score, all and accepted.
        thresholds: Thresholds that applied, with the number of pairs.
        clusters: What was counted of clusters.
        open_pairs: Pairs that are for people.
    """

    figures: tuple[Figure, ...]
    tables: tuple[FactTable, ...]
    scores: tuple[list[Bin], list[Bin]]
    thresholds: tuple[float, ...]
    clusters: ClusterCounts
    open_pairs: int

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Reasons to look at clusters, by kind."""
        return [(reason, count) for (reason,), count in self.clusters.reasons.most()]


def dedup_facts(folder: DedupFolder, looks: tuple[Sequence[Look], Sequence[Look]]) -> DedupFacts:
    """Count pairs and clusters, each in one pass.

    Args:
        folder: The output.
        looks: What else wants to see the pairs, and the clusters.

    Raises:
        OutputError: A table cannot be read.
    """
    how, judged = Tally("found_by", "accepted"), Tally("judged")
    verdicts = Tally("verdict", "accepted", "judged")
    reasons = Tally("reason", "accepted")
    thresholds = Tally("threshold")
    scores = Scores(where="accepted", holds=lambda column: column)
    look_through(folder.pairs, [how, judged, verdicts, reasons, thresholds, scores, *looks[0]])
    clusters = ClusterCounts()
    look_through(folder.clusters, [clusters, *looks[1]])
    pairs = sum(how.found.values())
    accepted = sum(count for (_, yes), count in how.found.items() if yes)
    said = {word: count for (word,), count in judged.found.items() if word is not None}
    applied = [value for (value,), _ in thresholds.most() if isinstance(value, float)]
    figures = (
        Figure(
            "clusters",
            "count",
            clusters.clusters,
            f"{clusters.members:,} products in them",
            show=state("clusters"),
        ),
        Figure(
            "to be looked at",
            "count",
            clusters.flagged,
            "clusters with a reason",
            "warn" if clusters.flagged else "good",
            state("clusters", why="any") if clusters.flagged else "",
        ),
        Figure(
            "duplicate pairs",
            "count",
            accepted,
            f"of {pairs:,} found",
            show=state("products", accepted=1),
        ),
        Figure(
            "judged by people",
            "count",
            sum(said.values()),
            ", ".join(f"{count:,} {word}" for word, count in sorted(said.items())) or "none yet",
            show=state("products", judged="yes") if said else "",
        ),
    )
    open_pairs = sum(
        count
        for (verdict, yes, word), count in verdicts.found.items()
        if verdict in FOR_PEOPLE and not yes and word is None
    )
    told = night_lines(folder.summary) if "pairs" in folder.summary else []
    tables = (
        _how_table(how),
        _size_table(clusters),
        _reason_table(clusters),
        _decision_table(reasons),
        histogram_table(
            "pair_scores", "Scores of pairs", scores.all.bins(), kind="score", total=max(1, pairs)
        ),
        told_table(told),
        _said_table(folder.summary),
    )
    return DedupFacts(
        figures,
        tuple(table for table in tables if table.rows),
        (scores.all.bins(), scores.chosen.bins()),
        tuple(sorted(set(applied))),
        clusters,
        open_pairs,
    )


def _how_table(how: Tally) -> FactTable:
    column = FactColumn("found_by", "How", "text")
    rows = tuple((_FOUND_BY.get(by, by), *counts) for by, *counts in _accepted_or_not(how, OTHERS))
    return FactTable("pairs", "How pairs were found", (column, *_ACCEPTED_OR_NOT), rows)


_ACCEPTED_OR_NOT: Final = (
    FactColumn("accepted", "Pairs accepted", "count"),
    FactColumn("rejected", "not accepted", "count"),
)


def _accepted_or_not(tally: Tally, nothing: str = "") -> list[tuple[str, int, int]]:
    """Each value of a tally's first column, and of how many pairs it was that were accepted, and were not."""
    found: dict[str, list[int]] = {}
    for (value, accepted), count in tally.most():
        found.setdefault(value or nothing, [0, 0])[0 if accepted else 1] += count
    return [(value, yes, no) for value, (yes, no) in found.items() if value]


def _size_table(clusters: ClusterCounts) -> FactTable:
    columns = (
        FactColumn("size", "Products in a cluster", "text"),
        FactColumn("clusters", "Clusters", "count"),
    )
    rows = []
    for size, count in sorted(clusters.sizes.items()):
        after = next((step for step in _SIZES if step > size), None)
        label = (
            f"{size} and more"
            if after is None
            else f"{size}"
            if after == size + 1
            else f"{size} to {after - 1}"
        )
        rows.append((label, count))
    return FactTable("cluster_sizes", "Sizes of clusters", columns, tuple(rows))


def _reason_table(clusters: ClusterCounts) -> FactTable:
    columns = (
        FactColumn("review", "Why a person should look", "code"),
        FactColumn("clusters", "Clusters", "count"),
    )
    rows = tuple((reason, count) for (reason,), count in clusters.reasons.most()[:_MOST_LISTED])
    show = tuple(state("clusters", why=row[0]) for row in rows)
    return FactTable("review", "To be looked at", columns, rows, show=show)


def _decision_table(reasons: Tally) -> FactTable:
    column = FactColumn("reason", "Why", "code")
    rows = tuple(_accepted_or_not(reasons))[:_MOST_LISTED]
    show = tuple(state("products", reason=row[0]) for row in rows)
    title = "Why pairs were accepted or not"
    return FactTable("decisions", title, (column, *_ACCEPTED_OR_NOT), rows, show=show)


def _said_table(summary: Mapping[str, Any]) -> FactTable:
    """What the job itself wrote down: every plain value, by its path."""
    columns = (FactColumn("name", "Setting or count", "code"), FactColumn("value", "Value", "code"))
    return FactTable(
        "dedup",
        "Settings and counts as the job wrote them down",
        columns,
        tuple(_plain(summary))[:_MOST_LISTED],
    )


def _plain(value: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, each in value.items():
        if not before and name in _OWN_SECTIONS:
            continue
        path = f"{before}{name}"
        if isinstance(each, dict):
            rows += _plain(each, f"{path}.")
        elif isinstance(each, bool):
            rows.append((path, "yes" if each else "no"))
        elif isinstance(each, str | int | float):
            rows.append((path, str(each)[:_LONGEST_VALUE]))
    return rows
