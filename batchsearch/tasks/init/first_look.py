"""What is looked at in a manifest before guesses are made: its columns, and the first of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.sections.manifest_settings import CsvSettings, ManifestSettings, XlsxSettings
from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import is_image_struct, normal_type
from batchsearch.manifest.files import find_files
from batchsearch.manifest.formats.registry import open_table
from batchsearch.manifest.formats.table_file import UnreadableError, Wished, short
from batchsearch.manifest.formats.unpacked import CutError, unpacked
from batchsearch.manifest.formats.xlsx_files import first_rows
from batchsearch.tasks.init.sheets import ROWS_LOOKED_AT as ROWS_OF_SHEETS
from batchsearch.tasks.init.sheets import SheetLayout, layout_of
from batchsearch.tasks.init.sniffing import Sniffed, sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.sections.manifest_settings import TableFormat
    from batchsearch.manifest.formats.table_file import TableFile

ROWS_LOOKED_AT: Final = 2_000

_SNIFFED_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column, as far as it was looked at.

    Attributes:
        name: Its name.
        kind: `text`, `whole`, `number`, `texts` (lists of them), `bytes`, `image` (a struct of bytes and
            path), `listed` (a list of something else) or `other`.
        values: What is in the first rows; None where there is nothing. Empty for bytes and what holds them.
    """

    name: str
    kind: str
    values: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def given(self) -> tuple[Any, ...]:
        """The values that are there."""
        return tuple(value for value in self.values if value not in (None, "", []))

    @property
    def is_complete(self) -> bool:
        """Whether every row has a value."""
        return bool(self.values) and len(self.given) == len(self.values)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(map(str, self.given)))


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A manifest, as far as it was looked at.

    Attributes:
        path: As it was given.
        folder: Where paths in it may start: its own folder.
        columns: Its columns, in order.
        rows: How many rows were looked at.
        csv: How it is written, when it is CSV; None for other formats.
        xlsx: Where its table is, when it is a workbook.
        format: How its files are written.
        is_named: Whether the names of its files say so.
        told: What else was found out, and why.
    """

    path: Path
    folder: Path
    columns: tuple[ColumnFacts, ...]
    rows: int
    csv: CsvSettings | None = None
    xlsx: XlsxSettings = field(default_factory=XlsxSettings)
    format: TableFormat = "csv"
    is_named: bool = True
    told: tuple[tuple[str, str, str], ...] = ()


def look_at(path: Path) -> ManifestFacts:
    """Read the head of a manifest: a file, a folder of files or of images, or a glob.

    Args:
        path: Where it is; its format is told by its name, a list of images by its lines.

    Raises:
        ConfigError: What reads such files is not installed.
        ManifestError: There is no such file, or it cannot be read.
    """
    found = find_files(str(path), base=Path.cwd(), wanted="auto")
    first, kind = found.paths[0], found.format
    if not isinstance(first, Path):
        raise ManifestError.at(path, "is not on this machine; give a local copy of its head")
    settings: CsvSettings | None = None
    told: tuple[tuple[str, str, str], ...] = ()
    if kind == "csv":
        sniffed = _sniffed(first)
        told = sniffed.told
        if sniffed.is_list:
            kind = "list"
        else:
            settings = CsvSettings(
                encoding=sniffed.encoding,
                delimiter=sniffed.delimiter,
                escape=sniffed.escape,
                skip_lines=sniffed.skip_lines,
                header=sniffed.header,
            )
    xlsx = XlsxSettings()
    if kind == "xlsx":
        layout = layout_of(first_rows(first, ROWS_OF_SHEETS))
        xlsx = XlsxSettings(sheet=layout.sheet, skip_rows=layout.skip_rows)
        told = _about_sheet(layout)
    written = ManifestSettings(path=str(first), format=kind, csv=settings or CsvSettings(), xlsx=xlsx)
    table = open_table(first, kind, written)
    columns, rows = _columns(table)
    folder = path if path.is_dir() else first.parent
    return ManifestFacts(path, folder, columns, rows, settings, xlsx, kind, found.format == kind, told)


def _about_sheet(layout: SheetLayout) -> tuple[tuple[str, str, str], ...]:
    told = []
    if layout.sheet is not None:
        told.append(("sheet", layout.sheet, "the sheets before it have no table"))
    if layout.skip_rows:
        told.append(("above the table", f"{layout.skip_rows} rows", "the columns' names come after them"))
    return tuple(told)


def _columns(table: TableFile) -> tuple[tuple[ColumnFacts, ...], int]:
    kinds = {name: _kind(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    readable = [name for name, kind in kinds.items() if kind in ("text", "whole", "number", "texts")]
    values: dict[str, list[Any]] = {name: [] for name in readable}
    rows = 0
    for batch in _pieces(table, readable):
        for name in readable:
            values[name] += batch.column(name).slice(0, ROWS_LOOKED_AT - rows).to_pylist()
        rows += min(batch.num_rows, ROWS_LOOKED_AT - rows)
        if rows >= ROWS_LOOKED_AT:
            break
    columns = tuple(ColumnFacts(name, kind, tuple(values.get(name, ()))) for name, kind in kinds.items())
    return columns, rows


def _pieces(table: TableFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    if not names:
        return
    wished = [Wished(name, normal_type(table.schema.field(name).type)) for name in names]
    try:
        yield from table.pieces(wished, lambda *_: None)
    except UnreadableError as error:
        where = str(table.path) if error.row is None else f"{table.path}: row {error.row + 1}"
        raise ManifestError.at(where, error.what) from None


def _kind(kind: pa.DataType) -> str:
    plain = normal_type(kind)
    types = pa.types
    if is_image_struct(plain):
        return "image"
    if types.is_list(plain) or types.is_large_list(plain):
        return "texts" if types.is_string(plain.value_type) else "listed"
    known = (
        ("text", types.is_string),
        ("whole", types.is_integer),
        ("number", types.is_floating),
        ("bytes", types.is_binary),
    )
    return next((name for name, fits in known if fits(plain)), "other")


def _sniffed(path: Path) -> Sniffed:
    """How a text table is written, by its first bytes, unpacked."""
    try:
        with unpacked(path) as file:
            head = file.read(_SNIFFED_BYTES)
            is_whole = not file.read(1)
    except CutError as error:
        raise ManifestError.at(path, str(error.strerror)) from None
    except OSError as error:
        raise ManifestError.at(path, f"cannot be read: {error.strerror or short(error)}") from None
    return sniff(head, is_whole=is_whole)
