"""Whether the files of an output folder are those that were sealed.

A look at every footer tells most damage; that a file is another one, only its content tells. So contents are
read once, and what was found is kept in `ledger/checked.json` with the file's size, time and inode: as long
as those stay the same, the file is not read again. That file only spares time: without it, all is read.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.errors import OutputError
from batchsearch.publish import write_text
from batchsearch.storage.file_sum import sha256_of
from batchsearch.storage.output_layout import CHECKED, record_in
from batchsearch.storage.parts.parquet_table import damage_of
from batchsearch.storage.sealed_part import CURRENT

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.storage.sealed.inventory import Inventory

MISSING: Final = "part_missing"
UNREADABLE: Final = "part_unreadable"
ROWS: Final = "part_rows"
CHANGED: Final = "part_changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """A sealed file that is not what was sealed.

    Attributes:
        kind: `part_missing`, `part_unreadable`, `part_rows` or `part_changed`, as `batchsearch verify` says.
        path: Below the output folder, with slashes.
        what: What is wrong with it.
        rows: How many it was sealed with.
    """

    kind: str
    path: str
    what: str
    rows: int

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class CheckedFiles:
    """Files whose content was found to be what was sealed, and what tells that they are still the same.

    Args:
        folder: The output folder.
        copied: The folder may be a copy, whose files have the times of the first ones and not their inodes.
    """

    def __init__(self, folder: Path, *, copied: bool = False) -> None:
        self._folder = folder
        self._copied = copied
        self._before: dict[str, list[int | str]] = record_in(folder / CHECKED) or {}
        self._now: dict[str, list[int | str]] = {}

    def is_what(self, path: Path, sha256: str) -> bool:
        """Whether a file's content has this SHA-256.

        Raises:
            OSError: It cannot be read.
        """
        about = path.stat()
        name = path.relative_to(self._folder).as_posix()
        mark: list[int | str] = [about.st_size, about.st_mtime_ns, about.st_ino, sha256]
        if not self._is_known(self._before.get(name), mark) and sha256_of(path) != sha256:
            return False
        self._now[name] = mark
        return True

    def _is_known(self, before: object, mark: list[int | str]) -> bool:
        if self._copied and isinstance(before, list):
            return before[:2] == mark[:2] and before[3:] == mark[3:]
        return before == mark

    def keep(self) -> None:
        """Note what is known now; a disk that refuses costs no more than time."""
        if self._now == self._before:
            return
        place = self._folder / CHECKED
        with suppress(OutputError):
            write_text(place, json.dumps(self._now))


def differences(
    folder: Path,
    inventory: Inventory,
    checked: CheckedFiles | None = None,
    *,
    contents: bool = True,
    only_seen: bool = False,
) -> list[Difference]:
    """What is wrong with the sealed files of an output folder; empty when nothing is.

    Args:
        folder: The output folder.
        inventory: What is sealed there.
        checked: Knows files whose content was read before.
        contents: Compare contents too; without, two footers a part are read.
        only_seen: Only the files that readers see.
    """
    known = CheckedFiles(folder) if checked is None else checked
    found = []
    for file in inventory.files:
        if only_seen and file.place != CURRENT:
            continue
        path = inventory.where(folder, file)
        if not path.exists():
            found.append(Difference(MISSING, file.path, "is not there", file.rows))
            continue
        wrong = damage_of(path, file.rows)
        if wrong is not None:
            kind = ROWS if wrong.startswith("has ") else UNREADABLE
            found.append(Difference(kind, file.path, wrong, file.rows))
        elif contents:
            wrong = _changed(path, file.sha256, known)
            if wrong is not None:
                found.append(Difference(CHANGED, file.path, wrong, file.rows))
    return found


def _changed(path: Path, sha256: str, checked: CheckedFiles) -> str | None:
    try:
        if checked.is_what(path, sha256):
            return None
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return f"is not what was sealed: its SHA-256 is not {sha256[:12]}…"
