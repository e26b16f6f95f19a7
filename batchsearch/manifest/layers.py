"""What a layer over a manifest's file has in common: it gives other rows than the file, and knows whence."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from batchsearch.arrow_values import python_values
from batchsearch.manifest.column_types import bad_cells, cell, normalised, without
from batchsearch.manifest.formats.table_file import Wished
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.remote_file import ManifestPath

ROW: Final = "\0row"
"""Column of a layer's pieces: the position of each row in the file itself, from 0."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of a manifest that give none, by why.

    Attributes:
        where: Rows that `manifest.where` does not let pass.
        without_image: Rows without an image (`manifest.without_image: skip`).
        merged: Images that their product has already.
    """

    where: int = 0
    without_image: int = 0
    merged: int = 0

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(
            self.where + other.where, self.without_image + other.without_image, self.merged + other.merged
        )

    def as_dict(self) -> dict[str, int]:
        """How many, by why; empty where nothing was left out."""
        return {name: count for name, count in asdict(self).items() if count}


@dataclass(frozen=True, slots=True)
class WithoutImage:
    """A row that is left out for want of an image.

    Attributes:
        file: Its file.
        row: Its position in it, from 0.
        key: What names its product.
    """

    file: str
    row: int
    key: str


class Origins:
    """From which row below each row of a layer comes; one or two bytes a row."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._firsts: list[int] = []
        self._steps: list[NDArray[np.unsignedinteger]] = []
        self._total = 0

    def add(self, rows: NDArray[np.int64]) -> None:
        """The next rows come from these positions below, ascending."""
        if len(rows) == 0:
            return
        first = int(rows[0])
        self._starts.append(self._total)
        self._firsts.append(first)
        steps = rows - first
        self._steps.append(steps.astype(np.min_scalar_type(int(steps[-1]))))
        self._total += len(rows)

    def at(self, position: int) -> int:
        """The position below of a row that was added."""
        block = bisect_right(self._starts, position) - 1
        return self._firsts[block] + int(self._steps[block][position - self._starts[block]])


class Layer:
    """A file's rows, made into others.

    Beside what is wished for, its pieces have the column `ROW`.

    Attributes:
        schema: The columns that it gives.
        left_out: What the last whole reading left out.
        listener: Told of each row that is left out for want of an image, while it is set.
    """

    def __init__(self, below: TableFile, schema: pa.Schema) -> None:
        """Puts a layer over a file, or over another layer."""
        self._below = below
        self._base: TableFile = below.base if isinstance(below, Layer) else below
        self._origins = Origins()
        self.schema = schema
        self.left_out = LeftOut()
        self.listener: Callable[[WithoutImage], None] | None = None

    @property
    def base(self) -> TableFile:
        """The file itself."""
        return self._base

    @property
    def below(self) -> TableFile:
        """What is directly under it."""
        return self._below

    @property
    def path(self) -> ManifestPath | GivenTable:
        """See `TableFile.path`."""
        return self._base.path

    @property
    def rows(self) -> int | None:
        """Rows of the file itself, where that is known without reading it."""
        return self._base.rows

    @property
    def left_out_below(self) -> LeftOut:
        """What the layers below have left out."""
        return self._below.left_out if isinstance(self._below, Layer) else LeftOut()

    def _tell(self, row: int, key: str | None) -> None:
        """Tells of a row, by its position in the file, that is left out for want of an image."""
        if self.listener is not None:
            self.listener(WithoutImage(str(self.path), self._base.row_at(row), key or ""))

    def row_at(self, position: int) -> int:
        """See `TableFile.row_at`; of what the last whole reading gave."""
        return self._base.row_at(self._origins.at(position))

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`."""
        return self._base.places(rows)

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        origins = Origins()
        for piece in self._made(wished, report):
            origins.add(rows_of(piece))
            yield piece
        # Readings may be on their way at the same time, and all give the same rows.
        self._origins = origins

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """What `pieces` gives; `_read` reads what is below."""
        raise NotImplementedError

    def _read(self, wished: Iterable[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """Pieces from below with these columns, each once, and `ROW`."""
        asked = list({each.name: each for each in wished}.values())
        if isinstance(self._below, Layer):
            yield from self._below.pieces(asked, report)
            return
        # Without any column a piece would not know how many rows it has.
        asked = asked or [Wished(field.name, field.type) for field in list(self._below.schema)[:1]]
        seen = 0
        for piece in self._below.pieces(asked, report):
            rows = pa.array(np.arange(seen, seen + piece.num_rows))
            yield pa.record_batch([*piece.columns, rows], names=[*piece.schema.names, ROW])
            seen += piece.num_rows

    def _given(
        self, piece: pa.RecordBatch, wished: Sequence[Wished], whole: Mapping[str, Wished], report: Report
    ) -> pa.RecordBatch:
        """The columns that were wished for; `whole` ones were read as the layer itself needs them."""
        arrays = []
        for each in wished:
            array = piece.column(each.name)
            if each.name in whole and each != whole[each.name]:
                array = self._as_wished(array, each, report, rows_of(piece))
            arrays.append(array)
        return pa.record_batch([*arrays, piece.column(ROW)], names=[*(each.name for each in wished), ROW])

    def _as_wished(
        self, array: pa.Array, column: Wished, report: Report, rows: NDArray[np.int64]
    ) -> pa.Array:
        """A column that was read whole as it was wished for; cells that do not fit are reported and null."""
        if column.path_only:
            array = pc.struct_field(array, "path")
        try:
            return normalised(array, column.type)
        except pa.ArrowInvalid:
            bad = bad_cells(array, column.type)
        for index in bad:
            said = cell(python_values(array.slice(index, 1))[0])
            what = f"{said} in `{column.name}` does not fit into {column.type}"
            report(self._base.row_at(int(rows[index])), what)
        return normalised(without(array, bad), column.type)


def rows_of(piece: pa.RecordBatch) -> NDArray[np.int64]:
    """The positions in the file itself of the rows of a layer's piece."""
    found: NDArray[np.int64] = piece.column(ROW).to_numpy(zero_copy_only=False)
    return found
