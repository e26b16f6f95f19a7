"""The list of events is closed, and nothing in it is dead."""

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

import batchsearch
from batchsearch.cli import cli
from batchsearch.telemetry.logs import EVENTS, configure, logger

PACKAGE = Path(batchsearch.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def is_logger(node):
    """`log`, `_log`, `self._log` or `logger()`."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "logger"
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.strip("_") in ("log", "logger")


def texts_of(node, function):
    """Every text that an expression can be: a constant, either side of a condition, or a name's values."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, function) | texts_of(node.orelse, function)
    if isinstance(node, ast.Name):
        assigned = [
            each.value
            for each in ast.walk(function)
            if isinstance(each, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)
        ]
        assert assigned, f"line {node.lineno}: where {node.id} comes from cannot be seen"
        return set().union(*(texts_of(value, function) for value in assigned))
    raise AssertionError(f"line {node.lineno}: an event's name must be a text that can be read here")


def logged(source):
    """The names of all events that a module logs."""
    found = set()
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and is_logger(node.func.value)
            ):
                found |= texts_of(node.args[0], function)
    return found


def test_every_event_that_is_logged_is_listed_and_every_listed_one_is_logged():
    """A new name needs its line in EVENTS; a line that nobody logs any more goes."""
    # What the Airflow part logs goes to Airflow's own log of the task.
    modules = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "airflow"]
    found = set().union(*(logged(path.read_text(encoding="utf-8")) for path in modules))
    assert len(found) > 15
    assert found - set(EVENTS) == set()
    assert set(EVENTS) - found == set()


def test_the_search_for_events_sees_each_way_of_naming_one():
    """The test above can fail: conditions and names are followed, what cannot be followed is refused."""
    source = "def f(self, x):\n e = 'a' if x else 'b'\n self._log.debug(e)\n logger().info('c')\n"
    assert logged(source) == {"a", "b", "c"}
    with pytest.raises(AssertionError, match="cannot be seen"):
        logged("def f(log, e):\n log.info(e)\n")


def test_an_unlisted_event_is_refused_at_once():
    """Also a name that is only made while it runs cannot slip through."""
    configure("json", "info", {})
    with pytest.raises(KeyError, match="no_such_event"):
        logger().info("no_such_event")


def test_the_command_lists_every_event_with_its_meaning():
    """`batchsearch events` is the document of the list."""
    listed = CliRunner().invoke(cli, ["events"]).output
    assert [line.split("`")[1] for line in listed.splitlines()[2:]] == list(EVENTS)
    assert all(meaning in listed for meaning in EVENTS.values())
