"""What is looked at in a manifest before guesses are made: its columns, and the first of its rows."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.manifest_settings import CsvSettings
from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.columns import is_picture_struct, normal_type
from batchsearch.manifest.csv_files import CsvFile
from batchsearch.manifest.files import find_files
from batchsearch.manifest.parquet_files import ParquetFile
from batchsearch.manifest.table_file import UnreadableError, Wished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.manifest.table_file import TableFile

ROWS_LOOKED_AT: Final = 2_000

_SNIFFED_BYTES: Final = 64 * 1024
_ENCODINGS: Final = ("utf-8", "gb18030")
_DELIMITERS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column, as far as it was looked at.

    Attributes:
        name: Its name.
        kind: `text`, `whole`, `number`, `bytes`, `picture` (a struct of bytes and path) or `other`.
        values: Texts or numbers of the first rows; None where there is none. Empty for bytes.
    """

    name: str
    kind: str
    values: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def given(self) -> tuple[Any, ...]:
        """The values that are there."""
        return tuple(value for value in self.values if value not in (None, ""))

    @property
    def is_complete(self) -> bool:
        """Whether every row has a value."""
        return bool(self.values) and len(self.given) == len(self.values)

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return len(set(self.given))


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """A manifest, as far as it was looked at.

    Attributes:
        path: As it was given.
        folder: Where paths in it may start: its own folder.
        columns: Its columns, in order.
        rows: How many rows were looked at.
        csv: How it is written, when it is CSV; None for Parquet.
    """

    path: Path
    folder: Path
    columns: tuple[ColumnFacts, ...]
    rows: int
    csv: CsvSettings | None = None


def look_at(path: Path) -> ManifestFacts:
    """Read the head of a manifest: a file, a folder of files, or a glob.

    Args:
        path: Where it is; CSV or Parquet, by its name.

    Raises:
        ManifestError: There is no such file, or it cannot be read.
    """
    found = find_files(str(path), base=Path.cwd(), wanted="auto")
    first = found.paths[0]
    if not isinstance(first, Path):
        raise ManifestError([Problem(str(path), "is not on this machine; give a local copy of its head")])
    settings = None
    if found.format == "csv":
        settings = _sniffed(first)
        table: TableFile = CsvFile(first, settings)
    else:
        table = ParquetFile(first)
    kinds = {name: _kind(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    readable = [name for name, kind in kinds.items() if kind in ("text", "whole", "number")]
    values: dict[str, list[Any]] = {name: [] for name in readable}
    rows = 0
    for batch in _pieces(table, readable):
        for name in readable:
            values[name] += batch.column(name).slice(0, ROWS_LOOKED_AT - rows).to_pylist()
        rows += min(batch.num_rows, ROWS_LOOKED_AT - rows)
        if rows >= ROWS_LOOKED_AT:
            break
    columns = tuple(ColumnFacts(name, kind, tuple(values.get(name, ()))) for name, kind in kinds.items())
    folder = path if path.is_dir() else first.parent
    return ManifestFacts(path, folder, columns, rows, settings)


def _pieces(table: TableFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    if not names:
        return
    wished = [Wished(name, normal_type(table.schema.field(name).type)) for name in names]
    try:
        yield from table.pieces(wished, lambda *_: None)
    except UnreadableError as error:
        where = str(table.path) if error.row is None else f"{table.path}: row {error.row + 1}"
        raise ManifestError([Problem(where, error.what)]) from None


def _kind(kind: pa.DataType) -> str:
    plain = normal_type(kind)
    types = pa.types
    if is_picture_struct(plain):
        return "picture"
    known = (
        ("text", types.is_string),
        ("whole", types.is_integer),
        ("number", types.is_floating),
        ("bytes", types.is_binary),
    )
    return next((name for name, fits in known if fits(plain)), "other")


def _sniffed(path: Path) -> CsvSettings:
    """How a CSV file is written: its encoding by what decodes, its delimiter by its header."""
    if path.name.lower().endswith(".gz"):
        return CsvSettings()
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFFED_BYTES)
    except OSError as error:
        raise ManifestError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        encoding = next((each for each in _ENCODINGS if _decodes(head, each)), "utf-8")
    lines = head.decode(encoding, errors="replace").lstrip("\ufeff").splitlines()
    counts = {
        delimiter: len(next(csv.reader(lines[:1], delimiter=delimiter), [])) for delimiter in _DELIMITERS
    }
    delimiter = max(_DELIMITERS, key=lambda each: counts[each])
    return CsvSettings(encoding=encoding, delimiter=delimiter)


def _decodes(head: bytes, encoding: str) -> bool:
    # The last character may be cut in two.
    return any(
        _is_text(head[: len(head) - cut], encoding) for cut in range(4 if len(head) == _SNIFFED_BYTES else 1)
    )


def _is_text(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
