"""What is asked of a ledger, by the run that writes it and by those who only look: each question once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from batchsearch.storage.ledger.digest_spans import Spans
from batchsearch.storage.ledger.entries import History, KnownAnswer, RowState, UsageKey
from batchsearch.storage.sealed_part import COLUMNS, CURRENT, STAGED, SealedPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.storage.ledger.digest_spans import Span
    from batchsearch.storage.sealed_part import Place

SWITCHING: Final = "switching"
"""Named text that is there while the current parts are being exchanged for the coming ones."""

_LOOKUP_CHUNK: Final = 1_000
_RESULTS_AT_ONCE: Final = 200
_PACKED_AT_ONCE: Final = 1 << 15

RECORD_BYTES: Final = 32
FLAGGED_BYTES: Final = 17
"""Bytes of a row in the two texts of `RowRecords`."""

SOURCE_UNKNOWN: Final = 1
FAILED: Final = 2
EXPIRED: Final = 4


class RowRecords(NamedTuple):
    """Rows of the ledger, packed.

    Attributes:
        rows: How many.
        sources: Of each `RECORD_BYTES`: its digest, and its source (zeros for an unknown one).
        flagged: Of those of which there is more to say `FLAGGED_BYTES`: the digest, and a digit that is the
            sum of `SOURCE_UNKNOWN`, `FAILED` and `EXPIRED`.
    """

    rows: int
    sources: bytes
    flagged: bytes


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

    def packed_digests(self) -> Iterator[bytes]:
        """The digests of all rows that have their outcome, one after the other, some thousands at a time."""
        return self._packed("digest", "rows")

    def _packed(self, key: str, table: str) -> Iterator[bytes]:
        """All keys of a table that has them in order, in pieces; tuples take three times as long."""
        spans = Spans(_PACKED_AT_ONCE)
        for span in spans:
            # Blobs that are put together are text with the same bytes; should that ever not be so, it shows.
            [(packed, length, count)] = self._all(
                f"SELECT CAST(group_concat({key}, '') AS BLOB), sum(length({key})), count(*) "  # noqa: S608 - names of this module
                f"FROM {table} WHERE {key} > ? AND {key} <= ?",
                span,
            )
            spans.held(count)
            if not count:
                continue
            if len(packed) != length:
                found = self._all(
                    f"SELECT {key} FROM {table} WHERE {key} > ? AND {key} <= ?",  # noqa: S608 - likewise
                    span,
                )
                packed = b"".join(row[0] for row in found)
            yield packed

    def records(self, span: Span, expired_before: float) -> RowRecords:
        """What decides whether rows are looked at one by one, of those with digests in a span.

        Args:
            span: Digests greater than the first and up to the second.
            expired_before: Outcomes from before this count as expired, seconds since 1970.
        """
        chosen = "FROM rows WHERE digest > ? AND digest <= ?"
        [(packed, count, sources, failures, oldest)] = self._all(
            "SELECT CAST(group_concat(digest || coalesce(source, zeroblob(16)), '') AS BLOB), count(*), "
            f"count(source), count(code), min(finished_at) {chosen}",
            span,
        )
        if not count:
            return RowRecords(0, b"", b"")
        if len(packed) != RECORD_BYTES * count:
            found = self._all(f"SELECT digest, source {chosen}", span)
            packed = b"".join(
                digest[:16].ljust(16, b"\0") + (source or b"")[:16].ljust(16, b"\0")
                for digest, source in found
            )
        if sources == count and not failures and oldest >= expired_before:
            return RowRecords(count, packed, b"")
        flags = f"(source IS NULL) + {FAILED} * (code IS NOT NULL) + {EXPIRED} * (finished_at < ?)"
        odd = f"{chosen} AND (source IS NULL OR code IS NOT NULL OR finished_at < ?)"
        values = (expired_before, *span, expired_before)
        [(flagged, count_odd)] = self._all(
            f"SELECT CAST(group_concat(digest || ({flags}), '') AS BLOB), count(*) {odd}",
            values,
        )
        if len(flagged or b"") != FLAGGED_BYTES * count_odd:
            found = self._all(f"SELECT digest, {flags} {odd}", values)
            flagged = b"".join(digest[:16].ljust(16, b"\0") + b"%d" % flag for digest, flag in found)
        return RowRecords(count, packed, flagged or b"")

    def failures(self, after: bytes, upto: bytes) -> list[tuple[bytes, str, str | None]]:
        """Digest, code and origin of the rows that failed, among those with digests in a range."""
        return self._all(
            "SELECT digest, code, origin FROM rows WHERE digest > ? AND digest <= ? AND code IS NOT NULL",
            (after, upto),
        )

    def marked(self, after: bytes, upto: bytes) -> list[bytes]:
        """The digests of the rows that are to get another outcome, among those in a range."""
        found = self._all("SELECT digest FROM renewals WHERE digest > ? AND digest <= ?", (after, upto))
        return [row[0] for row in found]

    def finished_count(self) -> int:
        """How many rows have their outcome."""
        return int(self._all("SELECT count(*) FROM rows")[0][0])

    def has_finished(self) -> bool:
        """Whether any row has its outcome; to count them all means to read through all of them."""
        return bool(self._all("SELECT 1 FROM rows LIMIT 1"))

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

    def renewals(self) -> dict[str, int]:
        """How many rows are to get another outcome, by reason."""
        return dict(self._all("SELECT reason, count(*) FROM renewals GROUP BY reason"))

    def outcomes(self) -> dict[tuple[str | None, str | None], int]:
        """How many rows ended as each (code, origin); (None, None) is success."""
        found = self._all("SELECT code, origin, count(*) FROM rows GROUP BY code, origin")
        return {(code, origin): count for code, origin, count in found}

    def outcomes_of_failures(self) -> dict[tuple[str, str | None], int]:
        """How many rows failed with each (code, origin)."""
        found = self._all(
            "SELECT code, origin, count(*) FROM rows WHERE code IS NOT NULL GROUP BY code, origin"
        )
        return {(code, origin): count for code, origin, count in found}

    def oldest_outcome(self) -> float:
        """When the oldest outcome was made, seconds since 1970; infinite without any."""
        [(oldest,)] = self._all("SELECT min(finished_at) FROM rows")
        return math.inf if oldest is None else float(oldest)

    def parts(self, place: Place = CURRENT) -> list[SealedPart]:
        """Sealed parts at a place, in the order of their outcomes."""
        return [part for part in self.all_parts() if part.place == place]

    def all_parts(self) -> list[SealedPart]:
        """Every sealed part, in the order of their outcomes."""
        found = self._all(f"SELECT {', '.join(COLUMNS)} FROM parts ORDER BY last_seq, part")  # noqa: S608 - constants
        return [SealedPart.of(row) for row in found]

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

    def has_answers(self) -> bool:
        """Whether any request has a lasting answer."""
        return bool(self._all("SELECT EXISTS (SELECT 1 FROM answers)")[0][0])

    def answered_requests(self) -> Iterator[bytes]:
        """The requests that have a lasting answer, SHA-256 each, one after the other in pieces."""
        return self._packed("request_key", "answers")

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
