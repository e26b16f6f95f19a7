"""Puts the rigs on the path, and its fixtures at hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))

from crash_rig.fixtures import campaign, jobs, runs, world

__all__ = ["campaign", "jobs", "runs", "world"]
