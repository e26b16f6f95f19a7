"""Which failures a corrected setting asks for again."""

import pytest

from batchsearch.config.model import JobSettings
from batchsearch.config.shape import shape_of
from batchsearch.engine.renewal.mending import CAUSES, Mended, causes_as_markdown, mended, only_mends
from batchsearch.service.codes.table import CODES

KNOWN = set(CODES)


def test_causes_name_codes_that_there_are():
    """Every code of the table stands in a table of codes."""
    assert set(CAUSES) <= KNOWN


@pytest.mark.parametrize("name", sorted({name for names in CAUSES.values() for name in names}))
def test_causes_name_settings_that_there_are(name):
    """Every setting of the table is one of a job file."""
    shape = shape_of(JobSettings)
    for step in name.split("."):
        shape = shape.child(step)
        assert shape is not None, name


def test_only_the_codes_of_a_changed_setting_may_pass():
    """A corrected setting mends the codes that name it, and no others; equal settings mend nothing."""
    before = {"images": {"allow_hosts": [], "root": "/a"}, "codes": {}}
    assert mended(before, before) == Mended()
    found = mended(before, {"images": {"allow_hosts": ["cdn"], "root": "/a"}, "codes": {}})
    assert found.settings == ("images.allow_hosts",)
    assert found.may_pass("Local.ImageAddressRefused")
    assert not found.may_pass("Local.ImageMissing")


def test_settings_that_an_earlier_version_did_not_know_mend_nothing():
    """A setting that is new, with its default, is no correction; nor is a job that nobody knows."""
    assert mended({"images": {"root": "/a"}}, {"images": {"root": "/a", "allow_hosts": []}}) == Mended()
    assert mended({}, {"images": {"root": "/b"}}) == Mended()


def test_actions_mend_their_own_codes():
    """An action given or taken back asks for the rows of its code or family of codes."""
    found = mended({"codes": {"A": "retry"}}, {"codes": {"A": "retry", "Picture*": "retry"}})
    assert found.settings == ("codes.Picture*",)
    assert found.may_pass("PictureError")
    assert not found.may_pass("A")


@pytest.mark.parametrize(
    ("name", "before", "now", "expected"),
    [
        ("images.too_small", "reject", "pad", True),
        ("images.too_small", "pad", "enlarge", False),
        ("images.blank", "lost", "send", True),
        ("images.blank", "send", "lost", False),
        ("images.verify", "decode", "none", True),
        ("images.max_megapixels", 80, 40, True),
        ("images.quality", 90, 80, False),
    ],
)
def test_what_was_answered_stays_when_a_rule_is_loosened(name, before, now, expected):
    """A rule that refuses less touches no row that has an answer; one that sends another image does."""
    assert only_mends(name, before, now) is expected


def test_the_documentation_has_the_table():
    """The page on changes shows which setting asks for which rows again, as the code has it."""
    from pathlib import Path

    page = Path(__file__, "../../../../docs/what-may-change.md").resolve().read_text(encoding="utf-8")
    assert causes_as_markdown() in page
