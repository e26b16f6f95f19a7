"""Tables whose rows come as values, one by one, and whose columns are known only at their end.

JSON Lines, workbooks and product feeds are of this kind. They are read once for their columns and these'
types, and again for their rows; memory holds a piece of them. A column is of one kind: where its cells differ
it is the one that holds them all, in the end text, so that no identifier loses a zero.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.column_types import cell
from batchsearch.manifest.formats.table_file import PIECE_BYTES, EveryRow, UnreadableError, short
from batchsearch.manifest.formats.typed_columns import fitted_batch
from batchsearch.manifest.formats.unpacked import CutError
from batchsearch.manifest.row_findings import LISTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchsearch.manifest.formats.table_file import Report, Wished
    from batchsearch.manifest.remote_file import ManifestPath

LONGEST_ROW: Final = 8 * 1024 * 1024
"""Bytes of one row as it is written; an image of 4 MiB in base64 fits."""

_MOST_COLUMNS: Final = 10_000
_ROWS_AT_ONCE: Final = 2_048
_BYTES_AT_ONCE: Final = PIECE_BYTES // 8
_INT64: Final = 2**63

Kind = Literal["null", "bool", "whole", "number", "date", "time", "text", "texts", "json"]

_TYPES: Final[dict[Kind, pa.DataType]] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "json": pa.string(),
}
_WIDER: Final[dict[frozenset[Kind], Kind]] = {
    frozenset({"whole", "number"}): "number",
    frozenset({"date", "time"}): "time",
    frozenset({"text", "texts"}): "texts",
}


_KINDS: Final[tuple[tuple[type | tuple[type, ...], Kind], ...]] = (
    (type(None), "null"),
    (str, "text"),
    (bool, "bool"),
    (float, "number"),
    (date, "date"),
    ((list, dict), "json"),
)


class RowError(Exception):
    """One row cannot be made out; those after it can.

    Attributes:
        line: Where a person finds it.
        what: Why, and what to do.
    """

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        self.what = what
        super().__init__(what)


class ValueTable(EveryRow, ABC):
    """A table of this kind; `_opened` gives its rows."""

    lines = "line"
    """What people count in such a file."""

    def __init__(self, path: ManifestPath) -> None:
        """Reads the file once, for its columns.

        Raises:
            ManifestError: It cannot be opened, or not be read to its end; with the first rows that are at
                fault.
        """
        self.path = path
        self._rows = 0
        kinds: dict[str, Kind] = {}
        problems: list[Problem] = []
        try:
            for record in self._records():
                if isinstance(record, RowError):
                    problems.append(Problem(f"{path}: {self.lines} {record.line}", record.what))
                    if len(problems) >= LISTED:
                        break
                    continue
                self._rows += 1
                _widen(kinds, record[1])
                if len(kinds) > _MOST_COLUMNS:
                    raise ManifestError.at(path, f"has more than {_MOST_COLUMNS:,} columns: is it a table?")
        except UnreadableError as error:
            where = f"{path}" if error.row is None else f"{path}: {self.lines} {error.row}"
            problems.append(Problem(where, error.what))
        except CutError as error:
            problems.append(Problem(str(path), str(error.strerror)))
        except OSError as error:
            problems.append(Problem(str(path), f"cannot be read: {error.strerror or short(error)}"))
        if problems:
            raise ManifestError(problems)
        self._kinds: dict[str, Kind] = {**dict.fromkeys(self._named(), "null"), **kinds}
        self.schema = pa.schema([(name, _TYPES[kind]) for name, kind in self._kinds.items()])

    @abstractmethod
    def _records(self) -> Iterator[tuple[int, Mapping[str, Any], int] | RowError]:
        """The rows: the line of each, its values by column, and about how many bytes they are.

        Raises:
            UnreadableError: It cannot be read on from a line, or at all.
            OSError: Likewise.
        """

    def _named(self) -> Sequence[str]:
        """Columns that the file names beside those of its rows."""
        return ()

    @property
    def rows(self) -> int:
        """See `TableFile.rows`: it was read to its end."""
        return self._rows

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        seen = size = 0
        waiting: list[Mapping[str, Any]] = []
        record: tuple[int, Mapping[str, Any], int] | RowError | None = None
        try:
            for record in self._records():
                if isinstance(record, RowError):
                    # It could be read when the columns were looked for: the file has changed since.
                    break
                waiting.append(record[1])
                size += record[2]
                if len(waiting) >= _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
                    yield self._piece(waiting, wished, report, seen)
                    seen += len(waiting)
                    waiting, size = [], 0
        except CutError as error:
            raise UnreadableError(seen + len(waiting), str(error.strerror)) from None
        except OSError as error:
            raise UnreadableError(
                seen + len(waiting), f"cannot be read on: {error.strerror or short(error)}"
            ) from None
        except UnreadableError as error:
            raise UnreadableError(seen + len(waiting), error.what) from None
        if waiting:
            yield self._piece(waiting, wished, report, seen)
        if isinstance(record, RowError):
            raise UnreadableError(seen + len(waiting), record.what)

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`; reads the file up to the last of the rows."""
        sought, found = set(rows), {}
        try:
            for number, record in enumerate(self._records()):
                if number in sought:
                    line = record.line if isinstance(record, RowError) else record[0]
                    found[number] = f"row {number + 1} ({self.lines} {line})"
                    if len(found) == len(sought):
                        break
        except (OSError, UnreadableError):
            pass
        return {row: found.get(row, f"row {row + 1}") for row in rows}

    def _piece(
        self, rows: Sequence[Mapping[str, Any]], wished: Sequence[Wished], report: Report, seen: int
    ) -> pa.RecordBatch:
        names = [column.name for column in wished]
        arrays = [self._column(name, [row.get(name) for row in rows], report, seen) for name in names]
        batch = pa.RecordBatch.from_arrays(arrays, names=names)
        return fitted_batch(batch, wished, report, seen)

    def _column(self, name: str, values: Sequence[Any], report: Report, seen: int) -> pa.Array:
        kind = self._kinds[name]
        written = [_written(value, kind) for value in values]
        try:
            return pa.array(written, _TYPES[kind])
        except (pa.ArrowException, UnicodeEncodeError, ValueError, TypeError, OverflowError):
            pass
        for index, value in enumerate(written):
            try:
                pa.array([value], _TYPES[kind])
            except (pa.ArrowException, UnicodeEncodeError, ValueError, TypeError, OverflowError) as error:
                what = (
                    "holds half a character (a lone surrogate)"
                    if isinstance(error, UnicodeEncodeError)
                    else f"{cell(value)} is no {kind}, as the column's other cells are"
                )
                report(seen + index, f"column `{name}`: {what}")
                written[index] = None
        return pa.array(written, _TYPES[kind])


def _widen(kinds: dict[str, Kind], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        own, known = _kind(value), kinds.get(name)
        if known is None:
            kinds[name] = own
        elif own not in (known, "null"):
            if known == "null":
                kinds[name] = own
            elif "json" in (known, own):
                kinds[name] = "json"
            else:
                kinds[name] = _WIDER.get(
                    frozenset({known, own}), "json" if "texts" in (known, own) else "text"
                )


def _kind(value: Any) -> Kind:
    if isinstance(value, int) and not isinstance(value, bool):
        return "whole" if -_INT64 <= value < _INT64 else "text"
    if isinstance(value, datetime):
        return "time" if value.tzinfo is None else "text"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "texts"
    # True is a whole number for Python, and a time is a date: both are told above or before.
    return next((kind for made, kind in _KINDS if isinstance(value, made)), "text")


def _written(value: Any, kind: Kind) -> Any:
    """A value as its column's kind has it."""
    if value is None or kind == "null":
        return None
    if kind == "json":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if kind == "text":
        return _as_text(value)
    if kind == "texts":
        return value if isinstance(value, list) else [_as_text(value)]
    if kind == "time" and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as the file has it: no zone
    return value


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)
