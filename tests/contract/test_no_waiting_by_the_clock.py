"""Tests wait for what they wait for: a fixed time is too short on a busy machine, too long on any other."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
SUITES = ("unit", "integration", "contract", "thorough", "rigs", "airflow")
FILES = sorted(path for suite in SUITES for path in (TESTS / suite).rglob("*.py") if path != Path(__file__))
VIRTUAL_TIME = "pacing_virtual_time"
SCRIPT = re.compile(r"\btime\.sleep\(")


def findings(text):
    """Lines that let time pass: sleeping, and waits whose running out is taken for what was waited for."""
    tree = ast.parse(text)
    virtual = VIRTUAL_TIME in text
    polling = {
        id(inner)
        for loop in ast.walk(tree)
        if isinstance(loop, ast.While) and not isinstance(loop.test, ast.Constant)
        for inner in ast.walk(loop)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SCRIPT.search(node.value):
            yield node.lineno
        if isinstance(node, ast.Attribute | ast.Name):
            name = ast.unparse(node)
            if name.endswith("TimeoutExpired"):
                yield node.lineno
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        polls = id(node) in polling
        if name == "time.sleep" and not polls:
            yield node.lineno
        waits = not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        if name == "asyncio.sleep" and waits and not polls and not virtual:
            yield node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_waits_by_the_clock(path):
    """Sleeping is for loops that look for an event, and for loops whose time is virtual."""
    assert not sorted(findings(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "time.sleep(1)",
        "async def f():\n    await asyncio.sleep(0.01)",
        "while True:\n    time.sleep(1)",
        "with suppress(subprocess.TimeoutExpired):\n    process.wait(3)",
        "child('import time; time.sleep(600)')",
    ],
)
def test_a_pause_would_be_found(text):
    """Each way to wait by the clock that was ever here is found."""
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    ["async def f():\n    await asyncio.sleep(0)", "while not there():\n    time.sleep(0.02)"],
)
def test_looking_for_an_event_is_allowed(text):
    """Letting others run, and asking again until it is so, are no pauses."""
    assert not list(findings(text))
