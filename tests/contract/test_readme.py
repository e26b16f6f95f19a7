"""The README is short and readable; the tables that it links are what the code says now.

Run this file as a script to write the tables anew: `python tests/contract/test_readme.py`.
"""

import re
from pathlib import Path

import pytest
import summary

from batchsearch.child.ending import Ended, meaning_of
from batchsearch.cli import cli
from batchsearch.errors import ConfigError, ExitCode
from batchsearch.service.codes.lookup import explain
from batchsearch.service.codes.page import codes_page

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODES = ROOT / "docs" / "codes.md"
GENERATED = re.compile(r"(<!-- error codes: begin -->\n)(.*?)(<!-- error codes: end -->)", re.DOTALL)
SECTIONS = [
    "Find duplicates in your export",
    "Search an instance that you bought",
    "Every night in production",
    "In a notebook",
    "Compare images, pair by pair",
    "The embedded instance",
    "How fast it is",
    "Tests",
    "Licence",
]


def exit_codes_of(text):
    """What a table of exit codes says of running again, by code; a row may have several."""
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \|[^|]*\| (yes|no)\b", text, re.MULTILINE)
    return {int(code): again for codes, again in rows for code in codes.split(", ")}


def test_it_is_short():
    """README.md has at most 20 KB: what is longer belongs to docs/."""
    assert len(README.encode()) <= 20_000


def test_it_is_ordered_by_what_users_want():
    """The second section finds duplicates, and the others follow by user."""
    assert re.findall(r"^## (.*)$", README, re.MULTILINE) == SECTIONS


def test_a_narrow_terminal_shows_it_whole():
    """No line of README.md is longer than 80 columns, examples included."""
    assert [line for line in README.splitlines() if len(line) > 80] == []


def test_the_word_is_image():
    """In sentences README.md says image; the other word is left to what is named so."""
    prose = re.sub(r"```.*?```|`[^`]*`", "", README, flags=re.DOTALL)
    assert re.findall(r"(?i)\bpictures?\b", prose) == []


def test_the_table_of_codes_is_current():
    """docs/codes.md holds what `batchsearch codes` prints."""
    found = GENERATED.search(CODES.read_text(encoding="utf-8"))
    assert found.group(2) == codes_page() + "\n"


def test_the_tables_of_speed_say_what_was_measured():
    """README.md and docs/measurements.md hold the table of docs/speed.json."""
    assert summary.kept()
    for document, table in summary.DOCUMENTS.items():
        found = summary.MARKED.search(document.read_text(encoding="utf-8"))
        assert found.group(2) == table()


@pytest.mark.parametrize("page", ["README.md", "docs/exit-codes.md"])
def test_every_exit_code_is_listed(page):
    """Each exit code is in the table, and whether to run again is what a scheduler is told."""
    said = exit_codes_of((ROOT / page).read_text(encoding="utf-8"))
    told = {"again": "yes", "done": "no", "final": "no"}
    assert said == {int(code): told[meaning_of(Ended(int(code)))] for code in ExitCode}


def test_help_lists_every_exit_code():
    """`batchsearch --help` names each exit code."""
    for code in ExitCode:
        assert re.search(rf"\b{int(code)}  ", cli.epilog)


@pytest.mark.parametrize(
    "code", ["Local.ImageTooSmall", "Local.InvalidRegion", "DeniedRequest", "Throttling.User"]
)
def test_a_code_is_explained(code):
    """Meaning, owner and advice of any known code, members of families included."""
    text = explain(code)
    assert text.startswith(f"{code}: ")
    assert "owner" in text
    assert "advice" in text


def test_an_unknown_code_is_not_explained_away():
    """A mistyped code is told so, with the nearest one."""
    with pytest.raises(ConfigError, match=r"did you mean .?DeniedRequest"):
        explain("DeniedRequests")


if __name__ == "__main__":
    page = CODES.read_text(encoding="utf-8")
    CODES.write_text(
        GENERATED.sub(lambda found: f"{found[1]}{codes_page()}\n{found[3]}", page), encoding="utf-8"
    )
