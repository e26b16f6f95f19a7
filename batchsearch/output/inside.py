"""The runs inside a dedup's output folder: each has an output folder of its own there."""

from __future__ import annotations

from typing import Final

SEARCH: Final = "search"
SYNC: Final = "sync"
UPKEEP: Final = {"add": f"{SYNC}/add", "update": f"{SYNC}/update", "delete": f"{SYNC}/delete"}
"""Folder of the run behind each `dedup.sync`."""

FOLLOWED: Final = "judgements-followed.csv"
"""File of a dedup's folder with the judgements that its last night followed, each pair once."""

INSIDE: Final = (SEARCH, *UPKEEP.values(), SYNC)
"""Where runs can be; the last is where version 0.1.0 had its one upkeep."""
