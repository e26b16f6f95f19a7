"""The verdicts' columns are a promise: names, order and types are pinned here."""

import json
from pathlib import Path

from batchsearch.storage.parts.verdict_table import VERDICT_COLUMNS, verdicts_schema
from batchsearch.tasks.check.check_page import CheckPage, CheckTally

PINNED = json.loads((Path(__file__).parent / "data" / "verdicts_schema.json").read_text(encoding="utf-8"))


def test_verdict_columns_are_as_pinned():
    """A column of the verdicts appears, vanishes or changes its type only with this file."""
    assert [[field.name, str(field.type)] for field in verdicts_schema()] == PINNED["columns"]


def test_every_verdict_column_says_what_it_means():
    """Each field is documented in the Arrow metadata, and no name appears twice."""
    assert len({column.name for column in VERDICT_COLUMNS}) == len(VERDICT_COLUMNS)
    for field in verdicts_schema():
        assert field.metadata[b"description"].decode().endswith("."), field.name


def test_the_line_of_json_has_the_pinned_names():
    """Schedulers read the summary by these names."""
    page = CheckPage("SearchImageByPic", "generic", 0, CheckTally(), 0.0, "verdicts.parquet", None, {})
    assert list(page.as_dict()) == PINNED["summary"]
