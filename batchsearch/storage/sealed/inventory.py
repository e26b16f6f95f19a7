"""The files that a ledger has sealed, each with its place, its rows and its checksum."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.storage.ledger.damage import was_left_open
from batchsearch.storage.output_layout import LEDGER
from batchsearch.storage.parts.part_files import HITS, RESULTS, part_number
from batchsearch.storage.sealed_part import CURRENT, HISTORY, STAGED, Place

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.sealed_part import SealedPart

NEXT: Final = ".next"
"""What the name of a folder ends with in which the coming parts of a table are built."""

TABLES: Final = (RESULTS, HITS)

_HEAD_BYTES: Final = 100


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
    def of(cls, parts: Sequence[SealedPart], *, next_part: int, switching: bool = False) -> Inventory:
        """The inventory of all parts that a ledger has.

        Args:
            parts: What is sealed, in the order of their outcomes.
            next_part: Number that the next part gets.
            switching: Those that stay, and no others, are to be the current ones.
        """
        files: list[SealedFile] = []
        for part in parts:
            place: Place = CURRENT if switching and part.stays else part.place
            if place == HISTORY:
                files.append(SealedFile(RESULTS, place, part.name, part.rows, part.results_sha256))
            elif place == STAGED or (place == CURRENT and (part.stays or not switching)):
                files.append(SealedFile(RESULTS, place, part.name, part.rows, part.results_sha256))
                files.append(SealedFile(HITS, place, part.name, part.hits, part.hits_sha256))
        leaving = {part.name for part in parts if switching and part.place == CURRENT and not part.stays}
        return cls(tuple(files), next_part, switching, frozenset(leaving))

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
    switching = ledger.coming() is not None
    return Inventory.of(ledger.all_parts(), next_part=ledger.next_part(), switching=switching)


def has_ledger(folder: Path) -> bool:
    """Whether a folder has a ledger that says anything: not one that is empty or has no table yet."""
    path = folder / LEDGER
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if was_left_open(path):
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
