"""What holds for any pairs, links and looks: folding, deciding, splitting, clustering."""

import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.alike import MOST_BITS, MOST_SHADE, find_alike, later_copies
from batchsearch.tasks.dedup.candidates.matches import SEARCH, Matches, folded, pairs_of, taken
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.pair_folding import PairFolder
from batchsearch.tasks.dedup.clusters import chains
from batchsearch.tasks.dedup.clusters.clustering import cluster
from batchsearch.tasks.dedup.clusters.components import united
from batchsearch.tasks.dedup.clusters.decide import (
    DIFFERENT,
    SAME,
    Judged,
    bars_of,
    decide,
    mutual_best,
    undecided,
    with_judged,
)
from batchsearch.tasks.dedup.clusters.guarding import GuardRules
from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, colour_distance
from tests.unit.dedup.plain_chains import Link, plainly_split, split

FEW = settings(max_examples=60, deadline=None)
FEWER = settings(max_examples=12, deadline=None)
"""Of what makes files."""
SCORES = st.sampled_from([0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0])


@st.composite
def matches(draw, products=8):
    """Hits of some products on others."""
    count = draw(st.integers(0, 40))
    product = draw(st.lists(st.integers(0, products - 1), min_size=count, max_size=count))
    step = draw(st.lists(st.integers(1, products - 1), min_size=count, max_size=count))
    other = [(one + more) % products for one, more in zip(product, step, strict=True)]
    score = draw(st.lists(SCORES, min_size=count, max_size=count))
    whole = np.arange(count, dtype=np.int32)
    return Matches(
        product=np.array(product, np.int32),
        other=np.array(other, np.int32),
        row=np.array(product, np.int32),
        image=whole,
        found_image=whole,
        score=np.array(score, np.float64),
        rank=whole + 1,
        category=np.full(count, -1, np.int64),
        found_by=np.full(count, SEARCH, np.int8),
    )


def part(all_of_them, which):
    return Matches(*(getattr(all_of_them, name)[which] for name in Matches.__slots__))


def columns(pairs):
    return {name: getattr(pairs, name).tolist() for name in type(pairs).__slots__}


@st.composite
def components(draw):
    """Links over some members, with pairs judged different and members whose lists were cut."""
    size = draw(st.integers(2, 8))
    every = list(combinations(range(size), 2))
    chosen = draw(st.lists(st.sampled_from(every), unique=True, max_size=len(every)))
    links = [
        Link(one, other, draw(SCORES), accepted=draw(st.booleans()), same=draw(st.integers(0, 9)) == 0)
        for one, other in chosen
    ]
    different = draw(st.lists(st.sampled_from(every), unique=True, max_size=3))
    cut = draw(st.lists(st.integers(0, size - 1), unique=True, max_size=size))
    return size, links, different, cut


@given(matches(), st.integers(1, 5))
@FEW
def test_folding_in_any_portions_gives_the_same_pairs(given_matches, portions):
    """Each pair is there once, ascending, whatever was folded with what."""
    whole = folded(pairs_of(given_matches))
    folder = PairFolder(fold_at=3)
    for piece in np.array_split(np.arange(len(given_matches)), portions):
        folder.add(part(given_matches, piece))
    assert columns(folder.pairs()) == columns(whole)
    assert (whole.a < whole.b).all()
    assert (np.diff(whole.key) > 0).all()


@given(matches(), st.integers(1, 3))
@FEW
def test_mutual_best_is_what_a_plain_reading_of_the_rule_says(given_matches, best):
    """A pair is mutual if fewer than `best` pairs of each of its products score higher."""
    pairs = folded(pairs_of(given_matches))
    rows = list(zip(pairs.a.tolist(), pairs.b.tolist(), pairs.score.tolist(), strict=True))

    def among_best(product, score):
        return sum(higher > score for one, other, higher in rows if product in {one, other}) < best

    expected = [among_best(one, score) and among_best(other, score) for one, other, score in rows]
    assert mutual_best(pairs, best).tolist() == expected


@given(matches(), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=4))
@FEW
def test_judgements_win_over_scores(given_matches, said):
    """What people judged the same is accepted, what they judged different is not, whatever the score."""
    verdicts = {(min(one, other), max(one, other)): same for one, other, same in said if one != other}
    judged = Judged(
        np.array([one for one, _ in verdicts], np.int32),
        np.array([other for _, other in verdicts], np.int32),
        np.array([SAME if same else DIFFERENT for same in verdicts.values()], np.int8),
    )
    pairs = with_judged(folded(pairs_of(given_matches)), judged)
    thresholds = np.full(len(pairs), 0.8)
    decision = decide(pairs, thresholds, judged, near=0.1, best=None, trust_perceptual=False)
    accepted = dict(
        zip(zip(pairs.a.tolist(), pairs.b.tolist(), strict=True), decision.accepted.tolist(), strict=True)
    )
    assert all(accepted[pair] for pair, same in verdicts.items() if same)
    assert not any(accepted.get(pair, False) for pair, same in verdicts.items() if not same)


@given(components(), st.sampled_from([0.3, 0.6, 1.0]), st.randoms(use_true_random=False))
@FEW
def test_a_split_keeps_its_promises(component, min_share, chance):
    """Members once each; same together; different apart unless same forces them; order does not matter."""
    size, links, different, cut = component
    found = split(size, links, different=different, cut=cut, min_share=min_share)
    assert sorted(member for group in found.groups for member in group) == list(range(size))
    home = {member: place for place, group in enumerate(found.groups) for member in group}
    assert all(home[link.first] == home[link.second] for link in links if link.same)
    forced = {number: number for number in range(size)}

    def root(number):
        while forced[number] != number:
            number = forced[number]
        return number

    for link in links:
        if link.same:
            forced[root(link.first)] = root(link.second)
    for one, other in different:
        if home[one] == home[other]:
            members = found.groups[home[one]]
            assert home[one] in found.contradicted
            assert any(root(a) == root(b) for a, b in different if a in members and b in members)
    joined = {number: number for number in range(size)}
    for link in links:
        if (link.accepted or link.same) and home[link.first] == home[link.second]:
            old, new = joined[link.first], joined[link.second]
            joined = {member: new if group == old else group for member, group in joined.items()}
    for group in found.groups:
        assert len({joined[member] for member in group}) == 1
    shuffled = list(links)
    chance.shuffle(shuffled)
    again = split(size, shuffled, different=different, cut=cut, min_share=min_share)
    assert again.groups == found.groups


@given(components(), st.sampled_from([0.3, 0.6, 1.0]), st.integers(1, 5))
@FEWER
def test_components_are_split_as_one_would_write_it_down(component, min_share, at_once):
    """Groups, refusals and contradictions are those of members that are objects, whatever memory holds."""
    size, links, different, cut = component
    known = {"different": different, "cut": cut[::2], "mute": cut[1::2], "min_share": min_share}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_pieces, "AT_ONCE", at_once)
        patch.setattr(chains, "_REMEMBERED", at_once)
        found = split(size, links, **known, room=Room(Path(folder), 0))
        assert not list(Path(folder).iterdir())
    assert found == plainly_split(size, links, **known)


@given(st.lists(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=12), max_size=6))
@FEW
def test_edges_in_portions_join_as_they_would_at_once(portions):
    """Each node has the smallest one of its component, whatever portion an edge came in."""
    pytest.importorskip("scipy")
    edges = [edge for some in portions for edge in some]
    label = list(range(30))
    for one, other in edges:
        low, high = sorted((label[one], label[other]))
        label = [low if at == high else at for at in label]
    ends = [np.array(some, np.int32).reshape(-1, 2).T for some in portions]
    for at_once in (1, 4, 1_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(in_pieces, "AT_ONCE", at_once)
            assert united(30, ends, Room()).tolist() == label


@given(st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 0.5]), SCORES), max_size=60), st.integers(1, 9))
@FEW
def test_keys_in_portions_are_in_the_order_of_all(keys, at_once):
    """By both parts; equal ones in the order in which they are."""
    column = np.array([complex(*key) for key in keys], np.complex128)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_pieces, "AT_ONCE", at_once)
        order = in_pieces.in_order(column, Room()).tolist()
    assert order == sorted(range(len(keys)), key=keys.__getitem__)


@given(matches(products=12), st.integers(1, 4), st.sampled_from([0.3, 0.6]), st.integers(1, 3))
@FEWER
def test_clusters_are_the_same_however_little_memory_holds(given_matches, at_once, min_share, best):
    """Members, order, scores, confidence and what reviewers read; with judgements and lists that were cut."""
    pytest.importorskip("scipy")
    judged = Judged(np.array([0, 2], np.int32), np.array([1, 5], np.int32), np.array([SAME, DIFFERENT]))
    guard = GuardRules(min_share, 3, np.arange(12) % 3 == 0, np.arange(12) % 5 == 4, 0.4)
    preference = [np.arange(12) % 2, -np.arange(12)]

    def made(room):
        folder = PairFolder(room, fold_at=3)
        for piece in np.array_split(np.arange(len(given_matches)), 4):
            folder.add(part(given_matches, piece))
        pairs = with_judged(folder.pairs(), judged, room)
        bars = bars_of(pairs, best, 12, room)
        whole = undecided(len(pairs), room, weighs=False)
        for some in in_pieces.pieces(len(pairs)):
            piece, thresholds = taken(pairs, some), np.full(some.stop - some.start, 0.8)
            whole.put(
                some,
                decide(piece, thresholds, judged, near=0.1, best=best, trust_perceptual=False, bars=bars),
            )
        found = cluster(pairs, whole, guard, preference, str, room)
        names = ("product", "cluster", "size", "representative", "confidence", "score")
        said = found.review.texts(found.cluster).to_pylist()
        return columns(pairs), {name: getattr(found, name).tolist() for name in names}, said, found.unsure

    wanted = made(Room())
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_pieces, "AT_ONCE", at_once)
        assert made(Room(Path(folder), 0)) == wanted


@given(matches(products=12))
@FEW
def test_without_a_guard_clusters_are_connected_components(given_matches):
    """Each accepted pair shares a cluster, and no cluster is larger than its pairs reach."""
    pytest.importorskip("scipy")
    pairs = folded(pairs_of(given_matches))
    none = Judged(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))
    decision = decide(pairs, np.full(len(pairs), 0.8), none, near=0.1, best=None, trust_perceptual=False)
    # Every member's list was cut: nothing that was not seen counts against a pair.
    guard = GuardRules(0.0001, 50, np.ones(12, bool), np.zeros(12, bool))
    found = cluster(pairs, decision, guard, [np.arange(12)], str)
    home = {number: number for number in range(12)}
    for one, other in zip(
        pairs.a[decision.accepted].tolist(), pairs.b[decision.accepted].tolist(), strict=True
    ):
        old, new = home[one], home[other]
        home = {member: new if group == old else group for member, group in home.items()}
    expected = {}
    for member, group in home.items():
        expected.setdefault(group, set()).add(member)
    expected = sorted(sorted(group) for group in expected.values() if len(group) > 1)
    groups = [found.product[found.cluster == number].tolist() for number in range(found.count)]
    assert sorted(sorted(group) for group in groups) == expected
    # The smallest preference stands for its cluster, and stands first.
    assert all(group[0] == min(group) for group in groups)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 15), st.integers(0, 30)), max_size=25
    )
)
@FEW
def test_alike_images_are_all_found_and_no_others(seen):
    """The bands of the outline miss no pair that differs in few bits."""
    files = np.array([each[0] - 1 for each in seen], np.int64)
    pixels = np.array([each[1] - 1 for each in seen], np.int64)
    outlines = np.array([each[2] << 30 for each in seen], np.uint64)
    thumbs = np.repeat(np.array([[each[3]] for each in seen], np.uint8).reshape(-1, 1), 48, axis=1)
    found = find_alike(files, pixels, outlines, thumbs)
    expected = {}
    for one, other in combinations(range(len(seen)), 2):
        bits = (int(outlines[one]) ^ int(outlines[other])).bit_count()
        if files[one] == files[other] >= 0:
            expected[one, other] = 1
        elif pixels[one] == pixels[other] >= 0:
            expected[one, other] = 2
        elif bits <= MOST_BITS and abs(int(thumbs[one, 0]) - int(thumbs[other, 0])) <= MOST_SHADE:
            expected[one, other] = 3
    pairs = dict(
        zip(zip(found.first.tolist(), found.second.tolist(), strict=True), found.kind.tolist(), strict=True)
    )
    assert pairs == expected
    copy_of = later_copies(len(seen), found)
    assert all(copy_of[of] == -1 for of in copy_of if of >= 0)
    assert all((of, at) in expected for at, of in enumerate(copy_of.tolist()) if of >= 0)


@given(st.lists(st.integers(0, 255), min_size=COLOURS, max_size=COLOURS), st.integers(0, 255))
@FEW
def test_colour_distance_is_symmetric_and_forgives_added_colours(amounts, more):
    """An image with colours added still has all of the other's: their distance is 0."""
    one = np.array([amounts], np.uint8)
    other = np.maximum(one, more).astype(np.uint8)
    there, back = colour_distance(one, other), colour_distance(other, one)
    assert np.array_equal(there, back, equal_nan=True)
    assert np.isnan(there[0]) or there[0] == pytest.approx(0.0)
