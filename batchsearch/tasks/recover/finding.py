"""Every part that an output folder holds, wherever an interruption has left it, read from end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.arrow_values import microseconds, whole_numbers
from batchsearch.disk_paths import arrow_readable
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.storage.parts.part_files import HITS, RESULTS, part_number
from batchsearch.storage.sealed.inventory import NEXT
from batchsearch.storage.sealed_part import HISTORY, STAGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PLACES: Final = (
    (RESULTS, HITS),
    (f"{STAGED}/{RESULTS}", f"{STAGED}/{HITS}"),
    (RESULTS + NEXT, HITS + NEXT),
    (f"{RESULTS}{NEXT}.old", f"{HITS}{NEXT}.old"),
)
"""Where results and the hits that belong to them can be."""

NEEDED: Final = ("row_key", "outcome", "error_code", "error_origin")
_WANTED: Final = (
    *NEEDED,
    "run_id",
    "operation",
    "instance",
    "request_key",
    "coalesced_from",
    "answered_at",
    "finished_at",
    "earlier_outcomes",
    "hit_count",
    "attempts",
    "denied",
)
_ROWS_AT_ONCE: Final = 8_192
_UNREADABLE: Final = (OSError, pa.ArrowException, ValueError, KeyError)
_TMP: Final = ".tmp"

ROW: Final = np.dtype([("digest", "V16"), ("earlier", "<i4"), ("finished", "<i8"), ("hits", "<i4")])
"""What is known of each row of a part: its key's digest, how many outcomes it had before, when it was
finished (microseconds since 1970), and how many hits it claims."""


@dataclass(frozen=True, slots=True)
class Found:
    """A part that can be read.

    Attributes:
        number: In its name.
        results: Its file of results, below the output folder.
        hits: Its file of hits.
        rows: One `ROW` for each row of results, in its order.
        lacking: Rows whose hits are not all there, or more than they claim, by position.
        hit_rows: Rows of the file of hits; 0 where there is none.
        sha256: Of both files, lower-case hexadecimal; empty for hits that are not there.
    """

    number: int
    results: str
    hits: str | None
    rows: NDArray[Any]
    lacking: NDArray[np.int64]
    hit_rows: int
    sha256: tuple[str, str]

    @property
    def name(self) -> str:
        """Its file's name."""
        return self.results.rpartition("/")[2]

    @property
    def is_settled(self) -> bool:
        """Whether both files are where readers look for them, under their final names."""
        return self.results == f"{RESULTS}/{self.name}" and self.hits == f"{HITS}/{self.name}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that is called as a part and cannot be used.

    Attributes:
        path: Below the output folder, with slashes.
        why: What is wrong with it.
    """

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


def found_parts(folder: Path) -> tuple[list[Found], list[Broken]]:
    """All parts of an output folder, and what is called so and cannot be read.

    A file that is in several places counts once; temporary files count where they were written to their end.
    """
    found: list[Found] = []
    broken: list[Broken] = []
    seen: dict[str, set[str]] = {}
    for results_place, hits_place in PLACES:
        for name in _listed(folder / results_place):
            path = f"{results_place}/{name}"
            number = part_number(name.removesuffix(_TMP))
            if number is None:
                continue
            try:
                sha256 = sha256_of(folder / path)
                if sha256 in seen.get(name, ()):
                    continue
                rows = _rows_of(folder / path)
            except _UNREADABLE as error:
                if not name.endswith(_TMP):
                    broken.append(Broken(path, _why(error)))
                continue
            hits, counted, hit_sha256, wrong = _hits_of(folder, hits_place, name)
            broken += [] if wrong is None or name.endswith(_TMP) else [wrong]
            seen.setdefault(name, set()).add(sha256)
            lacking = _lacking(rows, counted)
            total = sum(counted.values())
            found.append(Found(number, path, hits, rows, lacking, total, (sha256, hit_sha256)))
    return found, broken


@dataclass(frozen=True, slots=True)
class History:
    """A part of replaced outcomes that can be read.

    Attributes:
        name: Its file's name.
        rows: One `ROW` for each of its rows.
        sha256: Of the file, lower-case hexadecimal.
    """

    name: str
    rows: NDArray[Any]
    sha256: str


def found_history(folder: Path) -> tuple[list[History], list[Broken]]:
    """The parts of replaced outcomes, and those that cannot be read."""
    found, broken = [], []
    for name in _listed(folder / HISTORY):
        if part_number(name) is None:
            continue
        path = folder / HISTORY / name
        try:
            found.append(History(name, _rows_of(path), sha256_of(path)))
        except _UNREADABLE as error:
            broken.append(Broken(f"{HISTORY}/{name}", _why(error)))
    return found, broken


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """A part's rows, a few thousand at a time, every page's checksum compared where it has one.

    Raises:
        OSError: It cannot be read.
        pa.ArrowException: Likewise.
    """
    with pq.ParquetFile(arrow_readable(path), page_checksum_verification=True) as file:
        there = file.schema_arrow.names
        wanted = None if columns is None else [name for name in columns if name in there]
        yield from file.iter_batches(_ROWS_AT_ONCE, columns=wanted, use_threads=False)


def facts(path: Path) -> Iterator[dict[str, list[Any]]]:
    """What a ledger needs of each row of a part, batch by batch, as columns; None where a part lacks one."""
    for batch in batches(path, list(_WANTED)):
        names = batch.schema.names
        yield {
            name: batch.column(name).to_pylist() if name in names else [None] * batch.num_rows
            for name in _WANTED
        }


def _rows_of(path: Path) -> NDArray[Any]:
    pieces = [np.empty(0, ROW)]
    for batch in batches(path):
        lacking = [name for name in NEEDED if name not in batch.schema.names]
        if lacking:
            raise ValueError(f"has no column {lacking[0]}, so it is no part of an output")
        keys = batch.column("row_key")
        if keys.null_count:
            raise ValueError("has a row without a `row_key`")
        rows = np.zeros(batch.num_rows, ROW)
        rows["digest"] = np.frombuffer(b"".join(digest_of(key) for key in keys.to_pylist()), "V16")
        rows["earlier"] = _numbers(batch, "earlier_outcomes")
        rows["hits"] = _numbers(batch, "hit_count")
        if "finished_at" in batch.schema.names:
            rows["finished"] = microseconds(batch.column("finished_at"))
        pieces.append(rows)
    return np.concatenate(pieces)


def _numbers(batch: pa.RecordBatch, name: str) -> NDArray[np.int64]:
    if name not in batch.schema.names:
        return np.zeros(batch.num_rows, np.int64)
    return whole_numbers(batch.column(name))


def _hits_of(folder: Path, place: str, name: str) -> tuple[str | None, dict[bytes, int], str, Broken | None]:
    """A part's hits: where they are, how many each row has, their SHA-256, what is wrong with them."""
    final = name.removesuffix(_TMP)
    others = [hits for _, hits in PLACES if hits != place]
    wrong = None
    for path in (f"{below}/{each}" for below in (place, *others) for each in dict.fromkeys((name, final))):
        if not (folder / path).is_file():
            continue
        counted: dict[bytes, int] = {}
        try:
            for batch in batches(folder / path):
                for key in batch.column("row_key").to_pylist():
                    digest = digest_of(key or "")
                    counted[digest] = counted.get(digest, 0) + 1
            return path, counted, sha256_of(folder / path), None
        except _UNREADABLE as error:
            wrong = wrong or Broken(path, _why(error))
    return None, {}, "", wrong or Broken(f"{place}/{final}", "is not there")


def _lacking(rows: NDArray[Any], counted: dict[bytes, int]) -> NDArray[np.int64]:
    there = np.array([counted.get(digest.tobytes(), 0) for digest in rows["digest"]], np.int64)
    return np.flatnonzero(there != rows["hits"])


def _why(error: BaseException) -> str:
    text = reason_of(error)
    return text if text.startswith("has ") else f"cannot be read: {text}"


def _listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
