"""Where an output folder has its files, and that of a dedup or a comparison its records, tables and runs.

Each run inside a dedup's folder has an output folder of its own there, and so has each instance of a job
whose instances are worked for in different places.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from batchsearch.errors import ConfigError

_MOST_RECORD_BYTES: Final = 16 * 1024 * 1024

SEARCH: Final = "search"
SYNC: Final = "sync"
UPKEEP: Final = {"add": f"{SYNC}/add", "update": f"{SYNC}/update", "delete": f"{SYNC}/delete"}
"""Folder of the run behind each `dedup.sync`."""

LOAD: Final = "load"
"""Folder of an output folder with what a load keeps: its journal, its staging, the files of failed lines."""

STAGING: Final = f"{LOAD}/staging"
"""Folder of the run of a load that puts images into the bucket."""

NIGHTS: Final = "nights"
"""Folder of a dedup's folder with its earlier nights."""

NIGHT_LOCK: Final = "lock/dedup"
"""File of a dedup's folder that a night holds."""

DEDUP_RECORD: Final = "dedup.json"
"""File of a dedup's folder in which the last night tells of itself and of its tables."""

COMPARED_PAIRS: Final = "compare/pairs.parquet"
"""File of a comparison's folder with the pairs that it makes."""

COMPARE_RECORD: Final = "compare.json"
"""File of a comparison's folder in which it tells of itself and of its tables."""

FOLLOWED: Final = "judgements-followed.csv"
"""File of a dedup's folder with the judgements that its last night followed, each pair once."""

INSIDE: Final = (SEARCH, *UPKEEP.values(), SYNC)
"""Where runs can be; the last is where version 0.1.0 had its one upkeep."""

LEDGER_FOLDER: Final = Path("ledger")
"""Folder of an output folder with the ledger and what goes with it."""

LEDGER: Final = LEDGER_FOLDER / "ledger.sqlite3"
"""Where an output folder has its ledger."""

LOCK: Final = LEDGER_FOLDER / "lock"
"""File of an output folder that a run holds."""

CHECKED: Final = LEDGER_FOLDER / "checked.json"
"""File of an output folder that notes which sealed files were read whole, and how they were then."""

SUMMARY: Final = "summary.json"
"""File of an output folder in which the last run tells how it ended."""


LANE: Final = "instance="
"""What the name of a folder begins with, below an output folder, that holds the rows of one instance."""


def lane_folder(instance: str) -> str:
    """The folder of one instance's rows, by the instance's name; as `hive` partitions are called."""
    return LANE + quote(instance, safe="")


def is_lane(name: str) -> bool:
    """Whether a folder's name is that of the rows of one instance."""
    return name.startswith(LANE) and len(name) > len(LANE)


def instance_of(folder: Path) -> str:
    """The instance whose rows a folder holds."""
    return unquote(folder.name.removeprefix(LANE))


def lanes_in(folder: Path, *, holding: Path = LEDGER) -> list[Path]:
    """The output folders of the instances of one job, where each has its own; empty for any other folder.

    Args:
        folder: The output folder of the whole.
        holding: What a folder has to hold to count.
    """
    if (folder / holding).exists():
        return []
    return sorted(place for place in folder.glob(f"{LANE}?*") if (place / holding).exists())


def runs_in(folder: Path) -> list[Path]:
    """The output folders of runs that a folder means.

    It means itself, or those of its instances where each has one, or those inside the folder of a dedup.
    """
    found: list[Path] = []
    for place in (folder, *(folder / name for name in INSIDE)):
        found += [place] if (place / LEDGER).is_file() else lanes_in(place)
    return found


def teller_of(folder: Path) -> Path:
    """The ledger that tells of the job of one output folder: its own, or that of its first instance."""
    lanes = lanes_in(folder)
    return (lanes[0] if lanes else folder) / LEDGER


class NoOutputError(ConfigError):
    """No job has run at a place."""


def no_output(folder: Path) -> str:
    """What to say of a folder in which no job has run: the same words everywhere."""
    wanted = "give the output folder (`output.dir`) of a job that has run"
    if not folder.exists():
        return f"{folder}: there is no such folder; {wanted}"
    if not folder.is_dir():
        return f"{folder}: is a file; {wanted}"
    inside = _with_runs(folder)
    hint = f"; did you mean {', '.join(map(str, inside))}?" if inside else f"; {wanted}"
    return f"{folder}: no job has run here: {LEDGER} is not there{hint}"


_MOST_MEANT: Final = 3


def _with_runs(folder: Path) -> list[Path]:
    """A few folders right below in which jobs have run."""
    try:
        below = sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:
        return []
    return [child for child in below if runs_in(child)][:_MOST_MEANT]


def record_in(path: Path) -> dict[str, Any] | None:
    """What a file that tells of an output says; None where there is none, or none that can be read."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MOST_RECORD_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
