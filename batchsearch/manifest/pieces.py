"""The files of a manifest, piece by piece: columns as they are asked for, and which rows have a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from batchsearch.manifest.column_types import fractions, normalised
from batchsearch.manifest.formats.table_file import SkippingFile, UnreadableError, Wished, placed
from batchsearch.manifest.keys import key_column
from batchsearch.manifest.layers import ROW, Layer
from batchsearch.manifest.passthrough import never_names, shown_cells
from batchsearch.manifest.row_findings import Findings
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from batchsearch.manifest.formats.table_file import AnyOf, Report, TableFile
    from batchsearch.manifest.meaning import Meaning


@dataclass(frozen=True, slots=True)
class Pieces:
    """Reads the files of a manifest.

    Attributes:
        tables: The files.
        meaning: What each column is for.
        key: Columns that name a row.
        schema: The columns that go into the results.
        quoted: Which columns stand in quotes in the key of a row; None where it is as they are.
    """

    tables: tuple[TableFile, ...]
    meaning: Meaning
    key: Sequence[str]
    schema: pa.Schema
    quoted: tuple[bool, ...] | None = None

    def keys_of(self, columns: Sequence[pa.Array]) -> pa.Array:
        """The keys of rows, from their key columns."""
        return key_column(columns, self.quoted)

    def plain(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """A column in the type in which keys, images and parameters are read."""
        return normalised(batch.column(name), self.meaning.types[name])

    def of_file(self, number: int, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """A file's pieces, each with the column `ROW`.

        The place at which it cannot be read is reported like a row's problem. A column that the file lacks is
        null in them.
        """
        for _, piece in self.among(number, wished, report, lambda *_: True):
            yield piece

    def among(
        self, number: int, wished: Sequence[Wished], report: Report, any_of: AnyOf
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The same, each with its first row; those without a wanted row may be left out."""
        table = self.tables[number]
        names = frozenset(table.schema.names)
        given = [column for column in wished if column.name in names]
        # Without any column a piece would not know how many rows it has.
        asked = given or [Wished(field.name, field.type) for field in list(table.schema)[:1]]
        if isinstance(table, SkippingFile):
            found = table.pieces_among(asked, report, any_of)
        else:
            found = placed(table.pieces(asked, report))
        try:
            for first, piece in found:
                there = dict(zip(piece.schema.names, piece.columns, strict=True))
                if ROW not in there:
                    there[ROW] = pa.array(np.arange(first, first + piece.num_rows))
                columns = [there.get(each.name, pa.nulls(piece.num_rows, each.type)) for each in wished]
                names_of = [*(each.name for each in wished), ROW]
                yield first, pa.record_batch([*columns, there[ROW]], names=names_of)
        except UnreadableError as error:
            report(error.row, error.what)

    def usable(
        self, keys: Sequence[pa.Array], number: int, at: NDArray[np.int64], report: Report
    ) -> pa.Array | None:
        """Which rows have a whole key; None for all. The others are reported; `at` are places in the file."""
        usable = None
        table = self.tables[number]
        file = table.base if isinstance(table, Layer) else table
        for name, key in zip(self.key, keys, strict=True):
            is_empty = (
                pc.equal(key, "").fill_null(fill_value=True)
                if pa.types.is_string(key.type)
                else key.is_null()
            )
            if not pc.any(is_empty).as_py():
                continue
            for index in pc.indices_nonzero(is_empty).to_pylist():
                said = "is null" if key[index].as_py() is None else "is empty text"
                report(file.row_at(int(at[index])), f"the key column `{name}` {said}")
            present = pc.invert(is_empty)
            usable = present if usable is None else pc.and_(usable, present)
        for name, key in zip(self.key, keys, strict=True):
            refused = never_names(key) if name in self.meaning.images else []
            refused += [
                (index, f"has a fraction ({key[index].as_py()}); a row is named by whole numbers or text")
                for index in fractions(key)
            ]
            for index, why in refused:
                report(file.row_at(int(at[index])), f"the key column `{name}` {why}")
            if refused:
                present = pa.array(~np.isin(np.arange(len(key)), [index for index, _ in refused]))
                usable = present if usable is None else pc.and_(usable, present)
        return usable

    def passthrough(self, piece: pa.RecordBatch, offset: int, length: int) -> pa.RecordBatch:
        """What of some rows goes into the results."""
        batch = piece.slice(offset, length)
        arrays = []
        for use in self.meaning.columns:
            if use.carried is None:
                continue
            array = batch.column(use.name)
            if use.is_image and use.name not in self.key:
                texts = self.meaning.texts
                text = pc.struct_field(array, "path") if use.has_bytes else normalised(array, use.type)
                safe = shown_cells(text, texts)
                if use.has_bytes and texts == "base64":
                    # Beside bytes it is a name, and the image itself where there are none.
                    named = pc.is_valid(pc.struct_field(array, "bytes"))
                    safe = pc.if_else(named, shown_cells(text, "path"), safe)
                array = array if safe is text and not use.has_bytes else safe
            arrays.append(normalised(array, use.carried))
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
        return pa.record_batch(arrays, schema=self.schema)


@dataclass(frozen=True, slots=True)
class StopsThere:
    """Reports a row of a file by ending the command there."""

    tables: tuple[TableFile, ...]
    number: int

    def __call__(self, row: int | None, what: str) -> None:
        """Raise ManifestError for this row."""
        findings = Findings(self.tables)
        findings.add(self.number, row, what)
        findings.raise_any()
