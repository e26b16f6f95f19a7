"""Columns of `results` and `hits` that follow from what is known of a row (pure)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY: Final = "row_key"
KEY_VALUES: Final = "key_values"
IN_MANIFEST: Final = "in_manifest"
LEFT_AT: Final = "left_at"


def key_values(row_key: str, *, several: bool) -> list[str]:
    """What names a row, each key column as text.

    Args:
        row_key: The row key: the text of one column, or a JSON array of several.
        several: Whether it is of several columns.
    """
    if not several:
        return [row_key]
    try:
        values = _as_text(row_key)
    except ValueError:
        return [row_key]
    return list(map(_text, values)) if isinstance(values, list) else [row_key]


# `json.loads` with these options would make a decoder for every row.
_as_text: Final = json.JSONDecoder(parse_int=str, parse_float=str).decode


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def filled_results(table: pa.Table, *, several: bool) -> pa.Table:
    """Rows of `results` with what an earlier version did not write of their key and their manifest."""
    if table[KEY_VALUES].null_count:
        keys = table[KEY].cast(pa.string()).to_pylist()
        values = pa.array([key_values(key, several=several) for key in keys], pa.list_(pa.string()))
        table = _with(table, KEY_VALUES, values)
    if table[IN_MANIFEST].null_count:
        table = _with(table, IN_MANIFEST, table[IN_MANIFEST].fill_null(True))
    return table


def filled_hits(table: pa.Table, rows: Mapping[str, tuple[Any, Any]], *, several: bool) -> pa.Table:
    """Rows of `hits` with what an earlier version did not write: what the rows that they belong to say.

    Args:
        table: The hits.
        rows: The run and the time of each row, by row key.
        several: Whether rows are named by more than one column.
    """
    keys = table[KEY].cast(pa.string()).to_pylist()
    values = [key_values(key, several=several) for key in keys]
    said = [rows.get(key, (None, None)) for key in keys]
    table = _with(table, KEY_VALUES, pa.array(values, pa.list_(pa.string())))
    table = _with(table, "run_id", pa.array([run for run, _ in said], table.schema.field("run_id").type))
    finished = table.schema.field("finished_at").type
    return _with(table, "finished_at", pa.array([moment for _, moment in said], finished))


def _with(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    place = table.schema.get_field_index(name)
    field = table.schema.field(place)
    return table.set_column(place, field, column.cast(field.type))
