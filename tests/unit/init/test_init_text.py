"""The text of a first job file."""

import pytest
import yaml

from batchsearch.config.document import parse_document
from batchsearch.config.sections.compare_settings import CompareSettings
from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.tasks.init.job_text import Line, job_text


@pytest.mark.parametrize(
    "value",
    [
        *("a", "", "yes", "0123", "1e3", "a: b", "# no", "x\ny", "é", "\x07", "'\"", "\U0001f600", "a, b]"),
        *("[x", "12:30", "=", None, True, 5, 0.5, [1, "b"]),
    ],
)
def test_values_come_back_as_they_were(value):
    """Whatever a column is called, the job file says exactly that, on one line."""
    text = job_text(["Title"], [Line("parameters.filter", value)])
    assert parse_document(text, "job").root == {"parameters": {"filter": value}}
    assert text.count("\n") == text.rstrip("\n").count("\n") + 1


def test_each_setting_stands_below_its_own_description():
    """The words are those of the settings: they cannot go stale."""
    text = job_text([], [Line("calls.signing", "v3", "And this.")])
    lines = [line.strip() for line in text.splitlines()]
    assert "# How requests are signed: ACS3-HMAC-SHA256 (`v3`) or RPC HMAC-SHA1 (`v1`)." in lines
    assert lines[-2:] == ["# And this.", "signing: v3"]


def test_a_setting_that_is_gone_is_an_error():
    """A template that names what no job file has does not reach anybody."""
    with pytest.raises(KeyError, match=r"calls\.no_such"):
        job_text([], [Line("calls.no_such", 1)])


def test_a_section_of_which_nothing_is_set_is_a_comment():
    """Without the `# ` before each of its lines it is a section that loads."""
    lines = [
        Line("operation", "x"),
        Line("window.start", "22:00", active=False),
        Line("window.tz", "UTC", active=False),
    ]
    text = job_text([], lines)
    assert yaml.safe_load(text) == {"operation": "x"}
    begins = text.index("# # When calls")
    uncommented = "\n".join(line.removeprefix("# ") for line in text[begins:].splitlines())
    assert yaml.safe_load(uncommented) == {"window": {"start": "22:00", "tz": "UTC"}}


@pytest.mark.parametrize("model", [CompareSettings, DedupSettings])
def test_sections_of_their_own_are_written_whole(model, tmp_path):
    """Every setting of `compare` and `dedup` is in the file, set or as a comment, under its description."""
    from batchsearch.tasks.init.starting import start

    kind = "compare" if model is CompareSettings else "dedup"
    text = start(None, kind, tmp_path / "job.yaml").file.read_text(encoding="utf-8")
    for name in model.model_fields:
        assert f"  {name}: " in text or f"  # {name}: " in text, name
