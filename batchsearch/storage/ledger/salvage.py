"""What can still be read of a ledger that is damaged or an older copy; nothing is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from batchsearch.storage.ledger.ledger_reader import opened_to_read
from batchsearch.storage.sealed_part import COLUMNS, SealedPart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT: Final = ("fingerprint", "carried", "job", "total", "round_began")
"""Named texts that hold of the job and not of one moment."""


@dataclass(slots=True)
class Salvage:
    """What an earlier ledger says.

    Attributes:
        whole: Every page of it could be read.
        named: Its named texts, those that hold of the job.
        rows: Code, origin, moment in seconds since 1970, number of outcomes, request and source, by digest.
        pending: Result, hits and carried columns of outcomes that no part holds.
        attempts: Rows of the table of that name, as they are; likewise `pages`, `usage` and `runs`.
        parts: The parts that it knows.
    """

    whole: bool = True
    named: dict[str, str] = field(default_factory=dict)
    rows: dict[bytes, tuple[Any, ...]] = field(default_factory=dict)
    pending: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    pages: list[tuple[Any, ...]] = field(default_factory=list)
    usage: list[tuple[Any, ...]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    parts: list[SealedPart] = field(default_factory=list)


def salvaged(path: Path) -> Salvage:
    """Read what can be read; where there is no such ledger, or nothing of it, what is found is empty."""
    found = Salvage()
    if not path.exists() or not path.stat().st_size:
        found.whole = False
        return found
    try:
        with closing(opened_to_read(path)) as connection:
            connection.text_factory = lambda data: data.decode("utf-8", "replace")
            check = connection.execute("PRAGMA integrity_check(1)").fetchone()
            found.whole = check is not None and check[0] == "ok"
            found.whole &= bool(connection.execute("PRAGMA user_version").fetchone()[0])
            _read(connection, found)
    except sqlite3.Error:
        found.whole = False
    return found


def _read(connection: sqlite3.Connection, found: Salvage) -> None:
    for name, value in _rows(connection, "meta", "name, value", found):
        if name in _KEPT and isinstance(value, str):
            found.named[name] = value
    columns = "digest, code, origin, finished_at, outcomes, request, source"
    for row in _rows(connection, "rows", columns, found):
        if isinstance(row[0], bytes) and isinstance(row[3], float) and isinstance(row[4], int):
            found.rows[row[0]] = row[1:]
    for row in _rows(connection, "pending", "result, hits, carried", found):
        if all(isinstance(value, bytes) for value in row):
            found.pending.append(row)
    found.attempts += _rows(connection, "attempts", "digest, number, detail", found)
    found.pages += _rows(connection, "pages", "digest, page, answer", found)
    found.usage += _rows(connection, "usage", "day, instance, operation, counter, amount", found)
    found.runs += _rows(connection, "runs", "run, started_at, ended_at, summary", found)
    found.parts += map(SealedPart.of, _rows(connection, "parts", ", ".join(COLUMNS), found))


def _rows(
    connection: sqlite3.Connection, table: str, columns: str, found: Salvage
) -> Iterator[tuple[Any, ...]]:
    """The rows of a table, as far as pages can be read: from its beginning, then from its end."""
    seen: set[tuple[Any, ...]] = set()
    for order in ("", _backwards(connection, table)):
        try:
            for row in connection.execute(f"SELECT {columns} FROM {table} {order}"):  # noqa: S608 - constants
                if order and row in seen:
                    break
                seen.add(row)
                yield row
        except sqlite3.Error:
            found.whole = False
            continue
        else:
            return


def _backwards(connection: sqlite3.Connection, table: str) -> str:
    try:
        keys = [
            row[1] for row in sorted(connection.execute(f"PRAGMA table_info({table})"), key=_place) if row[5]
        ]
    except sqlite3.Error:
        return ""
    return "ORDER BY " + ", ".join(f"{key} DESC" for key in keys) if keys else ""


def _place(column: tuple[Any, ...]) -> int:
    return int(column[5])
