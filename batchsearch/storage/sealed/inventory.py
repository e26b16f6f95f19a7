"""The files that a ledger has sealed, each with its place, its rows and its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.ledger.queries import CURRENT, STAGED, Place
from batchsearch.storage.output_layout import LEDGER
from batchsearch.storage.parts.part_files import HITS, RESULTS, part_number
from batchsearch.storage.parts.rewrite import HISTORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries

NEXT: Final = ".next"
"""What the name of a folder ends with in which the coming parts of a table are built."""

TABLES: Final = (RESULTS, HITS)

_HEAD_BYTES: Final = 100


class SealedPair(Protocol):
    """A part as a ledger has it."""

    @property
    def name(self) -> str:
        """File name in both folders."""

    @property
    def rows(self) -> int:
        """Rows of `results`."""

    @property
    def hits(self) -> int:
        """Rows of `hits`."""

    @property
    def results_sha256(self) -> str:
        """Of the file of results, lower-case hexadecimal."""

    @property
    def hits_sha256(self) -> str:
        """Of the file of hits."""


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file that a ledger has sealed.

    Attributes:
        table: `results` or `hits`; outcomes that were replaced are `results` too.
        place: `current`: readers see it; `staged`: its outcomes are to replace earlier ones; `history`: it
            holds outcomes that were replaced.
        part: Its name.
        rows: How many it has.
        sha256: Of its content, lower-case hexadecimal.
    """

    table: str
    place: Place
    part: str
    rows: int
    sha256: str

    @property
    def path(self) -> str:
        """Below the output folder, with slashes."""
        if self.place == HISTORY:
            return f"{HISTORY}/{self.part}"
        under = f"{STAGED}/" if self.place == STAGED else ""
        return f"{under}{self.table}/{self.part}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is sealed in an output folder.

    Attributes:
        files: All sealed files. While parts are being exchanged, `current` are those that are coming.
        next_part: Number that the next part gets: none that this ledger knows has it or a greater one.
        switching: Parts are being exchanged for the coming ones; a file may still be in the folder beside.
        leaving: Names of parts that leave with the exchange.
    """

    files: tuple[SealedFile, ...]
    next_part: int
    switching: bool = False
    leaving: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        parts: Mapping[Place, Sequence[SealedPair]],
        *,
        next_part: int,
        coming: Iterable[str] | None = None,
    ) -> Inventory:
        """The inventory of parts by their place.

        Args:
            parts: What is sealed at each place.
            next_part: Number that the next part gets.
            coming: Names of the parts that are to be the current ones; None when no other ones are coming.
        """
        by_place = {place: list(parts.get(place, ())) for place in (CURRENT, STAGED, HISTORY)}
        leaving: frozenset[str] = frozenset()
        if coming is not None:
            names = set(coming)
            everywhere = [*parts.get(CURRENT, ()), *parts.get(STAGED, ()), *parts.get("coming", ())]
            by_place[CURRENT] = [part for part in everywhere if part.name in names]
            by_place[STAGED] = [part for part in by_place[STAGED] if part.name not in names]
            leaving = frozenset(part.name for part in parts.get(CURRENT, ())) - names
        files: list[SealedFile] = []
        for place in (CURRENT, STAGED):
            for part in by_place[place]:
                files.append(SealedFile(RESULTS, place, part.name, part.rows, part.results_sha256))
                files.append(SealedFile(HITS, place, part.name, part.hits, part.hits_sha256))
        files += [
            SealedFile(RESULTS, "history", part.name, part.rows, part.results_sha256)
            for part in by_place[HISTORY]
        ]
        return cls(tuple(files), next_part, coming is not None, leaving)

    def seen(self, table: str) -> list[SealedFile]:
        """The files of a table that readers see, in the order of their outcomes."""
        return [file for file in self.files if file.table == table and file.place == CURRENT]

    def names(self, place: Place) -> set[str]:
        """Names of the parts at a place."""
        return {file.part for file in self.files if file.place == place}

    def where(self, folder: Path, file: SealedFile) -> Path:
        """Where a sealed file is, or has to be."""
        path = folder / file.path
        if self.switching and file.place == CURRENT and not path.exists():
            beside = folder / (file.table + NEXT) / file.part
            staged = folder / STAGED / file.table / file.part
            return next((other for other in (beside, staged) if other.exists()), path)
        return path


def inventory_of(ledger: LedgerQueries) -> Inventory:
    """What a ledger says is sealed.

    Raises:
        OutputError: It cannot be read.
    """
    places: tuple[Place, ...] = ("current", "staged", "coming", "history")
    parts: dict[Place, Sequence[SealedPair]] = {place: ledger.parts(place) for place in places}
    return Inventory.of(parts, next_part=ledger.next_part(), coming=ledger.coming())


def inventory_in(folder: Path) -> Inventory | None:
    """What is sealed in an output folder, for whoever only reads it; None where it has no ledger.

    Raises:
        OutputError: The ledger cannot be read, or another version wrote it.
    """
    if not has_ledger(folder):
        return None
    with LedgerReader(folder / LEDGER) as ledger:
        return inventory_of(ledger)


def has_ledger(folder: Path) -> bool:
    """Whether a folder has a ledger that says anything: not one that is empty or has no table yet."""
    path = folder / LEDGER
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            return True
    except FileNotFoundError:
        return False
    except OSError:
        return True
    # https://www.sqlite.org/fileformat.html: the version that a program gives its tables is at byte 60.
    return bool(head) and (not head.startswith(b"SQLite format 3\0") or any(head[60:64]))


def parts_in(folder: Path) -> list[str]:
    """Every file in an output folder that is called as parts are, whoever sealed it, by its path there."""
    found = []
    for below in part_folders():
        try:
            with os.scandir(folder / below) as entries:
                names = [entry.name for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            continue
        found += [f"{below}/{name}" for name in sorted(names) if part_number(name) is not None]
    return found


def part_folders() -> list[str]:
    """Every folder below an output folder that can hold parts: those seen first."""
    beside = [table + ending for ending in (NEXT, f"{NEXT}.old") for table in TABLES]
    return [*TABLES, *(f"{STAGED}/{table}" for table in TABLES), HISTORY, *beside]
