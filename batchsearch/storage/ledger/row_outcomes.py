"""The statements by which a row's outcome goes into the ledger, one by one and many at once.

Every statement makes the writing thread wait for the interpreter, which the event loop holds. So what new
rows need is said for many of them at once; in numbers of rows that are few, so that statements stay prepared.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from batchsearch.storage.ledger.entries import FinishedRow

_MOST_AT_ONCE: Final = 64
"""A power of two; SQLite before 3.32 takes 999 values in a statement."""

_PENDING: Final = "INSERT INTO pending (replaces, result, hits, carried) VALUES"
_ROWS: Final = "INSERT INTO rows (code, origin, finished_at, outcomes, request, source, seq, digest) VALUES"
_ANSWERS: Final = "INSERT OR REPLACE INTO answers VALUES"


def is_new(row: FinishedRow) -> bool:
    """Whether the ledger has nothing of a row that its outcome touches."""
    return not row.replaces and not row.has_history


def finish_row(connection: sqlite3.Connection, row: FinishedRow) -> None:
    """Give any row its outcome."""
    if is_new(row):
        finish_new_rows(connection, [row])
        return
    seq = _insert(connection, _PENDING, [(row.replaces, row.result, row.hits, row.carried)])
    if row.replaces:
        _replace_outcome(connection, row, seq)
    else:
        _insert(connection, _ROWS, [_outcome(row, seq)])
    if row.answer is not None:
        _insert(connection, _ANSWERS, [(row.answer.request_key, seq, row.answer.answered_at)])
    if row.has_history:
        forget_history(connection, row.digest)


def finish_new_rows(connection: sqlite3.Connection, rows: list[FinishedRow]) -> None:
    """Give new rows (see `is_new`) their outcomes, numbered in this order."""
    for some in _in_powers_of_two(rows):
        pending = [(row.replaces, row.result, row.hits, row.carried) for row in some]
        # The numbers of one statement follow each other: nobody else writes meanwhile.
        first = _insert(connection, _PENDING, pending) - len(some) + 1
        _insert(connection, _ROWS, [_outcome(row, seq) for seq, row in enumerate(some, first)])
        answers = [
            (row.answer.request_key, seq, row.answer.answered_at)
            for seq, row in enumerate(some, first)
            if row.answer is not None
        ]
        for answered in _in_powers_of_two(answers):
            _insert(connection, _ANSWERS, answered)


def forget_history(connection: sqlite3.Connection, digest: bytes) -> None:
    """Drop a row's attempts and pages."""
    connection.execute("DELETE FROM attempts WHERE digest = ?", (digest,))
    connection.execute("DELETE FROM pages WHERE digest = ?", (digest,))


def _insert(connection: sqlite3.Connection, statement: str, values: Sequence[tuple[Any, ...]]) -> int:
    """Insert so many lines; the number of the last one."""
    line = f"({', '.join('?' * len(values[0]))})"
    text = f"{statement} {', '.join([line] * len(values))}"
    return connection.execute(text, tuple(chain.from_iterable(values))).lastrowid or 0


def _in_powers_of_two(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The values in pieces of 64, 32, 16 … and 1, the larger ones first."""
    start, size = 0, _MOST_AT_ONCE
    while start < len(values):
        while size > len(values) - start:
            size //= 2
        yield values[start : start + size]
        start += size


def _outcome(row: FinishedRow, seq: int) -> tuple[Any, ...]:
    """A line of `rows`: the row's first outcome."""
    return row.code, row.origin, row.finished_at, 1, row.request, row.source, seq, row.digest


def _replace_outcome(connection: sqlite3.Connection, row: FinishedRow, seq: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO retired SELECT seq, request FROM rows "
        "WHERE digest = ? AND seq IS NOT NULL AND request IS NOT NULL",
        (row.digest,),
    )
    changed = connection.execute(
        "UPDATE rows SET code = ?, origin = ?, finished_at = ?, outcomes = outcomes + 1, request = ?, "
        "source = ?, seq = ? WHERE digest = ?",
        (row.code, row.origin, row.finished_at, row.request, row.source, seq, row.digest),
    )
    if changed.rowcount != 1:
        raise OutputError("an outcome was to replace an earlier one that the ledger does not have")
    connection.execute("DELETE FROM renewals WHERE digest = ?", (row.digest,))
