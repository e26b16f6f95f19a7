"""Columns of tables whose cells have types (Parquet, Arrow, JSON, Excel) in the types that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from batchsearch.arrow_values import python_values
from batchsearch.manifest.column_types import (
    bad_cells,
    bad_text,
    cell,
    has_path,
    is_image_struct,
    normal_type,
    normalised,
    without,
)
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.manifest.formats.table_file import Report, Wished


def fitted_batch(
    batch: pa.RecordBatch, wished: Sequence[Wished], report: Report, seen: int
) -> pa.RecordBatch:
    """The wished columns of some rows, in their types; cells that are no text or do not fit are reported.

    Args:
        batch: Has all of the columns.
        wished: What is asked for.
        report: Told of cells, which are null then.
        seen: The number of the first row.
    """
    arrays = []
    for column in wished:
        array = batch.column(column.name)
        if column.path_only:
            array = pc.struct_field(array, "path")
        if is_image_struct(column.type) and has_path(array.type):
            _valid(normalised(pc.struct_field(array, "path"), pa.string()), column, report, seen)
        elif pa.types.is_string(normal_type(array.type)):
            text = normalised(array, pa.string())
            valid = _valid(text, column, report, seen)
            array = array if valid is text else valid
        arrays.append(_fitted(array, column, report, seen))
    return pa.record_batch(arrays, names=[column.name for column in wished])


def _fitted(array: pa.Array, column: Wished, report: Report, seen: int) -> pa.Array:
    """A column in the type that it is to have; cells that do not fit are reported."""
    try:
        return normalised(array, column.type)
    except pa.ArrowInvalid:
        bad = bad_cells(array, column.type)
    for index in bad:
        if pa.types.is_string(column.type) and pa.types.is_binary(normal_type(array.type)):
            what = f"column `{column.name}` is not UTF-8 text"
        else:
            said = cell(python_values(array.slice(index, 1))[0])
            what = (
                f"{said} in `{column.name}` does not fit into {column.type}, in "
                "which the files' different types are read; write the column alike in all files, or "
                "leave it out (`manifest.carry` lists the columns that are carried)"
            )
        report(seen + index, what)
    return normalised(without(array, bad), column.type)


def _valid(array: pa.Array, column: Wished, report: Report, seen: int) -> pa.Array:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        bad = bad_text(array)
        for index in bad:
            report(seen + index, f"column `{column.name}` is not UTF-8 text")
        return without(array.cast(pa.binary()), bad).cast(pa.string())
    return array
