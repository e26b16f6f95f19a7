"""The README's generated parts are what the code says now."""

import re
from pathlib import Path

import pytest

from batchsearch.cli import cli
from batchsearch.engine.codes import codes_page, explain
from batchsearch.errors import ConfigError, ExitCode

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_codes_is_current():
    """README.md holds what `batchsearch codes` prints."""
    found = re.search(r"<!-- error codes: begin -->\n(.*?)<!-- error codes: end -->", README, re.DOTALL)
    assert found.group(1) == codes_page() + "\n"


def test_every_exit_code_is_listed():
    """README.md and `--help` name each exit code."""
    for code in ExitCode:
        assert f"| {int(code)} |" in README
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
