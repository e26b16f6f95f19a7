"""From an output folder to one file for people."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from batchsearch import streams
from batchsearch.errors import ConfigError, OutputError
from batchsearch.steps import step
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.tasks.export.csv_file import CsvFile
from batchsearch.tasks.export.dedup_sheets import clusters_sheet, pairs_sheet, products_sheet
from batchsearch.tasks.export.folders import DedupTables, open_tables
from batchsearch.tasks.export.parquet_file import ParquetFile
from batchsearch.tasks.export.place import Place, refuse_existing
from batchsearch.tasks.export.run_sheets import hits_sheet, results_sheet, scores_sheet
from batchsearch.tasks.export.xlsx_file import XlsxFile, library

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchsearch.tasks.export.folders import RunTables
    from batchsearch.tasks.export.shapes import Sheet

FormatName = Literal["csv", "xlsx", "parquet"]
FORMATS: Final[dict[str, FormatName]] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}
"""Forms of a file, by the end of its name."""
STDOUT: Final = "-"
FOLDER: Final = "export"
"""Where an export goes in an output folder when no file is named."""
FIRST_HITS: Final = 3
"""Hits beside a row of `results` where nobody says how many."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is exported, and how.

    Attributes:
        table: Which table; the most telling of the output when None.
        form: The file's form; by the end of its name, or CSV, when None.
        file: Where it goes; `TABLE.FORM` in `place` when None, stdout when `-`.
        place: Folder of a file that nobody named; `export` in the output folder when None.
        force: Whether a file that is there is replaced.
        everything: All columns of the table, also those that are for machines.
        hits: First hits beside a row of `results`.
        separator: Stands between cells of CSV.
    """

    table: str | None = None
    form: FormatName | None = None
    file: Path | None = None
    place: Path | None = None
    force: bool = False
    everything: bool = False
    hits: int = FIRST_HITS
    separator: str = ","


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        table: Which table.
        form: The file's form.
        path: Where it is; None for stdout.
        rows: How many rows it has, its headings not counted.
        columns: How many columns.
        bytes: Its size.
        notes: What a reader has to know, one sentence each.
    """

    table: str
    form: str
    path: Path | None
    rows: int
    columns: int
    bytes: int
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For schedulers."""
        return {
            "table": self.table,
            "format": self.form,
            "file": None if self.path is None else str(self.path),
            "rows": self.rows,
            "columns": self.columns,
            "bytes": self.bytes,
            "notes": self.notes,
        }


def export(folder: Path, options: ExportOptions) -> Exported:
    """Write one table of an output folder as a file; nothing in the output's own tables is changed.

    Args:
        folder: The output folder of a run, a comparison or a dedup.
        options: What and how.

    Raises:
        ConfigError: It is no output folder, has no such table, or the file is there already.
        MissingExtraError: A spreadsheet is wanted and its package is not installed.
        OutputDamagedError: Files are missing, or are not those that were sealed or written.
        OutputError: Nothing is written yet, a table cannot be read, or the file cannot be written.
    """
    form = _form(options)
    if form == "xlsx":
        library()
    found = open_tables(folder)
    sheet = _sheet(found, options)
    notes = [f"{found.warning}"] if found.warning else []
    if options.file is not None and str(options.file) == STDOUT:
        return _to_stdout(sheet, form, options, notes)
    path = options.file or (options.place or folder / FOLDER) / f"{sheet.name}.{form}"
    refuse_existing(path, force=options.force)
    with Place(path, force=options.force) as place:
        try:
            rows, more = _write(sheet, form, place, options)
        except OSError as error:
            raise place.refused(error) from error
        except pa.ArrowException as error:
            raise OutputError(f"{path}: cannot be written: {reason_of(error)}") from error
        size = place.publish()
    return Exported(sheet.name, form, path, rows, len(sheet.schema), size, notes + more)


def _form(options: ExportOptions) -> FormatName:
    file = options.file
    by_name = None if file is None or str(file) == STDOUT else FORMATS.get(file.suffix.lower())
    form = options.form or by_name
    if form is None and file is not None and str(file) != STDOUT:
        raise ConfigError(
            f"{file}: its name does not say which form it is to have; add --csv, --xlsx or --parquet"
        )
    if options.form is not None and by_name is not None and options.form != by_name:
        raise ConfigError(
            f"{file}: is called as {by_name}, but --{options.form} is asked for; change one of them"
        )
    form = form or "csv"
    if file is not None and str(file) == STDOUT and form != "csv":
        raise ConfigError(f"-o -: only CSV can go to stdout; name a file for --{form}")
    return form


def _sheet(found: RunTables | DedupTables, options: ExportOptions) -> Sheet:
    there = found.tables
    name = options.table or there[0]
    if name not in there:
        listed = ", ".join(f"`{each}`" for each in there)
        raise ConfigError(f"{found.folder}: has no table `{name}` that can be exported; it has {listed}")
    everything = options.everything
    if isinstance(found, DedupTables):
        of_dedup: dict[str, Callable[..., Sheet]] = {
            "clusters": clusters_sheet,
            "pairs": pairs_sheet,
            "products": products_sheet,
        }
        if name in of_dedup:
            return of_dedup[name](found, everything=everything)
        if found.search is None:
            raise AssertionError("without a search these tables are not offered")
        found = found.search
    if name == "hits":
        return hits_sheet(found, everything=everything)
    if name == "scores":
        return scores_sheet(found, everything=everything)
    return results_sheet(found, everything=everything, hits=options.hits)


def _write(sheet: Sheet, form: FormatName, place: Place, options: ExportOptions) -> tuple[int, list[str]]:
    """Write the whole; how many rows, and what there is to say of the file."""
    if form != "csv":
        file: ParquetFile | XlsxFile = (
            ParquetFile(place.temporary, sheet.schema, sheet.name)
            if form == "parquet"
            else XlsxFile(place.temporary, place.room, sheet.schema, sheet.name)
        )
        _fill(file, sheet)
        return file.rows, file.finish()
    with place.temporary.open("wb") as opened:
        lines = CsvFile(opened.write, sheet.schema, options.separator)
        _fill(lines, sheet)
        return lines.rows, lines.finish()


def _fill(file: CsvFile | ParquetFile | XlsxFile, sheet: Sheet, *, while_read: bool = False) -> None:
    exporting = step("exporting", sheet.rows)
    for batch in sheet.batches():
        file.add(batch)
        exporting.to(file.rows)
        if while_read and streams.reader_has_gone():
            return


def _to_stdout(sheet: Sheet, form: FormatName, options: ExportOptions, notes: list[str]) -> Exported:
    written = 0

    def write(data: bytes) -> None:
        nonlocal written
        written += len(data)
        sys.stdout.write(data.decode("utf-8", "replace"))

    lines = CsvFile(write, sheet.schema, options.separator)
    _fill(lines, sheet, while_read=True)
    return Exported(sheet.name, form, None, lines.rows, len(sheet.schema), written, notes + lines.finish())
