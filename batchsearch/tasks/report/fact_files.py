"""The facts as Parquet: a folder with a file for each table, or one file that holds them all in long form."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.storage.parts.parquet_table import table_file, writing
from batchsearch.tasks.report.report_facts import summary_table
from batchsearch.tasks.report.words import written

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.tasks.report.report_facts import FactTable, Section
    from batchsearch.tasks.report.reporting import Report

ONE_FILE: Final = ".parquet"

LONG_SCHEMA: Final = pa.schema(
    [
        pa.field("table", pa.string(), metadata={"description": "Table, as its file would be called."}),
        pa.field("row", pa.int32(), metadata={"description": "Row of that table, from 0."}),
        pa.field("column", pa.string(), metadata={"description": "Column of that table."}),
        pa.field("number", pa.float64(), metadata={"description": "The value, where it is a number."}),
        pa.field(
            "text", pa.string(), metadata={"description": "The value, where it is none; times in ISO 8601."}
        ),
    ],
    metadata={"batchsearch.table": "report", "batchsearch.schema_version": "1"},
)


def tables_of(report: Report) -> list[tuple[str, FactTable]]:
    """Every table of a report with the name that it has in files, summaries first."""
    return [
        (_name(section, table), table)
        for section in report.sections
        for table in (_summary(section), *section.tables)
    ]


def _summary(section: Section) -> FactTable:
    figures = [written(figure.value, figure.kind) for figure in section.figures]
    return summary_table(section.figures, figures)


def _name(section: Section, table: FactTable) -> str:
    return f"{section.name}.{table.name}" if section.name else table.name


def write_facts(report: Report, path: Path) -> list[Path]:
    """Write the facts as Parquet; each file appears whole or not at all.

    Args:
        report: The report.
        path: A name that ends with `.parquet` for one file in long form (`LONG_SCHEMA`), else a folder with
            a file for each table, in its own columns; older files of the same names are replaced.

    Returns:
        The files.

    Raises:
        OutputError: The disk refuses.
    """
    with writing(path, "the facts cannot be written"):
        if path.suffix == ONE_FILE:
            _write(path, _long(report))
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        files = []
        for name, table in tables_of(report):
            files.append(path / f"{name}{ONE_FILE}")
            _write(files[-1], table.arrow())
    return files


def _write(path: Path, table: pa.Table) -> None:
    with table_file(path, table.schema) as file:
        file.add(table)


def _long(report: Report) -> pa.Table:
    rows = [
        {"table": name, "row": number, "column": column.name, **_value(value)}
        for name, table in tables_of(report)
        for number, row in enumerate(table.rows)
        for column, value in zip(table.columns, row, strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=LONG_SCHEMA)


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int | float):
        return {"number": float(value)}
    if isinstance(value, date | datetime):
        return {"text": value.isoformat()}
    return {"text": value}
