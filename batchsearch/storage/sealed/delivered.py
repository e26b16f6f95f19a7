"""The tables that dedup and comparison deliver, and whether they are what was written.

Such tables are made from sealed parts and replaced as a whole. The record beside them (`dedup.json`,
`compare.json`), which is written last, names each with its rows and its SHA-256; what differs from it is
told by `batchsearch verify`, refused by readers, and made anew without a call by running the job again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputDamagedError
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.output_layout import (
    COMPARE_RECORD,
    COMPARED_PAIRS,
    DEDUP_RECORD,
    NIGHT_LOCK,
    NIGHTS,
    record_in,
)
from batchsearch.storage.parts.parquet_table import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TABLES_FIELD: Final = "tables"
"""Field of a record that names the files."""

MADE_BY: Final = b"batchsearch.night"
"""Metadata of a table that says which night or run made it: as its record has it."""

OF_DEDUP: Final = ("pairs/pairs.parquet", "clusters/clusters.parquet")
"""The tables that every night of dedup has made."""

OF_COMPARE: Final = ("scores.parquet",)
"""Those that every comparison has made, beside its matrices."""

DELIVERED: Final = frozenset({"pairs", "clusters", "findings", "matrix", "scores.parquet"})
"""What can be read by `delivered_files`."""

_FOLDERS: Final = {DEDUP_RECORD: ("pairs", "clusters", "findings"), COMPARE_RECORD: ("matrix",)}
_ALWAYS: Final = {DEDUP_RECORD: OF_DEDUP, COMPARE_RECORD: OF_COMPARE}
_BEGUN: Final = {DEDUP_RECORD: (NIGHTS, NIGHT_LOCK), COMPARE_RECORD: (COMPARED_PAIRS,)}
"""What is there as soon as there was a night, or a comparison that makes its own pairs."""
_MAKER: Final = {DEDUP_RECORD: "night", COMPARE_RECORD: "run_id"}
_COMMAND: Final = {DEDUP_RECORD: "batchsearch dedup", COMPARE_RECORD: "batchsearch compare"}
_TRIES: Final = 6
_PAUSE: Final = 0.2
"""Between two looks at tables that are being replaced, seconds: replacing them takes less."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong with delivered tables.

    Attributes:
        kind: `table_missing`, `table_changed`, `table_other_night`, `stray_table`, `record_missing` or
            `record_unreadable`, as `batchsearch verify` says.
        path: Below the folder, with slashes.
        what: What is wrong with it.
    """

    kind: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def written_tables(folder: Path, paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What a record says of the files that were written: rows (of tables) and SHA-256, by path.

    Raises:
        OSError: One cannot be read.
    """
    found = {}
    for path in paths:
        is_table = path.suffix == ".parquet"
        rows = pq.read_metadata(arrow_readable(path)).num_rows if is_table else None
        found[path.relative_to(folder).as_posix()] = {"rows": rows, "sha256": sha256_of(path)}
    return found


def delivers(folder: Path) -> list[str]:
    """The records that a folder has, or ought to have: it holds what they tell of."""
    found = []
    for record, always in _ALWAYS.items():
        if any((folder / name).exists() for name in (record, *always, *_BEGUN[record])):
            found.append(record)
    return found


def delivered_count(folder: Path) -> int:
    """How many files the records of a folder and of its earlier nights name."""
    return sum(
        len(_named(record_in(place / record))) for place in _places(folder) for record in delivers(place)
    )


def faults(folder: Path) -> list[Fault]:
    """What is wrong with the tables that a folder delivers, and with those of its earlier nights.

    Every file is read once.
    """
    found = []
    for place in _places(folder):
        under = "" if place == folder else f"{NIGHTS}/{place.name}/"
        for record in delivers(place):
            found += [Fault(each.kind, under + each.path, each.what) for each in _faults(place, record)]
    return found


def faults_of(folder: Path) -> list[Fault]:
    """What is wrong with the tables that a folder delivers itself."""
    return [fault for record in delivers(folder) for fault in _faults(folder, record)]


def delivered_files(folder: Path, below: str) -> tuple[Path, ...]:
    """The delivered tables of one kind, once they are known to be what was written.

    Args:
        folder: The folder of a dedup job, of one of its nights, or of a comparison.
        below: `pairs`, `clusters`, `matrix` or `scores.parquet`.

    Raises:
        OutputDamagedError: One is missing, or is not what its record says. Without a record, every table
            there is taken as it is.
    """
    record = COMPARE_RECORD if below in {"matrix", "scores.parquet"} else DEDUP_RECORD
    wrong: list[Fault] = []
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE)
        if not (folder / record).exists():
            break
        wrong = [each for each in _faults(folder, record, below) if _is_below(each.path, below, record)]
        if all(each.kind != "table_other_night" for each in wrong):
            break
    if wrong:
        listed = "\n  ".join(map(str, wrong))
        raise OutputDamagedError(
            f"{folder}: its tables are not those that were written:\n  {listed}\n"
            f"Nothing was counted. `{_COMMAND[record]}` makes them anew without a call."
        )
    one = folder / below
    if one.suffix == ".parquet":
        return (one,) if one.is_file() else ()
    return tuple(sorted(path for path in one.glob("*.parquet") if path.is_file()))


def is_checked(folder: Path, record: str) -> bool:
    """Whether a record names the tables beside it, so that they can be compared."""
    return bool(_named(record_in(folder / record)))


def _is_below(path: str, below: str, record: str) -> bool:
    return path in {record, below} or path.startswith(f"{below}/")


def _places(folder: Path) -> list[Path]:
    """The folder, and those of the earlier nights in it."""
    try:
        nights = sorted(path for path in (folder / NIGHTS).iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        nights = []
    return [folder, *nights]


def _named(record: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    tables = None if record is None else record.get(TABLES_FIELD)
    if not isinstance(tables, dict):
        return {}
    return {name: about for name, about in tables.items() if isinstance(about, dict)}


def _faults(folder: Path, record: str, below: str = "") -> list[Fault]:
    values = record_in(folder / record)
    if values is None:
        is_there = (folder / record).exists()
        what = "cannot be read" if is_there else "is not there, so nothing tells what the tables must be"
        return [Fault("record_unreadable" if is_there else "record_missing", record, what)]
    named = _named(values)
    maker = values.get(_MAKER[record])
    found = []
    for name in dict.fromkeys([*_ALWAYS[record], *named]):
        if not below or _is_below(name, below, record):
            fault = _fault(folder, name, named.get(name), maker)
            if fault is not None:
                found.append(fault)
    if named:
        # A record of an older version names none.
        for table in _FOLDERS[record]:
            found += [
                Fault("stray_table", name, "is not among the tables that were written")
                for path in sorted((folder / table).glob("*.parquet"))
                if not path.name.startswith(".") and (name := f"{table}/{path.name}") not in named
            ]
    return found


def _fault(folder: Path, name: str, about: Mapping[str, Any] | None, maker: object) -> Fault | None:
    path = folder / name
    if not path.is_file():
        rows = None if about is None else about.get("rows")
        return Fault("table_missing", name, "is not there" + (f"; it had {rows:,} rows" if rows else ""))
    try:
        made_by = _made_by(path)
        changed = about is not None and sha256_of(path) != about.get("sha256")
    except (OSError, pa.ArrowException, ValueError) as error:
        return Fault("table_changed", name, f"cannot be read: {reason_of(error)}")
    if made_by is not None and maker is not None and made_by != maker:
        return Fault("table_other_night", name, f"was made by {made_by}, the record is of {maker}")
    return Fault("table_changed", name, "is not what was written: its SHA-256 differs") if changed else None


def _made_by(path: Path) -> str | None:
    if path.suffix != ".parquet":
        return None
    made_by = (pq.read_schema(arrow_readable(path)).metadata or {}).get(MADE_BY)
    return None if made_by is None else made_by.decode("utf-8", "replace")
