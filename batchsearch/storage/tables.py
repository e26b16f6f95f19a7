"""Every table that batchsearch writes: where it lies, what a row of it is, where its columns are declared.

The columns themselves stand where the table is written; this only points there, and imports nothing until
it is asked.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.storage.parts.results_and_hits import Column


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        where: Its file or folder, from the output folder.
        what: What a row of it is.
        module: Module that declares its columns.
        name: What they are called there: a tuple of columns, or such tuples by operation.
        more: Which columns a file has beside these.
    """

    where: str
    what: str
    module: str
    name: str
    more: str = ""

    @property
    def by_operation(self) -> Mapping[str, tuple[Column, ...]] | None:
        """The columns by operation; None where they are the same for all."""
        found: Any = getattr(importlib.import_module(self.module), self.name)
        return found if isinstance(found, dict) else None

    def columns(self, operation: str) -> tuple[Column, ...]:
        """The columns, in order.

        Args:
            operation: Whose columns, where operations differ.
        """
        by_operation = self.by_operation
        if by_operation is not None:
            return by_operation[operation]
        found: tuple[Column, ...] = getattr(importlib.import_module(self.module), self.name)
        return found


TABLES: Final[Mapping[str, Table]] = {
    "results": Table(
        "results/*.parquet",
        "One row for each row of the manifest, whatever became of it.",
        "batchsearch.storage.parts.results_and_hits",
        "RESULT_COLUMNS",
        more="Before these stand the manifest's own columns; one of a name taken becomes `manifest_NAME`.",
    ),
    "hits": Table(
        "hits/*.parquet",
        "One row for each image that a search found.",
        "batchsearch.storage.parts.results_and_hits",
        "HIT_COLUMNS",
    ),
    "verdicts": Table(
        "check/verdicts.parquet",
        "One row for each image that `batchsearch check` has looked at.",
        "batchsearch.storage.parts.verdict_table",
        "VERDICT_COLUMNS",
    ),
    "scores": Table(
        "scores.parquet",
        "One row for each pair that `batchsearch compare` has compared.",
        "batchsearch.tasks.compare.scores_table",
        "SCORE_COLUMNS",
        more="After these stand the manifest's own columns, or those of `compare.carry`.",
    ),
    "compare_pairs": Table(
        "compare/pairs.parquet",
        "One row for each pair that `batchsearch compare` has made of a list; for its owner only.",
        "batchsearch.tasks.compare.pairs_table",
        "PAIR_COLUMNS",
        more="After these stand the columns of `compare.carry`, once for each image.",
    ),
    "pairs": Table(
        "pairs/*.parquet",
        "One row for each two products that `batchsearch dedup` has found alike.",
        "batchsearch.tasks.dedup.clusters.pair_and_cluster_tables",
        "PAIR_COLUMNS",
    ),
    "clusters": Table(
        "clusters/*.parquet",
        "One row for each product that `batchsearch dedup` has found more than once.",
        "batchsearch.tasks.dedup.clusters.pair_and_cluster_tables",
        "CLUSTER_COLUMNS",
    ),
    "findings": Table(
        "findings/*.parquet",
        "One image that is on many products, or one product that `batchsearch dedup` has no usable image of.",
        "batchsearch.tasks.dedup.clusters.pair_and_cluster_tables",
        "FINDING_COLUMNS",
    ),
    "changes": Table(
        "where `batchsearch diff --parquet FILE` says",
        "One difference between two runs or two nights.",
        "batchsearch.tasks.diff.diffs",
        "CHANGE_COLUMNS",
    ),
    "usage": Table(
        "where `batchsearch usage --parquet FILE` says",
        "What one operation took of one instance on one day.",
        "batchsearch.storage.parts.usage_table",
        "USAGE_COLUMNS",
    ),
}
"""Every table by its name, in the order in which people meet them."""
