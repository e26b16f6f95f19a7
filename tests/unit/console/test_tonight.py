"""What judgements would change."""

from batchsearch.console.tonight import tonight

PAIRS = [
    ("a", "b", True, None),
    ("b", "c", True, "same"),
    ("d", "e", True, None),
    ("f", "g", False, None),
    ("h", "i", False, "different"),
]


def test_nothing_new_changes_nothing():
    """Judgements that the last night followed are no news."""
    found = tonight(PAIRS, {("b", "c"): "same", ("h", "i"): "different"})
    assert found.is_nothing
    assert (found.fresh, found.before, found.after) == (0, 2, 2)


def test_same_joins_and_different_parts():
    """A new `same` joins what it is about, a new `different` parts, and both are told by product."""
    judged = {("b", "c"): "same", ("h", "i"): "different", ("f", "g"): "same", ("d", "e"): "different"}
    found = tonight(PAIRS, judged)
    assert (found.fresh, found.before, found.after) == (2, 2, 2)
    assert found.joined == ("f", "g")
    assert found.parted == ("d", "e")


def test_a_judgement_taken_back_no_longer_holds():
    """A `same` that is taken back joins nothing any more; a pair that nobody had found can be judged."""
    found = tonight(PAIRS, {("h", "i"): "different", ("e", "z"): "same"})
    assert (found.fresh, found.joined, found.parted) == (2, ("d", "e", "z"), ("a", "b", "c"))
    assert (found.joined_count, found.parted_count) == (3, 3)


def test_a_chain_that_is_cut_is_told_at_both_ends():
    """Parting one pair of a chain parts each product from those of the other end."""
    found = tonight([("a", "b", True, None), ("b", "c", True, None)], {("a", "b"): "different"})
    assert (found.before, found.after) == (1, 1)
    assert found.parted == ("a", "b", "c")
    assert found.joined == ()


def test_no_pair_is_no_cluster():
    """A night without pairs has nothing that could change."""
    assert tonight([], {}).is_nothing
