"""Pairs of any list: every one, once, under one name."""

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.tasks.compare.pairing import GroupSizes, Member, OpenGroups

LISTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", None]), st.text(max_size=4)),
    max_size=20,
    unique_by=lambda row: row[1],
)


@settings(max_examples=60)
@given(LISTS, st.randoms(use_true_random=False))
def test_every_pair_of_a_group_is_made_once_whatever_the_order(rows, rng):
    """The pairs are the textbook's, as many as foretold, and nothing is held at the end."""
    shuffled = list(rows)
    rng.shuffle(shuffled)
    sizes = GroupSizes(Counter(group for group, _ in rows))
    groups = OpenGroups(sizes)
    found = [
        (pair.group, pair.primary.key, pair.secondary.key)
        for group, key in shuffled
        for pair in groups.pairs_with(group, Member(key, None))
    ]
    wanted = [
        (group, *sorted(pair))
        for group in sizes.sizes
        for pair in combinations([key for name, key in rows if name == group], 2)
    ]
    assert Counter(found) == Counter(wanted)
    assert len(found) == sizes.pairs
    assert not groups._open
