"""What a run reads and writes, in OpenLineage's words; needs its provider, and is asked for by it alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)/?([^?#]*)")

_TABLES: Final = {"results": "done", "hits_folder": "hits"}
"""Folders that a run's summary names, each with the summary's count of rows that are in it."""

_OF_DEDUP: Final = {"pairs": "pairs", "clusters": "members"}
"""Folders in the folder that a dedup's summary names, likewise."""


def place_of(reference: str) -> tuple[str, str]:
    """Namespace and name of a file or object, without a query that may hold a signature.

    A path is in the namespace `file`, an object in that of its bucket: `s3://bucket`.
    """
    found = _URL.match(reference)
    if found is None:
        return "file", str(PurePosixPath(reference))
    return f"{found[1].lower()}://{found[2].rpartition('@')[2]}", found[3] or "/"


def tables_of(summary: Mapping[str, Any]) -> dict[str, int | None]:
    """Folders of the tables that a summary tells of, each with its rows as far as it says."""
    folder = summary.get("folder")
    if isinstance(folder, str) and "products" in summary:
        return {f"{folder}/{name}": summary.get(count) for name, count in _OF_DEDUP.items()}
    return {summary[key]: summary.get(count) for key, count in _TABLES.items() if summary.get(key)}


def operator_lineage(read: Iterable[str | None], summary: Mapping[str, Any]) -> Any:
    """The lineage of a finished task.

    Args:
        read: Manifest and other tables that were read; None for what is not known.
        summary: The child's last line.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        InputDataset,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    inputs = []
    for reference in read:
        if reference:
            namespace, name = place_of(reference)
            inputs.append(InputDataset(namespace=namespace, name=name))
    outputs = []
    for folder, count in tables_of(summary).items():
        namespace, name = place_of(folder)
        rows = OutputStatisticsOutputDatasetFacet(rowCount=count)
        outputs.append(OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": rows}))
    return OperatorLineage(inputs=inputs, outputs=outputs)
