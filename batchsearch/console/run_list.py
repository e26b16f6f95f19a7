"""The output folders below a folder, and how each stands; a browser names one of them, never a path."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.errors import BatchsearchError
from batchsearch.storage.output_layout import COMPARE_RECORD, DEDUP_RECORD, LEDGER, SEARCH, teller_of
from batchsearch.tasks.status.run_status import STATES, look_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from batchsearch.tasks.status.run_status import RunStatus

MOST: Final = 100
MOST_VISITED: Final = 5_000
"""Folders that are looked into: the one around an output may be a whole home."""
_DEEPEST: Final = 3


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """An output folder.

    Attributes:
        id: Names it in addresses.
        path: Where it is.
        kind: `dedup`, `compare` or `run`.
        states: How its runs stand, each in a sentence.
        summary: The last run's, where there is one.
        is_running: A run works there.
        trouble: Why nothing can be said of it.
    """

    id: str
    path: Path
    kind: str
    states: tuple[tuple[str, str], ...]
    summary: dict[str, object]
    is_running: bool
    trouble: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.path.name


def output_folders(below: Path, now: datetime) -> list[OutputFolder]:
    """The output folders at or below a folder, by name.

    Args:
        below: The folder.
        now: Wall clock, UTC.
    """
    left = [MOST_VISITED]
    found = zip(_found(below, _DEEPEST, left), range(MOST), strict=False)
    return [_looked_at(path, now) for path, _ in found]


def _found(folder: Path, depth: int, left: list[int]) -> Iterator[Path]:
    """Output folders, looked for in no more folders than are left."""
    left[0] -= 1
    if (
        (folder / DEDUP_RECORD).is_file()
        or teller_of(folder).is_file()
        or (folder / SEARCH / LEDGER).is_file()
    ):
        yield folder
        return
    if not depth:
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(each.name for each in entries if each.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names:
        if left[0] > 0 and not name.startswith("."):
            yield from _found(folder / name, depth - 1, left)


def _looked_at(path: Path, now: datetime) -> OutputFolder:
    kind = "dedup" if (path / DEDUP_RECORD).is_file() else "run"
    kind = "compare" if (path / COMPARE_RECORD).is_file() else kind
    name = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    try:
        found = look_at(path, now)
    except BatchsearchError as error:
        return OutputFolder(name, path, kind, (), {}, is_running=False, trouble=str(error))
    states = tuple((each.state, STATES[each.state]) for each in found)
    summary = next((dict(each.summary) for each in found if each.summary), {})
    return OutputFolder(name, path, kind, states, summary, is_running=any(map(_runs, found)))


def _runs(status: RunStatus) -> bool:
    return status.state in {"opening", "running", "silent"}
