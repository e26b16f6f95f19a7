"""The console's own files: what they weigh, and what their pure parts do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import batchsearch
from batchsearch.console.screens.change_screen import CHANGES
from batchsearch.console.screens.search_screen import SEARCHES
from batchsearch.service.operations import OPERATIONS

PACKAGE = Path(batchsearch.__file__).parent
ASSETS = [*(PACKAGE / "console" / "assets").iterdir(), *(PACKAGE / "pages" / "assets").iterdir()]
NODE = shutil.which("node")


@pytest.mark.skipif(
    NODE is None, reason="needs Node.js, whose test runner runs the pure parts of the scripts"
)
def test_the_pure_parts_of_the_scripts_hold():
    """Coordinates and completion do what their tests beside this file say, by node's own test runner."""
    ran = subprocess.run(
        [NODE, "--test", "--test-reporter=tap", *sorted(map(str, Path(__file__).parent.glob("*.test.mjs")))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^# pass \d+", ran.stdout, re.MULTILINE)


def test_pages_stay_light():
    """All scripts stay below 60 kB, all styles below 25 kB, and nothing in them names another host."""
    scripts = [path for path in ASSETS if path.suffix == ".js"]
    styles = [path for path in ASSETS if path.suffix == ".css"]
    assert 10_000 < sum(path.stat().st_size for path in scripts) < 60_000
    assert 5_000 < sum(path.stat().st_size for path in styles) < 25_000
    for path in (*scripts, *styles):
        assert not re.findall(r"https?://(?!www\.w3\.org/)", path.read_text(encoding="utf-8")), path


def test_every_operation_with_a_form_is_one():
    """The screens' operations are the service's own."""
    assert {*SEARCHES, *CHANGES.values()} <= set(OPERATIONS)
