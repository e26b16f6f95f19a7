"""Puts the crash tests' rig on the path: it knows what two runs must agree on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "crash"))
