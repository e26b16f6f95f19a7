"""How an output compares with what its manifest says should come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow.dataset as ds

from batchsearch.reporting.summary import Truth

if TYPE_CHECKING:
    from pathlib import Path

_MOST_SURPRISES: Final = 10


def compare_with_truth(
    results: Path, hits: Path, *, first_hit: str | None, outcome: str | None
) -> Truth | None:
    """Compare sealed results with the columns that say what should come out.

    Args:
        results: Folder of the results.
        hits: Folder of the hits.
        first_hit: Results column with the product id expected as first hit; null or empty: none expected.
        outcome: Results column with the expected outcome, `ok` or a code.

    Returns:
        The comparison, or None when no column is named or nothing is written yet.
    """
    wanted = [name for name in (first_hit, outcome) if name is not None]
    files = sorted(results.glob("part-*.parquet"))
    if not wanted or not files:
        return None
    first: dict[str, str] = {}
    if first_hit is not None:
        found = ds.dataset([str(path) for path in sorted(hits.glob("part-*.parquet"))])
        table = found.to_table(columns=["row_key", "product_id"], filter=ds.field("rank") == 1)
        first = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
    counts = [0, 0, 0, 0]
    surprises: list[tuple[str, str, str]] = []
    columns = ["row_key", "error_code", *dict.fromkeys(wanted)]
    for batch in ds.dataset([str(path) for path in files]).to_batches(columns=columns):
        for row in batch.to_pylist():
            ended = row["error_code"] or "ok"
            checks = []
            if first_hit is not None and row[first_hit]:
                checks.append((0, str(row[first_hit]), first.get(row["row_key"], ended)))
            if outcome is not None and row[outcome]:
                checks.append((2, str(row[outcome]), ended))
            for place, expected, got in checks:
                counts[place] += 1
                counts[place + 1] += expected == got
                if expected != got and len(surprises) < _MOST_SURPRISES:
                    surprises.append((row["row_key"], expected, got))
    return Truth(counts[0], counts[1], counts[2], counts[3], tuple(surprises))
