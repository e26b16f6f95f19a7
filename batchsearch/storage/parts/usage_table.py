"""The usage statement's table: its columns, declared once, and its Parquet file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.publish import disk_errors, publishing
from batchsearch.storage.parts.results_and_hits import Column, table_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

USAGE_SCHEMA_VERSION: Final = "1"

_COUNT = pa.int64()

USAGE_COLUMNS: Final = (
    Column("day", pa.date32(), "UTC day on which it was counted."),
    Column("instance", pa.string(), "Instance name."),
    Column("operation", pa.string(), "Operation called."),
    Column("slots_used", _COUNT, "Call slots taken: HTTP requests sent, repeats included."),
    Column("slots_granted", _COUNT, "Of these, requests that flow control let pass, whatever came of them."),
    Column("slots_denied", _COUNT, "Of these, requests that flow control refused."),
    Column("saved_by_validation", _COUNT, "Rows that got their code before any call."),
    Column("saved_by_coalescing", _COUNT, "Rows that got the answer to an equal request of the same run."),
    Column("saved_by_reuse", _COUNT, "Rows that got the answer to an equal request of an earlier run."),
    Column("rows_ok", _COUNT, "Rows that ended well."),
    Column("rows_failed", _COUNT, "Rows that ended with a code."),
)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What one operation took of one instance on one day; the attributes are `USAGE_COLUMNS`."""

    day: date
    instance: str
    operation: str
    slots_used: int = 0
    slots_granted: int = 0
    slots_denied: int = 0
    saved_by_validation: int = 0
    saved_by_coalescing: int = 0
    saved_by_reuse: int = 0
    rows_ok: int = 0
    rows_failed: int = 0


def usage_schema() -> pa.Schema:
    """The columns of a usage statement."""
    return table_schema(USAGE_COLUMNS, "usage", USAGE_SCHEMA_VERSION)


def write_usage(path: Path, lines: Sequence[UsageLine]) -> None:
    """Write a statement as one Parquet file, which appears whole or not at all; an older one is replaced.

    Raises:
        OutputError: It cannot be written there.
    """
    table = pa.Table.from_pylist([asdict(line) for line in lines], schema=usage_schema())
    with disk_errors(path, "the statement cannot be written"), publishing(path) as file:
        pq.write_table(table, file, compression="zstd")
