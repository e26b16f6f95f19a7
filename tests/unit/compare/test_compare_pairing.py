"""Which images make pairs, and under which names."""

from collections import Counter

import pytest

from batchsearch.manifest.rows import ImageReference
from batchsearch.tasks.compare.matrix import file_of
from batchsearch.tasks.compare.pairing import GroupSizes, Member, OpenGroups, ordered, too_many


def pairs_of(rows):
    """All pairs of rows given as (group, key)."""
    groups = OpenGroups(GroupSizes(Counter(group for group, _ in rows)))
    return [
        (pair.group, pair.primary.key, pair.secondary.key)
        for group, key in rows
        for pair in groups.pairs_with(group, Member(key, ImageReference(path=key)))
    ]


def test_a_group_makes_every_pair_once():
    """Four images make six pairs, each once and never one with itself."""
    found = pairs_of([("g", key) for key in "abcd"])
    assert sorted(found) == [("g", a, b) for a, b in ("ab", "ac", "ad", "bc", "bd", "cd")]


def test_the_smaller_key_comes_first_however_the_rows_are_sorted():
    """A pair has one name, so that a manifest sorted anew pays nothing."""
    forth = pairs_of([("g", "b"), ("g", "a"), ("g", "c")])
    back = pairs_of([("g", "c"), ("g", "b"), ("g", "a")])
    assert sorted(forth) == sorted(back) == [("g", "a", "b"), ("g", "a", "c"), ("g", "b", "c")]


def test_groups_may_be_mixed_and_hold_only_what_still_waits():
    """Rows of several groups in any order make the same pairs; a complete group is let go."""
    rows = [("x", "1"), ("y", "2"), ("x", "3"), ("z", "4"), ("y", "5"), ("x", "6")]
    groups = OpenGroups(GroupSizes(Counter(group for group, _ in rows)))
    found = []
    for group, key in rows:
        found += groups.pairs_with(group, Member(key, ImageReference(data=b"12345")))
        if key == "5":
            assert groups.held_bytes == 10  # "1" and "3" of x; y is complete, z makes no pair
    assert len(found) == 3 + 1
    assert groups.held_bytes == 0
    assert not groups._open


def test_sizes_say_what_they_make():
    """Pairs are counted before any is made, and rows without a partner are known."""
    sizes = GroupSizes(Counter({"a": 4, "b": 1, "c": 2}), without=3)
    assert (sizes.pairs, sizes.alone, sizes.largest()) == (7, 1, ("a", 4))


def test_two_rows_of_one_name_keep_their_order():
    """Equal keys cannot be, but the reference may be called like a row: the first stays first."""
    first, second = Member("k", ImageReference(path="1")), Member("k", ImageReference(path="2"))
    assert ordered(None, first, second).primary is first


def test_too_many_pairs_are_told_in_calls_hours_and_nights():
    """A person can decide from the message alone whether that many are meant."""
    said = too_many(4_950_000, 100_000, rate=10, night_hours=8)
    assert "4,950,000 pairs" in said
    assert "(100,000)" in said
    assert "137.5 hours at 10 a second, 17.2 nights of 8 hours" in said


@pytest.mark.parametrize("group", [None, "", "../../etc", "a/b", "Größe 42", "x" * 500, "\ud800"])
def test_a_matrix_file_has_a_plain_name(group):
    """Whatever a group is called, its file lies in its folder and under a name of plain letters."""
    name = file_of(group)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert name.endswith(".parquet")
    assert len(name) < 80
    assert not name.startswith((".", "/"))


def test_no_two_groups_share_a_matrix_file():
    """Names that look alike once they are plain are told apart."""
    assert len({file_of(group) for group in (None, "all", "All", "a b", "a-b", "a/b", "")}) == 7
