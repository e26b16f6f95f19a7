"""Matrices: the scores of a small group, each image against each, as one wide Parquet file.

The first column, `image`, names the row's image; the others are named by the images they stand for, in
the same order. Both halves are filled, and a pair without a score is null. The diagonal is 1 for an image
that has a score with any other one, and null for one that has none: nothing says that it could be read.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.storage.parts.parquet_table import table_file, writing
from batchsearch.storage.sealed.delivered import MADE_BY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MATRIX_FOLDER: Final = "matrix"

_NAME: Final = re.compile(r"[a-z0-9-]{0,40}[0-9a-f]{12}\.parquet")
_BATCH_ROWS: Final = 65_536
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix that was written.

    Attributes:
        group: The group; None where all images are one.
        file: File name in the folder of matrices.
        images: How many images it has.
        missing: Pairs of the group that have no score.
    """

    group: str | None
    file: str
    images: int
    missing: int


@dataclass(slots=True)
class _Cells:
    """The images of one group by name, in order, and the scores of its pairs."""

    places: dict[str, int] = field(default_factory=dict)
    scores: dict[tuple[int, int], float] = field(default_factory=dict)


class Matrices:
    """Collects the scores of small groups and writes their matrices.

    Args:
        pairs: The pairs of the job: `pairs_table` says their columns.
        most_images: Groups of more images get no matrix.
        most: Most matrices.
    """

    def __init__(self, pairs: Path, *, most_images: int, most: int) -> None:
        self.too_large = 0
        self._groups: dict[str | None, _Cells] = {}
        if most_images and most:
            self._choose(pairs, most_images, most)

    def _choose(self, pairs: Path, most_images: int, most: int) -> None:
        """Find the first small groups, and the order of their images."""
        large: set[str | None] = set()
        left_out: set[str | None] = set()
        with pq.ParquetFile(arrow_readable(pairs), pre_buffer=False) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=["group", "primary_key", "secondary_key"]):
                for group, *keys in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if group in large or group in left_out:
                        continue
                    if group not in self._groups and len(self._groups) >= most:
                        left_out.add(group)
                        continue
                    places = self._groups.setdefault(group, _Cells()).places
                    for key in keys:
                        places.setdefault(key, len(places))
                    if len(places) > most_images:
                        del self._groups[group]
                        large.add(group)
        self.too_large = len(large)

    def add(self, scores: pa.RecordBatch) -> None:
        """Take the scores of a batch of the scores table."""
        columns = [scores.column(name).to_pylist() for name in ("group", "primary", "secondary", "score")]
        for group, first, second, score in zip(*columns, strict=True):
            cells = self._groups.get(group)
            if cells is not None and score is not None and first in cells.places and second in cells.places:
                cells.scores[cells.places[first], cells.places[second]] = score

    def write(self, folder: Path, run_id: str) -> tuple[Matrix, ...]:
        """Write them into a folder, each appearing whole; matrices of earlier comparisons go.

        Args:
            folder: The folder of matrices.
            run_id: The run that they are made by, for their metadata.

        Raises:
            OutputError: The disk refuses.
        """
        with writing(folder, "the matrices cannot be written"):
            if self._groups:
                folder.mkdir(parents=True, exist_ok=True)
            written = tuple(_written(folder, group, cells, run_id) for group, cells in self._groups.items())
            names = {matrix.file for matrix in written}
            for path in folder.iterdir() if folder.is_dir() else ():
                if _NAME.fullmatch(path.name) and path.name not in names:
                    with suppress(FileNotFoundError):
                        path.unlink()
        return written


def file_of(group: str | None) -> str:
    """File name of a group's matrix: what of its name is plain, and a digest, so that no two share one."""
    digest = hashlib.sha256(repr(group).encode(errors="surrogatepass")).hexdigest()[:12]
    plain = re.sub(r"[^a-z0-9]+", "-", (group or "all").lower()).strip("-")[: _LONGEST_NAME - 1]
    return f"{plain}-{digest}.parquet"


def _written(folder: Path, group: str | None, cells: _Cells, run_id: str) -> Matrix:
    names = sorted(cells.places)
    size = len(names)
    places = [cells.places[name] for name in names]
    rows: list[list[Any]] = [[None] * size for _ in range(size)]
    back = {place: index for index, place in enumerate(places)}
    for (first, second), score in cells.scores.items():
        one, other = back[first], back[second]
        rows[one][other] = rows[other][one] = score
        rows[one][one] = rows[other][other] = 1.0
    missing = sum(rows[row][column] is None for row in range(size) for column in range(row))
    table = _table(group, names, rows)
    table = table.replace_schema_metadata({**table.schema.metadata, MADE_BY: run_id.encode()})
    with table_file(folder / file_of(group), table.schema) as file:
        file.add(table)
    return Matrix(group, file.path.name, size, missing)


def _table(group: str | None, names: Sequence[str], rows: Sequence[Sequence[float | None]]) -> pa.Table:
    metadata = {"batchsearch.table": "matrix", "batchsearch.group": "" if group is None else group}
    # An image may be called `image` too: Parquet and Arrow take a name twice, readers do not.
    first = "image" if "image" not in names else "image_name"
    fields = [pa.field(first, pa.string()), *(pa.field(name, pa.float64()) for name in names)]
    columns = [pa.array(names, pa.string()), *(pa.array(row, pa.float64()) for row in rows)]
    return pa.table(columns, schema=pa.schema(fields, metadata=metadata))
