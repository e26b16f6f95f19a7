"""`batchsearch schema`: every table, as it is declared where it is written."""

import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import batchsearch
from batchsearch.cli import cli
from batchsearch.storage.parts.results_and_hits import HIT_COLUMNS, RESULT_COLUMNS, Column
from batchsearch.storage.tables import TABLES


def schema(*arguments):
    ran = CliRunner().invoke(cli, ["schema", *arguments])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def test_every_table_is_listed():
    """Without a name the tables are listed, each with its place."""
    listed = schema()
    for name, table in TABLES.items():
        assert name in listed
        assert table.where in listed
    assert [each["table"] for each in json.loads(schema("--json"))] == list(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_what_its_columns_mean(name):
    """Each has columns, no name twice, and each column a sentence."""
    found = json.loads(schema(name, "--json"))
    names = [column["name"] for column in found["columns"]]
    assert len(names) == len(set(names)) > 3
    assert all(column["description"].endswith(".") and column["type"] for column in found["columns"])
    text = schema(name)
    assert all(f"  {column} " in text for column in names)
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("operation", RESULT_COLUMNS)
def test_results_are_those_of_the_operation(operation):
    """Operations differ in their columns; the schema shows those of the one asked for."""
    found = json.loads(schema("results", "--operation", operation, "--json"))
    assert [column["name"] for column in found["columns"]] == [c.name for c in RESULT_COLUMNS[operation]]
    assert found["operation"] == operation


def test_markdown_is_a_table():
    """One line a column between a head and nothing else, the vendor's names beside ours."""
    lines = schema("hits", "--markdown").splitlines()
    assert len(lines) == 2 + len(HIT_COLUMNS)
    assert {line.count("|") for line in lines} == {5}
    assert "| `product_id` | string | ProductId | Product of the image found. |" in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["result"], "did you mean `results`"),
        (["results", "--operation", "SearchImageByPick"], "did you mean `SearchImageByPic`"),
        (["hits", "--operation", "SearchImageByPic"], "same columns for every operation"),
        (["hits", "--json", "--markdown"], "give one of them"),
    ],
)
def test_wrong_use_is_told(arguments, said):
    """Exit code 64, with the nearest name."""
    ran = CliRunner().invoke(cli, ["schema", *arguments])
    assert ran.exit_code == 64
    assert said in ran.stderr


def test_no_table_is_left_out():
    """Whatever module declares a table's columns in public, the list of tables points there."""
    listed = {(table.module, table.name) for table in TABLES.values()}
    rooms = (
        "batchsearch.storage.parts",
        "batchsearch.tasks.dedup",
        "batchsearch.tasks.compare",
        "batchsearch.tasks.verify",
    )
    for module in pkgutil.walk_packages(batchsearch.__path__, "batchsearch."):
        if not module.name.startswith(rooms):
            continue
        source = Path(module.module_finder.find_spec(module.name).origin).read_text(encoding="utf-8")
        for name in re.findall(r"^([A-Z][A-Z_]*_COLUMNS)\b.*=", source, re.MULTILINE):
            columns = getattr(importlib.import_module(module.name), name)
            columns = next(iter(columns.values())) if isinstance(columns, dict) else columns
            if columns and isinstance(columns[0], Column):
                assert (module.name, name) in listed
