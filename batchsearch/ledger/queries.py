"""What is asked of a ledger, by the run that writes it and by those who only look: each question once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from batchsearch.ledger.records import History, UsageKey

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOKUP_CHUNK: Final = 500


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

    def codes_of(self, digests: Sequence[bytes]) -> dict[bytes, str | None]:
        """The error code of each of `digests` that has its outcome; None for success."""
        found: dict[bytes, str | None] = {}
        for chunk, marks in chunks_of(digests):
            wanted = "SELECT digest, code FROM rows WHERE digest IN (" + marks + ")"  # noqa: S608 - only question marks
            found.update(self._all(wanted, chunk))
        return found
