"""Similarity matrices of small groups, as `batchsearch compare` writes them: read for the page, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.tasks.report.html_page import Matrix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_MATRICES: Final = 24
MOST_NAMES: Final = 60
"""Members of a group that still make a readable matrix."""
_GROUP: Final = b"batchsearch.group"


def matrices_of(files: Sequence[Path]) -> tuple[Matrix, ...]:
    """The matrices that are small enough to be read, in the order of their files.

    Args:
        files: Parquet files: text in the first column, then a column of scores for each member.

    Raises:
        OutputError: A file cannot be read.
    """
    found: list[Matrix] = []
    for path in files:
        if len(found) == MOST_MATRICES:
            break
        matrix = _matrix(path)
        if matrix is not None:
            found.append(matrix)
    return tuple(found)


def _matrix(path: Path) -> Matrix | None:
    with reading(path, "this matrix cannot be read"), pq.ParquetFile(arrow_readable(path)) as file:
        schema = file.schema_arrow
        if not 2 <= file.metadata.num_rows <= MOST_NAMES or len(schema) > MOST_NAMES + 1:  # noqa: PLR2004 - a pair at least
            return None
        if not all(pa.types.is_floating(field.type) for field in list(schema)[1:]):
            return None
        table = file.read()
    group = (schema.metadata or {}).get(_GROUP, b"").decode("utf-8", "replace")
    columns: list[list[Any]] = [column.to_pylist() for column in table.columns[1:]]
    rows = tuple(tuple(column[place] for column in columns) for place in range(table.num_rows))
    names = tuple(str(name) for name in table.column(0).to_pylist())
    return Matrix(group or "All images", names, rows)
