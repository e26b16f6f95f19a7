"""Files beside the sealed ones: what an interrupted run can have left, and what this ledger cannot know.

A run seals one part after the other. Killed in between, it leaves temporary files, or the one next part,
whose outcomes all still wait in the ledger; an exchange of parts leaves folders beside those seen by readers.
Anything else that is called as parts are was sealed by a ledger that is not this one: a newer one that an
older copy has replaced, or one that was lost. That is never touched.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.publish import make_folder, sync_path
from batchsearch.storage.parts.part_files import HITS, RESULTS, is_part, part_number
from batchsearch.storage.sealed.inventory import NEXT, TABLES
from batchsearch.storage.sealed_part import CURRENT, HISTORY, STAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from batchsearch.storage.sealed.inventory import Inventory

SET_ASIDE: Final = "set-aside"
"""Folder for what had to make room; nothing in it is ever read or deleted."""

Why = Literal["temporary", "beside", "adopted", "left", "unknown", "table", "file"]
"""`temporary`: being written when it ended; `beside`: a folder of an exchange; `adopted`: a staged part that
has become current; `left`: the next part, not sealed yet; `unknown`: a part that this ledger cannot know;
`table`: a Parquet file of somebody else's; `file`: any other one."""

_KEYS: Final = ("row_key", "run_id", "earlier_outcomes")


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Something that no seal covers.

    Attributes:
        path: Below the output folder, with slashes.
        why: What it is.
    """

    path: str
    why: Why


class WaitingOutcomes:
    """The outcomes that wait in a ledger for their part; read when first asked for.

    Args:
        results: Gives their results, one JSON object each.
    """

    def __init__(self, results: Callable[[], Iterable[bytes]]) -> None:
        self._results = results
        self._known: set[tuple[str, str | None, int]] | None = None
        self._keys: set[str] = set()

    def _read(self) -> set[tuple[str, str | None, int]]:
        if self._known is None:
            self._known = set()
            for result in self._results():
                values = json.loads(result)
                key = values.get("row_key")
                self._known.add((key, values.get("run_id"), values.get("earlier_outcomes") or 0))
                self._keys.add(key)
        return self._known

    def have(self, path: Path, table: str) -> bool:
        """Whether every row of a part waits here, so that it can be written again."""
        try:
            known = self._read()
            there = set(pq.read_schema(arrow_readable(path)).names)
            columns = [name for name in (_KEYS if table == RESULTS else _KEYS[:1]) if name in there]
            rows = pq.read_table(arrow_readable(path), columns=columns).to_pylist()
        except (OSError, ValueError, pa.ArrowException, KeyError, TypeError):
            return False
        if table == HITS:
            return all(row.get("row_key") in self._keys for row in rows)
        return all(
            (row.get("row_key"), row.get("run_id"), row.get("earlier_outcomes") or 0) in known for row in rows
        )


def unsealed(folder: Path, inventory: Inventory, waiting: WaitingOutcomes) -> Iterator[Unsealed]:
    """Everything beside the sealed files, by folder and name.

    Raises:
        OSError: A folder cannot be read.
        OutputError: The ledger cannot be read.
    """
    for under, known in _known(inventory).items():
        for name in _listed(folder / under):
            if name not in known:
                path = folder / under / name
                yield Unsealed(f"{under}/{name}", _why(folder, path, inventory=inventory, waiting=waiting))
    if inventory.switching:
        return
    for table in TABLES:
        for ending in (NEXT, f"{NEXT}.old"):
            if (folder / (table + ending)).exists():
                yield Unsealed(table + ending, "beside")


def _known(inventory: Inventory) -> dict[str, set[str]]:
    """Names that may be in each folder, by its path below the output folder."""
    current, staged = inventory.names(CURRENT), inventory.names(STAGED)
    if inventory.switching:
        staged |= current
        current |= inventory.leaving
    found = dict.fromkeys(TABLES, current) | {f"{STAGED}/{table}": staged for table in TABLES}
    return found | {HISTORY: inventory.names("history")}


def set_aside(folder: Path, paths: Iterable[str], stamp: str | None = None) -> list[str]:
    """Move files out of the way, into `set-aside/<time>/`; where they are now.

    Args:
        folder: The output folder.
        paths: Below it, with slashes.
        stamp: Name of the folder in there; by the time when absent.

    Raises:
        OSError: The disk refuses.
    """
    room = folder / SET_ASIDE / (stamp or time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    moved, touched = [], set()
    for path in paths:
        source, target = folder / path, room / path
        make_folder(target.parent)
        number = 1
        while target.exists():
            number += 1
            target = room / f"{path}.{number}"
        source.rename(target)
        touched |= {source.parent, target.parent}
        moved.append(target.relative_to(folder).as_posix())
    for parent in touched:
        sync_path(parent)
    return moved


def _why(folder: Path, path: Path, *, inventory: Inventory, waiting: WaitingOutcomes) -> Why:
    number, table = part_number(path.name), path.parent.name
    if number is None:
        return _why_no_part(path.name)
    if path.parent.parent.name == STAGED and path.name in inventory.names(CURRENT):
        return "adopted" if _is_same(path, folder / table / path.name) else "unknown"
    if number != inventory.next_part or not path.is_file():
        return "unknown"
    # Those of history are copies of rows that the current parts still have, for an exchange never noted.
    return "left" if table == HISTORY or waiting.have(path, table) else "unknown"


def _why_no_part(name: str) -> Why:
    if is_part(name):
        return "temporary"
    return "table" if name.endswith(".parquet") and not name.startswith(".") else "file"


def _is_same(path: Path, seen: Path) -> bool:
    try:
        return path.samefile(seen) or path.read_bytes() == seen.read_bytes()
    except OSError:
        return False


def _listed(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return []
