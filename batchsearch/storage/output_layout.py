"""Where an output folder has its files, and that of a dedup or a comparison its records, tables and runs.

Each run inside a dedup's folder has an output folder of its own there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from batchsearch.errors import ConfigError

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


def runs_in(folder: Path) -> list[Path]:
    """The output folders of runs that a folder means: itself, or those inside the folder of a dedup."""
    return [place for place in (folder, *(folder / name for name in INSIDE)) if (place / LEDGER).is_file()]


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
