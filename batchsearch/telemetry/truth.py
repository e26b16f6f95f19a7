"""How an output compares with what its manifest says should come out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.arrow_values import python_rows
from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.telemetry.summary import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MOST_SURPRISES: Final = 10
_BATCH_ROWS: Final = 4_096


def compare_with_truth(
    results: Path, hits: Path, *, first_hit: str | None, outcome: str | None
) -> Truth | None:
    """Compare sealed results with the columns that say what should come out.

    Part by part, a few thousand rows at a time, whatever the size of the output.

    Args:
        results: Folder of the results.
        hits: Folder of the hits.
        first_hit: Results column with the product id expected as first hit; null or empty: none expected.
        outcome: Results column with the expected outcome, `ok` or a code.

    Returns:
        The comparison, or None when no column is named or nothing is written yet.

    Raises:
        OutputError: A part cannot be read.
    """
    wanted = [name for name in (first_hit, outcome) if name is not None]
    files = sorted(results.glob("part-*.parquet"))
    if not wanted or not files:
        return None
    counts = [0, 0, 0, 0]
    surprises: list[tuple[str, str, str]] = []
    columns = ["row_key", "error_code", *dict.fromkeys(wanted)]
    for path in files:
        try:
            with ExitStack() as stack:
                found = _FirstHits(stack, hits / path.name if first_hit is not None else None)
                for row in _rows(stack, path, columns):
                    ended = row["error_code"] or "ok"
                    got_first = found.of(row["row_key"])
                    checks = []
                    if first_hit is not None and row[first_hit]:
                        checks.append((0, str(row[first_hit]), got_first or ended))
                    if outcome is not None and row[outcome]:
                        checks.append((2, str(row[outcome]), ended))
                    for place, expected, got in checks:
                        counts[place] += 1
                        counts[place + 1] += expected == got
                        if expected != got and len(surprises) < _MOST_SURPRISES:
                            surprises.append((row["row_key"], expected, got))
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OutputError(f"{path}: this part cannot be compared with the truth: {error}") from error
    return Truth(counts[0], counts[1], counts[2], counts[3], tuple(surprises))


class _FirstHits:
    """The first hits of one part, asked for in the order of its rows: the order in which both are written."""

    def __init__(self, stack: ExitStack, path: Path | None) -> None:
        self._hits: Iterator[dict[str, Any]] = iter(())
        if path is not None:
            rows = _rows(stack, path, ["row_key", "rank", "product_id"])
            self._hits = (row for row in rows if row["rank"] == 1)
        self._next = next(self._hits, None)

    def of(self, row_key: str) -> str | None:
        """Product id of the row's first hit; None when it has none."""
        if self._next is None or self._next["row_key"] != row_key:
            return None
        found: str | None = self._next["product_id"]
        self._next = next(self._hits, None)
        return found


def _rows(stack: ExitStack, path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    file = stack.enter_context(pq.ParquetFile(arrow_readable(path), pre_buffer=False))
    for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns)):
        yield from python_rows(batch)
