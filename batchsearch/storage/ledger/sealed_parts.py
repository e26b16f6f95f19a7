"""The ledger's list of sealed parts: one sealed after the other, and all of them exchanged at once.

Readers see the `current` parts. Parts of outcomes that replace earlier ones are `staged` out of their sight.
To bring those in, or to merge small parts, a whole generation of parts is made: the ledger first notes which
parts are coming and which of the current ones stay (`intend`), then the folders are exchanged, then the
ledger forgets the rest (`switched`). Whoever finds the note finishes what it says: there is no way back
after it, and nothing has happened before it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import astuple, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.errors import OutputError
from batchsearch.storage.ledger.entries import Waiting
from batchsearch.storage.ledger.queries import SWITCHING, LedgerQueries
from batchsearch.storage.sealed_part import COLUMNS, CURRENT, HISTORY, STAGED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Mapping, Sequence

    from batchsearch.storage.ledger.entries import UsageKey
    from batchsearch.storage.sealed_part import Place, SealedPart

_LAST_HALF: Final = b"\xff" * 16
"""What the second half of a request key can be at most."""

_INSERT: Final = f"INSERT INTO parts ({', '.join(COLUMNS)}, sealed_at) VALUES (?{', ?' * len(COLUMNS)})"  # noqa: S608 - constants
"""Notes a part: its `COLUMNS`, and when that was."""

_PAYLOAD: Final = "length(result) + length(hits) + length(carried)"


class PartLedger(LedgerQueries):
    """What a ledger knows and notes of sealed parts."""

    @abstractmethod
    async def _write(
        self,
        apply: Callable[[sqlite3.Connection], Any],
        usage: Mapping[UsageKey, int] | None = None,
        committed: Callable[[Any], None] | None = None,
    ) -> None:
        """Commit a record; raises OutputError when it could not be."""

    @abstractmethod
    def _count(self, rows: int, payload: int, *, replaces: bool) -> None:
        """Add to what waits for its part."""

    async def seal(self, part: SealedPart, *, replaces: bool = False) -> None:
        """Declare a part's files final; its rows leave the pending ones.

        Args:
            part: What was written.
            replaces: Its outcomes replace earlier ones: it is staged, and not current.

        Raises:
            OutputError: When it could not be committed, or does not hold exactly the rows that would leave.
        """

        def apply(connection: sqlite3.Connection) -> Waiting:
            leaving = count_waiting(connection, replaces=replaces, last_seq=part.last_seq)
            if leaving.rows != part.rows:
                raise OutputError(
                    f"part {part.name} has {part.rows} rows where {leaving.rows} wait up to number "
                    f"{part.last_seq}: it is not sealed, nothing is lost"
                )
            _add_parts(connection, [part], STAGED if replaces else CURRENT)
            connection.execute(
                "DELETE FROM pending WHERE replaces = ? AND seq <= ?", (replaces, part.last_seq)
            )
            return leaving

        def committed(leaving: Waiting) -> None:
            self._count(-leaving.rows, -leaving.payload, replaces=replaces)

        await self._write(apply, committed=committed)

    async def intend(
        self, coming: Sequence[SealedPart], stays: Collection[str], replaced: Sequence[SealedPart] = ()
    ) -> None:
        """Note that these parts, with those that stay, are about to be the current ones.

        Args:
            coming: New parts, their files durable.
            stays: Names of current or staged parts that are in the coming generation as they are.
            replaced: New parts of `history/`, their files durable.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
            _add_parts(connection, coming, "coming", stays=True)
            _add_parts(connection, replaced, HISTORY)
            connection.executemany("UPDATE parts SET stays = 1 WHERE name = ?", [(name,) for name in stays])
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (SWITCHING,))

        await self._write(apply)

    async def switched(self) -> None:
        """Note that the coming parts are the current ones; the others are forgotten.

        Raises:
            OutputError: When it could not be committed.
        """

        def apply(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM parts WHERE place = 'current' AND stays = 0")
            connection.execute("UPDATE parts SET place = 'current', stays = 0 WHERE stays = 1")
            connection.execute("DELETE FROM meta WHERE name = ?", (SWITCHING,))
            # What has left the parts that readers see serves no equal request any more.
            retired = connection.execute("SELECT request, seq FROM retired").fetchall()
            connection.executemany(
                "DELETE FROM answers WHERE request_key >= ? AND request_key <= ? AND seq = ?",
                [(request, request + _LAST_HALF, seq) for request, seq in retired],
            )
            connection.execute("DELETE FROM retired")

        await self._write(apply)


def count_waiting(connection: sqlite3.Connection, *, replaces: bool, last_seq: int | None = None) -> Waiting:
    """Outcomes that wait for a part, up to a number; SQLite knows a blob's length without reading it."""
    statement = f"SELECT count(*), coalesce(sum({_PAYLOAD}), 0) FROM pending WHERE replaces = ?"  # noqa: S608 - a constant
    if last_seq is None:
        return Waiting(*connection.execute(statement, (replaces,)).fetchone())
    return Waiting(*connection.execute(statement + " AND seq <= ?", (replaces, last_seq)).fetchone())


def _add_parts(
    connection: sqlite3.Connection, parts: Sequence[SealedPart], place: Place, *, stays: bool = False
) -> None:
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    noted = [replace(part, place=place, stays=stays) for part in parts]
    connection.executemany(_INSERT, [(*astuple(part), moment) for part in noted])
