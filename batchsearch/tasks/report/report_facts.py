"""What a report states, before anybody lays it out: tables with typed columns, and figures in words.

The page, the Parquet files and the Markdown are all written from these, so that they say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal[
    "text", "code", "id", "count", "number", "share", "score", "exact_score", "rate", "ms", "moment", "day"
]
"""How a value is meant: decides its Arrow type, its alignment and how it is written for people. A `text` is
batchsearch's own words, a `code` a name or a text that came from outside, an `exact_score` one with all the
digits that a terminal shows."""

TYPES: Final[Mapping[Kind, pa.DataType]] = {
    "text": pa.string(),
    "code": pa.string(),
    "id": pa.int64(),
    "count": pa.int64(),
    "number": pa.float64(),
    "share": pa.float64(),
    "score": pa.float64(),
    "exact_score": pa.float64(),
    "rate": pa.float64(),
    "ms": pa.float64(),
    "moment": pa.timestamp("us", tz="UTC"),
    "day": pa.date32(),
}

Tone = Literal["plain", "good", "bad", "warn"]


@dataclass(frozen=True, slots=True)
class FactColumn:
    """One column: its name in files, its heading for people, how its values are meant."""

    name: str
    heading: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class FactTable:
    """One table of facts.

    Attributes:
        name: Names it in files, such as `outcomes`.
        title: Heading for people.
        columns: What its rows hold.
        rows: Values in the order of the columns; None where there is none.
        note: What a reader has to know about it, one sentence; empty for nothing.
        show: By row the state of the page that shows what it counts; empty where no row has one.
    """

    name: str
    title: str
    columns: tuple[FactColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    show: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Its columns in Arrow."""
        return pa.schema(
            [
                pa.field(column.name, TYPES[column.kind], metadata={"description": column.heading})
                for column in self.columns
            ],
            metadata={"batchsearch.table": f"report.{self.name}"},
        )

    def arrow(self) -> pa.Table:
        """The whole as an Arrow table."""
        names = [column.name for column in self.columns]
        return pa.Table.from_pylist(
            [dict(zip(names, row, strict=True)) for row in self.rows], schema=self.schema
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that stands large at the top of a page.

    Attributes:
        label: What it counts.
        kind: How `value` is meant.
        value: The figure; None where there is none.
        detail: A few words more; empty for none.
        tone: Whether it is good or bad news.
        show: State of the page that shows what it counts, as its address has it; empty for none.
        is_detail: It stands with the details, not at the top of a page.
    """

    label: str
    kind: Kind
    value: Any
    detail: str = ""
    tone: Tone = "plain"
    show: str = ""
    is_detail: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One run, or one part of a job, with all that is stated of it.

    Attributes:
        name: Names it in files, such as `search`; empty for the only one.
        title: Heading for people.
        figures: The most important.
        tables: Everything, by the tables' names.
        notes: What a reader has to know, one sentence each.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    tables: tuple[FactTable, ...]
    notes: tuple[str, ...] = ()

    def table(self, name: str) -> FactTable | None:
        """The table of that name."""
        return next((table for table in self.tables if table.name == name), None)


def summary_table(figures: Sequence[Figure], written: Sequence[str]) -> FactTable:
    """The figures as a table, each as people read it.

    Args:
        figures: The figures.
        written: Their values in words, in the same order.
    """
    columns = (
        FactColumn("figure", "", "text"),
        FactColumn("value", "value", "text"),
        FactColumn("detail", "", "text"),
    )
    rows = tuple((figure.label, value, figure.detail) for figure, value in zip(figures, written, strict=True))
    return FactTable("summary", "Summary", columns, rows)
