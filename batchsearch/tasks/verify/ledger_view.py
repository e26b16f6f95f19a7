"""The ledger as of one moment, read without disturbing a run that works on it.

All of it is read in one transaction, which lasts about a second for a million rows; a run goes on writing
meanwhile. A ledger without a write-ahead log beside it belongs to no run and is read as an immutable file.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.damage import damages_of
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.ledger_reader import opened_to_read
from batchsearch.storage.ledger.queries import SWITCHING
from batchsearch.storage.ledger.store import SCHEMA_VERSION
from batchsearch.storage.sealed_part import COLUMNS, CURRENT, SealedPart
from batchsearch.tasks.verify.row_comparison import EARLIER_SHIFT
from batchsearch.tasks.verify.row_records import LEDGER, PENDING, records_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.tasks.verify.row_records import SortedRecords

_ROWS_AT_ONCE: Final = 20_000
_PENDING_AT_ONCE: Final = 200
_DIGEST_BYTES: Final = 16
_MOST_DAMAGES: Final = 5
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OF_VERSION_1: Final = {"first_seq": "0", "last_seq": "0", "place": f"'{CURRENT}'", "stays": "0"}


class Codes:
    """Numbers that stand for pairs of code and origin; 0 is success, whose pair is (None, None)."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str | None, str | None], int] = {(None, None): 0}
        self._pairs: list[tuple[str | None, str | None]] = [(None, None)]

    def number(self, code: str | None, origin: str | None) -> int:
        """The pair's number."""
        known = self._numbers.setdefault((code, origin), len(self._pairs))
        if known == len(self._pairs):
            self._pairs.append((code, origin))
        return known

    def text(self, number: int) -> str:
        """The pair for people."""
        code, origin = self._pairs[number] if number < len(self._pairs) else ("?", None)
        return "ok" if code is None and origin is None else f"{code} ({origin})"


@dataclass(frozen=True, slots=True)
class LedgerView:
    """What a ledger said at one moment.

    Attributes:
        taken_at: When, UTC.
        parts: The sealed parts, wherever they are.
        next_part: Number that the next part gets.
        switching: One generation of parts was being exchanged for another.
        rows: Rows that have their outcome.
        pending: Outcomes that wait for their part.
        total: Rows of the manifest as of the latest run; None when the ledger does not say.
        job: Settings of the latest run as plain data; None likewise.
        fingerprint: What decides the outcomes' meaning, by setting; empty likewise.
        damages: What SQLite finds wrong with the file; empty when it is sound.
    """

    taken_at: datetime
    parts: tuple[SealedPart, ...]
    next_part: int
    switching: bool
    rows: int
    pending: int
    total: int | None
    job: dict[str, Any] | None
    fingerprint: dict[str, Any]
    damages: tuple[str, ...]


def view_ledger(path: Path, records: SortedRecords, codes: Codes) -> LedgerView:
    """Read a ledger, and hand its rows on as records.

    Raises:
        OutputError: It cannot be read.
    """
    try:
        with _transaction(path) as connection:
            taken_at = datetime.now(UTC)
            damages = damages_of(connection, _MOST_DAMAGES)
            # A run that was killed before its ledger had any table leaves version 0.
            if damages or not _version(path, connection):
                return LedgerView(taken_at, (), 1, False, 0, 0, None, None, {}, damages)
            named = dict(connection.execute("SELECT name, value FROM meta"))
            return LedgerView(
                taken_at,
                _parts(connection),
                _next_part(connection),
                SWITCHING in named,
                _rows(connection, records, codes),
                _pending(connection, records, codes),
                int(named["total"]) if named.get("total", "").isdigit() else None,
                _mapping(named.get("job")),
                _mapping(named.get("fingerprint")) or {},
                (),
            )
    except (OSError, sqlite3.Error, ValueError) as error:
        # What is no text of ours is damage as well as what is no database.
        if isinstance(error, ValueError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return LedgerView(datetime.now(UTC), (), 1, False, 0, 0, None, None, {}, (str(error),))
        raise OutputError(f"{path}: the ledger cannot be read: {error}") from error


def sealed_parts(path: Path) -> tuple[frozenset[SealedPart], bool]:
    """The sealed parts as of now, and whether they are being exchanged for others.

    Raises:
        OutputError: The ledger cannot be read.
    """
    try:
        with _transaction(path) as connection:
            if not _version(path, connection):
                return frozenset(), False
            switching = connection.execute("SELECT 1 FROM meta WHERE name = ?", (SWITCHING,)).fetchone()
            return frozenset(_parts(connection)), switching is not None
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"{path}: the ledger cannot be read: {error}") from error


@contextmanager
def _transaction(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opened_to_read(path)) as connection:
        connection.execute("BEGIN")
        yield connection


def _version(path: Path, connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise OutputError(
            f"{path}: this ledger has schema version {version}, this batchsearch reads version "
            f"{SCHEMA_VERSION}; use the batchsearch that wrote it"
        )
    return version


def _parts(connection: sqlite3.Connection) -> tuple[SealedPart, ...]:
    # Version 1 of the ledger knew current parts only.
    knows = {row[1] for row in connection.execute("PRAGMA table_info(parts)")}
    asked = ", ".join(name if name in knows else _OF_VERSION_1[name] for name in COLUMNS)
    found = connection.execute(f"SELECT {asked} FROM parts ORDER BY part")  # noqa: S608 - constants
    return tuple(map(SealedPart.of, found))


def _next_part(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'parts'").fetchone()
    return 1 if found is None else int(found[0]) + 1


def _rows(connection: sqlite3.Connection, records: SortedRecords, codes: Codes) -> int:
    # Version 1 of the ledger knew one outcome of each row only.
    knows = {row[1] for row in connection.execute("PRAGMA table_info(rows)")}
    earlier = "outcomes - 1" if "outcomes" in knows else "0"
    cursor = connection.execute(f"SELECT digest, code, origin, {earlier} FROM rows")  # noqa: S608 - constants
    total = 0
    while chunk := cursor.fetchmany(_ROWS_AT_ONCE):
        total += len(chunk)
        digests = [row[0] for row in chunk]
        if any(len(digest) != _DIGEST_BYTES for digest in digests):
            raise ValueError("a row's digest has not 16 bytes")
        before = np.array([row[3] for row in chunk], np.uint64) << EARLIER_SHIFT
        records.add(records_of(LEDGER, digests, first=_numbers(codes, [row[1:3] for row in chunk]) | before))
    return total


def _pending(connection: sqlite3.Connection, records: SortedRecords, codes: Codes) -> int:
    cursor = connection.execute("SELECT result FROM pending")
    total = 0
    while chunk := cursor.fetchmany(_PENDING_AT_ONCE):
        total += len(chunk)
        outcomes = [json.loads(row[0]) for row in chunk]
        digests = [digest_of(outcome["row_key"]) for outcome in outcomes]
        pairs = [(outcome.get("error_code"), outcome.get("error_origin")) for outcome in outcomes]
        records.add(records_of(PENDING, digests, first=_numbers(codes, pairs)))
    return total


def _numbers(codes: Codes, pairs: Sequence[Sequence[str | None]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array([codes.number(pair[0], pair[1]) for pair in pairs], np.uint64)


def _mapping(text: str | None) -> dict[str, Any] | None:
    value = json.loads(text) if text else None
    return value if isinstance(value, dict) else None
