"""What is inside the output folder of a dedup or a comparison: records, tables, and a dedup's own runs.

Each run inside a dedup's folder has an output folder of its own there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SEARCH: Final = "search"
SYNC: Final = "sync"
UPKEEP: Final = {"add": f"{SYNC}/add", "update": f"{SYNC}/update", "delete": f"{SYNC}/delete"}
"""Folder of the run behind each `dedup.sync`."""

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

LEDGER: Final = Path("ledger", "ledger.sqlite3")
"""Where an output folder has its ledger."""


def runs_in(folder: Path) -> list[Path]:
    """The output folders of runs that a folder means: itself, or those inside the folder of a dedup."""
    return [place for place in (folder, *(folder / name for name in INSIDE)) if (place / LEDGER).is_file()]
