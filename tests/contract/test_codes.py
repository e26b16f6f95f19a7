"""The table of codes holds every code of the pages and lists, with what they say about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batchsearch.service.codes.lookup import code_for
from batchsearch.service.codes.page import codes_page
from batchsearch.service.codes.table import CODES

_DATA = Path(__file__).parent / "data"
_LISTED = json.loads((_DATA / "errors_2020-12-14.json").read_text(encoding="utf-8"))["ops"]
_PAGES = json.loads((_DATA / "page_codes.json").read_text(encoding="utf-8"))["pages"]
_GATEWAY = json.loads((_DATA / "gateway_codes.json").read_text(encoding="utf-8"))["codes"]
_ROWS = [(where, row) for table in (_LISTED, _PAGES) for where, rows in table.items() for row in rows]


def test_the_sources_are_whole():
    """The copies in the tests have the sizes of the sources, so that no code can be lost with them."""
    assert len({row["code"] for _, row in _ROWS}) == 83
    assert {page: len(rows) for page, rows in _PAGES.items()} == {
        "CompareSimilarByImage.2026-01.zh.txt": 39,
        "ImageQuery.2026-01.en.txt": 0,
        "SearchImageByName.2023-09.en.txt": 26,
        "SearchImageByPic.2023-08.zh.txt": 27,
        "SearchImageByPic.2025-05.en.txt": 37,
    }


@pytest.mark.parametrize("where", [*_LISTED, *_PAGES])
def test_no_documented_code_is_missing(where):
    """Every row of every list is in the table under its own name, with its status and its text."""
    for row in (row for place, row in _ROWS if place == where):
        entry = CODES[row["code"]]
        assert row["http"] in entry.statuses, row
        assert row["message"].strip("\u200b") in entry.messages, row


@pytest.mark.parametrize("row", _GATEWAY, ids=lambda row: row["code"])
def test_gateway_codes(row):
    """Every gateway code is known by itself or as one of a family, with the statuses that are known."""
    entry = code_for(row["code"], row["http"][0] if row["http"] else 400)
    assert entry.name == row["code"]
    assert entry.meaning != code_for("Nobody.Knows", 400).meaning
    known = CODES.get(row["code"], entry)
    assert set(row["http"]) <= set(known.statuses)


@pytest.mark.parametrize("code", list(CODES.values()), ids=lambda code: code.name)
def test_every_entry_says_what_to_do(code):
    """Meaning and advice are sentences, and statuses are error statuses (200 for in-body failures)."""
    assert code.meaning.endswith(".")
    assert code.advice.endswith(".")
    assert all(status == 200 or 400 <= status < 600 for status in code.statuses)


def test_the_table_has_every_code():
    """The table for docs/codes.md names each code once."""
    text = codes_page()
    for name in CODES:
        assert text.count(f"\n| `{name}` |") == 1


def test_local_codes_prevent_known_codes():
    """What a local code claims to prevent is a code of the service."""
    assert {code.prevents for code in CODES.values()} - {None} <= CODES.keys()
