"""What a job may have changed since its output began."""

import pytest

from batchsearch.engine.digest_set import DigestSet
from batchsearch.engine.job.changes import job_changes, same_instance, ways_on

BEFORE = {
    "operation": "SearchImageByPic",
    "results_per_row": None,
    "manifest.key": ["id"],
    "manifest.columns.image": "photo",
    "instance.name": "shop",
    "instance.endpoint": "https://a",
    "images.quality": 90,
}


def now(**more):
    return {**BEFORE, **{name.replace("__", "."): value for name, value in more.items()}}


@pytest.mark.parametrize(
    ("more", "full", "wanted"),
    [
        ({"results_per_row": 30}, 10, 30),
        ({"parameters__num": 20}, 10, 20),
        ({"results_per_row": 5}, None, 5),
        ({"parameters__num": 10}, None, 10),
        ({"results_per_row": None}, None, 10),
    ],
)
def test_lists_may_grow_and_shrink(more, full, wanted):
    """More hits touch the rows whose list was full, fewer touch none; neither is another job."""
    found = job_changes(BEFORE, now(**more))
    assert (found.told, found.full, found.wanted) == ((), full, wanted)


def test_a_number_of_hits_that_the_manifest_names_is_not_guessed():
    """Where rows have their own number of hits, another one for all of them is another job."""
    found = job_changes({**BEFORE, "manifest.columns.num": "n"}, now(results_per_row=30))
    assert [line.partition(":")[0] for line in found.told] == ["results_per_row"]


def test_columns_are_compared_row_by_row():
    """Another column for an image is no other job: each row is compared with what it came from."""
    found = job_changes(BEFORE, now(manifest__columns__image="image_link"))
    assert (found.told, found.columns) == ((), True)


@pytest.mark.parametrize(
    ("more", "can_renew", "elsewhere"),
    [
        ({"images__quality": 80}, True, False),
        ({"instance__endpoint": "https://b"}, True, True),
        ({"instance__name": "other"}, True, False),
        ({"manifest__key": ["sku"]}, False, False),
        ({"operation": "SearchImageByName"}, False, False),
    ],
)
def test_what_decides_answers_is_told_with_the_ways_on(more, can_renew, elsewhere):
    """Each setting is shown as it was and is; rows are renewed in place only where they stay these rows."""
    found = job_changes(BEFORE, now(**more))
    assert (len(found.told), found.can_renew, found.elsewhere) == (1, can_renew, elsewhere)
    said = ways_on(found, "out/x")
    assert found.told[0] in said
    assert ("--renew" in said) is can_renew
    assert "--fresh DIR --set reuse.from=out/x" in said


def test_settings_of_another_version_are_no_change():
    """A setting that an earlier version did not have touches nothing until somebody sets it."""
    assert job_changes(BEFORE, now(images__blank="lost")).told == ()
    assert len(job_changes(BEFORE, now(images__blank="reject")).told) == 1
    assert job_changes({**BEFORE, "images.once_there": 1}, BEFORE).told == ()


def test_a_further_instance_is_no_other_job():
    """An instance that was not there before changes no answer; one that calls elsewhere now does."""
    further = {"instances: b.name": "b", "instances: b.endpoint": "https://b"}
    assert job_changes(BEFORE, {**BEFORE, **further}).told == ()
    moved = {**further, "instances: b.endpoint": "https://c"}
    found = job_changes({**BEFORE, **further}, {**BEFORE, **moved})
    assert found.elsewhere
    assert len(found.told) == 1


def test_answers_of_another_instance_serve_nobody():
    """Answers serve a job that calls the same operation at the same place, and tell why not otherwise."""
    assert same_instance(BEFORE, now(manifest__key=["sku"]), ["shop"]) == []
    assert "https://a" in same_instance(BEFORE, now(instance__endpoint="https://b"), ["shop"])[0]
    assert "operation" in same_instance(BEFORE, now(operation="AddImage"), ["shop"])[0]


def test_digests_are_found_and_no_others():
    """A set of digests holds what it was made of, also digests that share their first half."""
    digests = [bytes([n % 3, *range(7)]) + bytes([n] * 8) for n in range(200)]
    found = DigestSet(digests[:150])
    assert all(digest in found for digest in digests[:150])
    assert not any(digest in found for digest in digests[150:])
    assert b"\0" * 16 not in DigestSet()
