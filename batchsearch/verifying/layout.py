"""Where the files of an output folder are: the parts that readers see, and those beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.output.parts import HITS, RESULTS
from batchsearch.verifying import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchsearch.verifying.ledger_view import LedgerView, SealedPart

STAGED: Final = "staged"
HISTORY: Final = "history"
_NEXT: Final = ".next"
_OURS: Final = "part-"


@dataclass(frozen=True, slots=True)
class Reading:
    """A sealed part, and where it is.

    Attributes:
        part: What the ledger says of it.
        results: Its file of results.
        hits: Its file of hits; None when it has none.
        source: What its rows are: `records.RESULTS`; `records.PENDING` for outcomes that readers do not see
            yet; None for such that are past.
    """

    part: SealedPart
    results: Path
    hits: Path | None
    source: int | None


def readings(folder: Path, view: LedgerView) -> list[Reading]:
    """Every sealed part with its place.

    While generations are being exchanged, the coming one counts: the exchange is always finished, and its
    files are in the folders that readers see, or still beside them.
    """
    found = []
    for part in view.parts:
        if part.place == HISTORY:
            found.append(Reading(part, folder / HISTORY / part.name, None, None))
        elif view.switching:
            if part.stays:
                seen = [_either(folder, table, part.name) for table in (RESULTS, HITS)]
                found.append(Reading(part, seen[0], seen[1], records.RESULTS))
        elif part.place == STAGED:
            below = folder / STAGED
            found.append(
                Reading(part, below / RESULTS / part.name, below / HITS / part.name, records.PENDING)
            )
        else:
            found.append(
                Reading(part, folder / RESULTS / part.name, folder / HITS / part.name, records.RESULTS)
            )
    return found


def _either(folder: Path, table: str, name: str) -> Path:
    seen, beside = folder / table / name, folder / (table + _NEXT) / name
    return beside if beside.exists() and not seen.exists() else seen


def unsealed(folder: Path, view: LedgerView) -> Iterator[tuple[str, str]]:
    """Everything beside the sealed files: the kind of finding when no run is going on, and its name.

    Raises:
        OSError: A folder cannot be read.
    """
    if view.switching:
        return
    for below, place in (("", "current"), (STAGED, STAGED)):
        sealed = {part.name for part in view.parts if part.place == place}
        for table in (RESULTS, HITS):
            for path in _listed(folder / below / table):
                if path.name not in sealed:
                    yield _kind(path), str(path.relative_to(folder))
    sealed = {part.name for part in view.parts if part.place == HISTORY}
    for path in _listed(folder / HISTORY):
        if path.name not in sealed:
            yield _kind(path), str(path.relative_to(folder))
    for table in (RESULTS, HITS):
        for path in folder.glob(f"{table}{_NEXT}*"):
            yield "leftover", path.name


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _kind(path: Path) -> str:
    if path.name.startswith(_OURS):
        return "leftover"
    is_read = path.suffix == ".parquet" and not path.name.startswith(".")
    return "stray_table" if is_read else "stray_file"
