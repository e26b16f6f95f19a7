"""A summary read back from its record: what it told once, it tells again; what is none is none."""

import json

import pytest

from batchsearch.telemetry.summary import Summary, Truth, ending_words, summary_of

TOLD = Summary(
    exit_code=4,
    run_id="r1",
    operation="SearchImageByPic",
    instance="demo",
    rows=10,
    others=3,
    done=9,
    resumed=2,
    ok=7,
    failed=2,
    codes={"PicNotExist": 2},
    calls=11,
    denied=1,
    retries=2,
    coalesced=1,
    reused=1,
    hits=20,
    seconds=1.5,
    calls_per_second=4.9,
    tier=5.0,
    results="out/results",
    hits_folder="out/hits",
    message="the window has closed",
    left_out={"where": 4},
    truth=Truth(5, 4, 3, 3, (("k", "a", "b"),)),
    ended_by={"code": "NoPermission"},
)


def test_a_summary_is_told_again_as_it_was():
    """Its record has every line of its page, but for what people are told of codes."""
    again = summary_of(json.loads(TOLD.as_json()))
    assert again == TOLD
    assert again.as_text() == TOLD.as_text()


def test_fields_of_another_version_are_left_out():
    """A record of a later version is read as far as it is known."""
    assert summary_of(TOLD.as_dict() | {"mood": "good"}) == TOLD


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": "many"},
        {"rows": True},
        {"exit_code": None},
        {"codes": ["x"]},
        {"codes": {"x": "y"}},
        {"truth": {"surprises": [1]}},
        {"truth": {"outcomes_expected": 1}},
        {"left_out": 5},
        {"seconds": "1"},
    ],
)
def test_what_is_no_summary_is_none(changes):
    """A record that somebody has changed tells nothing, and stops nobody."""
    assert summary_of(TOLD.as_dict() | changes) is None


def test_a_record_without_its_counts_is_none():
    """A record of something else tells nothing."""
    assert summary_of({}) is None
    assert summary_of({"exit_code": 0, "night": "n1"}) is None


def test_an_exit_code_of_another_version_has_words():
    """Whatever a run ended with can be told."""
    assert ending_words(99) == "ended with exit code 99"
