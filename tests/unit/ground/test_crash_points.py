"""The places at which a test may end the process: closed names, and nothing at all when they are off."""

import ast
import re
import signal
from pathlib import Path

import pytest
from run_rig import program

import batchsearch
from batchsearch import crash_points

PACKAGE = Path(batchsearch.__file__).parent


def names_in_use():
    """Every name that the package passes to `reached`; a part that varies is a pattern."""
    names = set()
    texts = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    for text in (text for text in texts if "crash_points" in text):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_points.reached":
                (argument,) = node.args
                parts = [argument] if isinstance(argument, ast.Constant) else argument.values
                texts = [
                    re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in parts
                ]
                names.add("".join(texts))
    return names


def test_every_place_is_in_the_table_and_every_entry_is_a_place():
    """The code passes exactly the places that the table describes."""
    patterns = names_in_use()
    for pattern in patterns:
        assert any(re.fullmatch(pattern, name) for name in crash_points.POINTS), pattern
    for name in crash_points.POINTS:
        assert any(re.fullmatch(pattern, name) for pattern in patterns), name


def run(code, crash_at):
    return program("-c", code, env={"BATCHSEARCH_CRASH_AT": crash_at, "PYTHONPATH": str(PACKAGE.parent)})


PASSES = """
from batchsearch import crash_points
for number in range(3):
    print(number, flush=True)
    crash_points.reached("part_sync")
    crash_points.reached("part_rename")
"""


def test_the_process_dies_by_sigkill_at_the_chosen_time():
    """The so-manieth time at a place ends the process, not earlier, and by a signal that nothing catches."""
    ran = run(PASSES, "part_rename:2")
    assert (ran.returncode, ran.stdout.split()) == (-signal.SIGKILL, ["0", "1"])
    ran = run(PASSES, "part_rename:3,part_sync:1")
    assert (ran.returncode, ran.stdout.split()) == (-signal.SIGKILL, ["0"])


def test_nothing_happens_when_they_are_off():
    """Without the variable, and with places that are not passed so often, the process lives."""
    for crash_at in ("", "part_rename:4"):
        ran = run(PASSES, crash_at)
        assert (ran.returncode, ran.stdout.split()) == (0, ["0", "1", "2"])


@pytest.mark.parametrize(
    "text", ["nowhere:1", "part_sync", "part_sync:0", "part_sync:x", "part_sync:1,", ":1"]
)
def test_a_name_or_count_that_is_none_is_refused(text):
    """A misspelt place would never be reached, and its test would prove nothing."""
    with pytest.raises(ValueError, match="BATCHSEARCH_CRASH_AT"):
        crash_points.arm(text)
