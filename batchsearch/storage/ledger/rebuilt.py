"""A new ledger written in one go, from what is known of an output that has lost its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any

from batchsearch.errors import OutputError
from batchsearch.publish import publish, sync_path
from batchsearch.storage.ledger.checksum import forget_sum
from batchsearch.storage.ledger.store import SCHEMA_VERSION
from batchsearch.storage.sealed_part import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from batchsearch.storage.sealed_part import SealedPart


@dataclass(frozen=True, slots=True)
class Contents:
    """What a new ledger holds; each row as its table has it.

    Attributes:
        named: Named texts.
        parts: Sealed parts and their numbers.
        rows: Digest, code, origin, finished_at, outcomes, request, source, seq.
        answers: Request key, seq, answered_at.
        pending: Seq, replaces, result, hits, carried.
        attempts: Digest, number, detail.
        pages: Digest, page, answer.
        usage: Day, instance, operation, counter, amount.
        runs: Run, started_at, ended_at, summary.
        last_part: Highest number that any part has ever had.
        last_seq: Highest number that any outcome has.
    """

    named: Mapping[str, str]
    parts: Iterable[tuple[int, SealedPart]]
    rows: Iterable[tuple[Any, ...]]
    answers: Iterable[tuple[Any, ...]]
    pending: Iterable[tuple[Any, ...]]
    attempts: Iterable[tuple[Any, ...]]
    pages: Iterable[tuple[Any, ...]]
    usage: Iterable[tuple[Any, ...]]
    runs: Iterable[tuple[Any, ...]]
    last_part: int
    last_seq: int


def write_ledger(path: Path, contents: Contents) -> None:
    """Write a ledger; it appears whole under its name, or not at all.

    Raises:
        OutputError: The disk refuses.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            _fill(connection, contents)
            connection.execute("COMMIT")
        sync_path(temporary)
        forget_sum(path)
        publish(temporary, path)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"{path}: the new ledger cannot be written: {error}") from error


def _fill(connection: sqlite3.Connection, contents: Contents) -> None:
    schema = resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8")
    for statement in schema.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    connection.executemany("INSERT INTO meta VALUES (?, ?)", contents.named.items())
    connection.executemany(
        f"INSERT INTO parts (part, {', '.join(COLUMNS)}, sealed_at) VALUES (?, ?{', ?' * len(COLUMNS)})",  # noqa: S608 - constants
        ((number, *astuple(part), moment) for number, part in contents.parts),
    )
    for table, columns, rows in (
        ("rows", 8, contents.rows),
        ("answers", 3, contents.answers),
        ("pending", 5, contents.pending),
        ("attempts", 3, contents.attempts),
        ("pages", 3, contents.pages),
        ("usage", 5, contents.usage),
        ("runs", 4, contents.runs),
    ):
        marks = ", ".join("?" * columns)
        connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", rows)  # noqa: S608 - constants
    for name, last in (("parts", contents.last_part), ("pending", contents.last_seq)):
        connection.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, last))
