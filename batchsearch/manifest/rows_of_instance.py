"""Rows of a manifest that go to one of a job's instances; those of the others are none of the run's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batchsearch.manifest.column_types import normal_type, normalised, parameter_cells
from batchsearch.manifest.formats.table_file import Wished
from batchsearch.manifest.layers import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.instance_rows import InstanceRows


class OfInstance(Layer):
    """A file's rows that go to one instance."""

    def __init__(self, below: TableFile, rows: InstanceRows) -> None:
        """Lets the rows of one instance pass."""
        super().__init__(below, below.schema)
        self._rows = rows
        types = {field.name: field.type for field in below.schema}
        self._named_by = [Wished(rows.column, types[rows.column])] if rows.column in types else []

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        whole = {each.name: each for each in self._named_by}
        for piece in self._read(
            [*(each for each in wished if each.name not in whole), *self._named_by], report
        ):
            kept = pa.array(self._kept(piece))
            yield self._given(piece.filter(kept), wished, whole, report)
        self.left_out = self.left_out_below

    def _kept(self, piece: pa.RecordBatch) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if not self._named_by:
            return np.full(piece.num_rows, self._rows.takes(None))
        column = piece.column(self._rows.column)
        named = parameter_cells(normalised(column, normal_type(column.type))).dictionary_encode()
        # One look at each name, however many rows there are; the last place is that of rows without one.
        taken = np.array([*map(self._rows.takes, named.dictionary.to_pylist()), self._rows.takes(None)])
        places = named.indices.fill_null(len(named.dictionary)).to_numpy(zero_copy_only=False)
        kept: np.ndarray[tuple[int], np.dtype[np.bool_]] = taken[places]
        return kept
