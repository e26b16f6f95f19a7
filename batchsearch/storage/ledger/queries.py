"""What is asked of a ledger, by the run that writes it and by those who only look: each question once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.storage.ledger.entries import History, KnownAnswer, Part, RowState, UsageKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Place = Literal["current", "staged", "coming", "history"]
"""Where a sealed part is: what readers see, what waits to replace something there, what is about to be seen,
and what was replaced."""

CURRENT: Final = "current"
"""The place of the parts that readers see."""

STAGED: Final = "staged"
"""The place, and the folder under the output folder, of renewed outcomes that readers do not see yet."""

SWITCHING: Final = "switching"
"""Named text that is there while the current parts are being exchanged for the coming ones."""

_LOOKUP_CHUNK: Final = 1_000
_RESULTS_AT_ONCE: Final = 200
_DIGESTS_AT_ONCE: Final = 20_000
_KEYS_AT_ONCE: Final = 10_000


def chunks_of(values: Sequence[bytes]) -> list[tuple[Sequence[bytes], str]]:
    """The values in pieces that one query takes, each with its question marks."""
    pieces = [values[start : start + _LOOKUP_CHUNK] for start in range(0, len(values), _LOOKUP_CHUNK)]
    return [(piece, ",".join("?" * len(piece))) for piece in pieces]


class LedgerQueries(ABC):
    """The questions that need nothing but the tables."""

    @abstractmethod
    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Every row of an answer; raises OutputError when the ledger cannot be read."""

    def meta(self, name: str) -> str | None:
        """A named text, None when it was never set."""
        found = self._all("SELECT value FROM meta WHERE name = ?", (name,))
        return found[0][0] if found else None

    def finished(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those of `digests` whose rows have their outcome."""
        found: set[bytes] = set()
        for chunk, marks in chunks_of(digests):
            wanted = "SELECT digest FROM rows WHERE digest IN (" + marks + ")"  # noqa: S608 - only question marks
            found.update(row[0] for row in self._all(wanted, chunk))
        return found

    def digests(self) -> Iterator[list[bytes]]:
        """The digests of all rows that have their outcome, a few thousand at a time."""
        after = b""
        while found := self._all(
            "SELECT digest FROM rows WHERE digest > ? ORDER BY digest LIMIT ?", (after, _DIGESTS_AT_ONCE)
        ):
            yield [row[0] for row in found]
            after = found[-1][0]

    def finished_count(self) -> int:
        """How many rows have their outcome."""
        return int(self._all("SELECT count(*) FROM rows")[0][0])

    def histories(self) -> dict[bytes, History]:
        """Attempts and pages of every row that has no outcome yet: as many as were being worked on."""
        attempts: dict[bytes, list[str]] = {}
        for digest, detail in self._all("SELECT digest, detail FROM attempts ORDER BY digest, number"):
            attempts.setdefault(digest, []).append(detail)
        pages: dict[bytes, dict[int, bytes]] = {}
        for digest, page, answer in self._all("SELECT digest, page, answer FROM pages"):
            pages.setdefault(digest, {})[page] = answer
        return {digest: History(tuple(found), pages.get(digest, {})) for digest, found in attempts.items()}

    def usage(self) -> dict[UsageKey, int]:
        """Every counter."""
        found = self._all("SELECT day, instance, operation, counter, amount FROM usage")
        return {UsageKey(*row[:4]): row[4] for row in found}

    def states(self, digests: Sequence[bytes]) -> dict[bytes, RowState]:
        """What is known of each of `digests` that has its outcome."""
        found: dict[bytes, RowState] = {}
        for chunk, marks in chunks_of(digests):
            wanted = (
                "SELECT code, origin, finished_at, outcomes, request, source, reason, rows.digest "
                "FROM rows LEFT JOIN renewals ON renewals.digest = rows.digest "
                "WHERE rows.digest IN (" + marks + ")"
            )
            found.update((row[-1], RowState._make(row[:-1])) for row in self._all(wanted, chunk))
        return found

    def codes_of(self, digests: Sequence[bytes]) -> dict[bytes, str | None]:
        """The error code of each of `digests` that has its outcome; None for success."""
        found: dict[bytes, str | None] = {}
        for chunk, marks in chunks_of(digests):
            wanted = "SELECT digest, code FROM rows WHERE digest IN (" + marks + ")"  # noqa: S608 - only question marks
            found.update(self._all(wanted, chunk))
        return found

    def renewals(self) -> dict[str, int]:
        """How many rows are to get another outcome, by reason."""
        return dict(self._all("SELECT reason, count(*) FROM renewals GROUP BY reason"))

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """How many rows ended as each (code, origin); (None, None) is success."""
        found = self._all("SELECT code, origin, count(*) FROM rows GROUP BY code, origin")
        return {(code, origin): count for code, origin, count in found}

    def parts(self, place: Place = CURRENT) -> list[Part]:
        """Sealed parts at a place, in the order of their outcomes."""
        found = self._all(
            "SELECT name, first_seq, last_seq, rows, hits, results_sha256, hits_sha256 FROM parts "
            "WHERE place = ? ORDER BY last_seq, part",
            (place,),
        )
        return [Part(*row) for row in found]

    def next_part(self) -> int:
        """The number of the next part; numbers are never given again."""
        found = self._all("SELECT seq FROM sqlite_sequence WHERE name = 'parts'")
        return int(found[0][0]) + 1 if found else 1

    def answer(self, request_key: bytes) -> KnownAnswer | None:
        """Where the answer to this request is, None when it has none."""
        found = self._all(
            "SELECT answers.seq, answered_at, result, hits FROM answers "
            "LEFT JOIN pending ON pending.seq = answers.seq WHERE request_key = ?",
            (request_key,),
        )
        if not found:
            return None
        seq, answered_at, result, hits = found[0]
        parts = []
        if result is None:
            parts = self._all(
                "SELECT place, name FROM parts WHERE place IN ('current', 'staged') "
                "AND first_seq <= ? AND last_seq >= ? ORDER BY part",
                (seq, seq),
            )
        held = tuple((STAGED if place == STAGED else "", name) for place, name in parts)
        return KnownAnswer(answered_at, result, hits, held)

    def answered_requests(self) -> Iterator[bytes]:
        """The requests that have a lasting answer, SHA-256 each, a few thousand in memory at a time."""
        after = b""
        while found := self._all(
            "SELECT request_key FROM answers WHERE request_key > ? ORDER BY request_key LIMIT ?",
            (after, _KEYS_AT_ONCE),
        ):
            yield from (row[0] for row in found)
            after = found[-1][0]

    def waiting_results(self) -> Iterator[bytes]:
        """The results of outcomes that wait for their part, one JSON object each, a few at a time."""
        after = -1
        while found := self._all(
            "SELECT seq, result FROM pending WHERE seq > ? ORDER BY seq LIMIT ?", (after, _RESULTS_AT_ONCE)
        ):
            yield from (row[1] for row in found)
            after = found[-1][0]

    def coming(self) -> list[str] | None:
        """Names of the parts that are to be the current ones; None when no other ones are coming."""
        if self.meta(SWITCHING) is None:
            return None
        found = self._all("SELECT name FROM parts WHERE stays = 1 ORDER BY last_seq, part")
        return [row[0] for row in found]

    def adopted(self) -> list[str]:
        """Names of staged parts that are among the coming ones."""
        found = self._all("SELECT name FROM parts WHERE stays = 1 AND place = ?", (STAGED,))
        return [row[0] for row in found]
