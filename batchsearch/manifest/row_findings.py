"""What was found wrong with a manifest's rows: the first few by file and row, all of them counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.errors import ManifestError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.manifest.formats.table_file import TableFile

LISTED: Final = 20
"""Problems that a person is shown at once."""


class Findings:
    """Problems of rows, held until all are known. Places in words are looked up only for those shown."""

    def __init__(self, tables: Sequence[TableFile]) -> None:
        self._tables = tables
        self._listed: list[tuple[int, int, str]] = []
        self._total = 0

    def add(self, table: int, row: int | None, what: str) -> None:
        """Notes a problem of a row, from 0, of the table of that number; None means the whole file."""
        if len(self._listed) < LISTED:
            self._listed.append((table, -1 if row is None else row, what))
        self._total += 1

    def count_only(self, more: int) -> None:
        """Counts problems that are not shown."""
        self._total += more

    def __bool__(self) -> bool:
        return self._total > 0

    def raise_any(self) -> None:
        """Ends the command if anything was found.

        Raises:
            ManifestError: With the first problems in the order of the rows, and how many there are in all.
        """
        if self._total:
            raise ManifestError(self.problems())

    def problems(self) -> list[Problem]:
        """The problems as a person reads them."""
        shown = []
        places = {
            number: table.places([row for at, row, _ in self._listed if at == number and row >= 0])
            for number, table in enumerate(self._tables)
            if any(at == number for at, _, _ in self._listed)
        }
        for number, row, what in sorted(self._listed):
            path = str(self._tables[number].path)
            shown.append(Problem(path if row < 0 else f"{path}: {places[number][row]}", what))
        if self._total > len(shown):
            shown.append(Problem("in all", f"{self._total:,} problems; these are the first {len(shown)}"))
        return shown
