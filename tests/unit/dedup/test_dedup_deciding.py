"""Single decisions of dedup: which hits are trusted, which pairs are accepted, which chains are cut."""

import numpy as np
import pyarrow as pa
import pytest
from pairs_rig import matched

from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.tasks.dedup.candidates.catalogue_images import Columns
from batchsearch.tasks.dedup.candidates.catalogue_reading import _valued, images_of
from batchsearch.tasks.dedup.candidates.hits import HitRules, Tally, _matches, trusted
from batchsearch.tasks.dedup.candidates.matches import (
    IDENTICAL_BYTES,
    NO_RANK,
    PERCEPTUAL,
)
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.clusters.building import preference_of
from batchsearch.tasks.dedup.clusters.decide import SAME, Judged, decide
from batchsearch.tasks.dedup.clusters.deciding import thresholds_of
from tests.unit.dedup.plain_chains import Link, split

NOBODY = Judged(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.int8))
COLUMNS = Columns("product_id", "pic_name", "image", None, None)


def images(rows, present=None, columns=COLUMNS):
    """Results of rows: product, image, run, when finished, whether renewed; more by name."""
    names = ("product_id", "pic_name", "run_id", "finished_at", "renewed")
    count = len(rows)
    sides = pa.array([row.get("side", 100) for row in rows], pa.int32())
    read = {
        **{name: pa.array([row[name] for row in rows]) for name in names},
        **{
            name: pa.array([row.get(name) for row in rows])
            for name in (columns.category, columns.oldest)
            if name
        },
        "row_key": pa.array([f"r{number}" for number in range(count)]),
        "outcome": pa.array([row.get("outcome", "ok") for row in rows]),
        "answered_at": pa.nulls(count, pa.int64()),
        "source_width": sides,
        "source_height": sides,
        "source_sha256": pa.nulls(count, pa.string()),
        "image": pa.nulls(count, pa.string()),
    }
    return images_of(
        [pa.table(read)], columns, None if present is None else iter([present]), (), None, Room()
    )


def row(product, run="n1", at=1, renewed=False, name="front", **more):
    return {
        "product_id": product,
        "pic_name": name,
        "run_id": run,
        "finished_at": at,
        "renewed": renewed,
        **more,
    }


@pytest.mark.parametrize(
    ("asked", "renewed", "add_first", "wanted"),
    [
        (0, False, True, True),  # never changed
        (0, True, True, False),  # asked before the change
        (1, True, True, True),  # asked in the night of the change, after the image was added
        (1, True, False, False),  # asked in that night, before it was added
        (2, True, False, True),  # asked on a later night
    ],
)
def test_a_hit_on_a_renewed_image_is_trusted_only_if_asked_since(asked, renewed, add_first, wanted):
    """Whether a hit speaks of the image that is there now follows from the runs' order."""
    known = images(
        [row("a", "z", 10 * asked + 1), row("b", "m", 11, renewed), row("c", "k", 21), row("d", "z0", 1)]
    )
    searching = {0: 3, 1: 1, 2: 2}[asked]
    found = trusted(
        known,
        np.array([searching], np.int32),
        np.array([1], np.int32),
        np.array([0], np.int32),
        add_first=add_first,
    )
    assert found.tolist() == [wanted]


@pytest.mark.parametrize(("outside", "left"), [(False, ["kept"]), (True, ["old", "kept"])])
def test_a_hit_on_an_image_that_its_product_no_longer_has_is_no_match(outside, left):
    """What a shop takes off a product says nothing; a row that came instead of another one counts."""
    known = images(
        [row("a"), row("b", name="old"), row("b", name="kept"), row("b", name="kept")],
        present=["r0", "r2"],
    )
    hits = pa.table(
        {
            "row_key": ["r0"] * 2,
            "rank": pa.array([1, 2], pa.int32()),
            "score": [0.99, 0.9],
            "product_id": ["b", "b"],
            "pic_name": ["old", "kept"],
            "category_id": pa.nulls(2, pa.int64()),
        }
    )
    tally = Tally(np.zeros(2, bool), np.zeros(2, bool), np.zeros(4, bool))
    found = _matches(hits, known, HitRules(0.5, 0.8, outside=outside, add_first=True, wanted=5), tally)
    assert known.names.take(pa.array(found.found_image)).to_pylist() == left
    assert tally.stale == 2 - len(left)
    one, kept = (np.array([number], np.int32) for number in (1, known.names.index("kept").as_py()))
    assert known.row_of(one, kept).tolist() == [2]


def test_placeholders_say_nothing_of_a_product():
    """What stands where nobody knows joins no products, and keeps none apart."""
    said = ["Red", " red ", "n/a", "#N/A", "NULL", "-", "0000000000000", "4.00638E+12", "", None, "00", "0"]
    numbers = _valued(pa.array(said, pa.string()), Room()).tolist()
    assert numbers[0] == numbers[1] >= 0
    assert numbers[2:10] == [-1] * 8
    assert len({*numbers[10:], numbers[0]}) == 3


def test_runs_are_ordered_by_time_and_not_by_name():
    """Two runs within one second have names that chance orders."""
    known = images([row("a", "b-later-name", 1), row("b", "a-earlier-name", 2)])
    assert known.runs.to_pylist() == ["b-later-name", "a-earlier-name"]
    assert known.run.tolist() == [0, 1]


def test_hits_on_the_searched_product_and_outside_the_manifest_are_no_matches():
    """Any image of the product itself is left out, and its place goes to the next one."""
    known = images([row("a"), row("a", name="back"), row("b"), row("gone")], present=["r0", "r1", "r2"])
    hits = pa.table(
        {
            "row_key": ["r0"] * 5,
            "rank": pa.array([1, 2, 3, 4, 5], pa.int32()),
            "score": [1.0, 0.97, 0.95, 0.9, 0.4],
            "product_id": ["a", "a", "gone", "b", "b"],
            "pic_name": ["front", "back", "front", "front", "other"],
            "category_id": pa.nulls(5, pa.int64()),
        }
    )
    tally = Tally(np.zeros(3, bool), np.zeros(3, bool), np.zeros(4, bool))
    found = _matches(hits, known, HitRules(0.5, 0.8, outside=False, add_first=True, wanted=5), tally)
    assert (found.product.tolist(), found.other.tolist(), found.rank.tolist()) == ([0], [1], [1])
    assert (tally.hits, tally.of_itself, tally.outside, tally.stale, tally.full) == (5, 2, 1, 0, 0)


@pytest.mark.parametrize(("last", "cut"), [(0.9, True), (0.8, True), (0.79, False)])
def test_a_full_list_may_have_been_cut_if_its_last_entry_is_enough(last, cut):
    """What a list does not show scores no more than its last entry: below the threshold, too little."""
    known = images([row("a"), row("b")])
    hits = pa.table(
        {
            "row_key": ["r0", "r0"],
            "rank": pa.array([1, 2], pa.int32()),
            "score": [1.0, last],
            "product_id": ["a", "b"],
            "pic_name": ["front", "front"],
            "category_id": pa.nulls(2, pa.int64()),
        }
    )
    tally = Tally(np.zeros(2, bool), np.zeros(2, bool), np.zeros(2, bool))
    _matches(hits, known, HitRules(0.5, 0.8, outside=False, add_first=True, wanted=2), tally)
    assert (tally.cut.tolist(), tally.full) == ([cut, False], 1)


def test_thresholds_go_by_category():
    """By the service's category, or by a column, where the higher of the two products' applies."""
    pairs = matched((0, 1, 0.9), (1, 2, 0.9))
    plain = images([row("a"), row("b"), row("c")])
    by_service = DedupSettings(threshold=0.8, thresholds={"7": 0.95, "nonsense": 0.9})
    assert thresholds_of(pairs, plain, plain.present, by_service, Room()).tolist() == [0.95, 0.95]
    columns = Columns("product_id", "pic_name", "image", "kind", None)
    known = images([row("a", kind="shirt"), row("b", kind="shirt"), row("c", kind="shoe")], columns=columns)
    by_column = DedupSettings(threshold=0.8, thresholds={"shoe": 0.95}, category_column="kind")
    assert thresholds_of(pairs, known, known.present, by_column, Room()).tolist() == [0.8, 0.95]


def test_a_products_highest_threshold_counts_in_whatever_order_its_rows_were_answered():
    """Where a product's own images differ in category, the higher threshold counts; gone rows have no say."""
    pairs = matched((0, 1, 0.9))
    columns = Columns("product_id", "pic_name", "image", "kind", None)
    by_column = DedupSettings(threshold=0.8, thresholds={"shoe": 0.95, "hat": 0.7}, category_column="kind")
    rows = [
        row("a", kind="hat"),
        row("a", kind="shoe", name="back"),
        row("a", kind="hat", name="side"),
        row("b", kind="hat"),
    ]
    for order in (rows, rows[::-1], [rows[1], rows[3], rows[0], rows[2]]):
        known = images(order, columns=columns)
        assert thresholds_of(pairs, known, known.present, by_column, Room()).tolist() == [0.95]
    known = images(rows, present=["r0", "r2", "r3"], columns=columns)
    assert thresholds_of(pairs, known, known.present, by_column, Room()).tolist() == [0.7]


def test_what_two_ways_find_counts_once():
    """A match that both a search and the pre-check find is one; both ways round it is one as well."""
    found = matched((0, 1, 0.95), (1, 0, 0.95), (0, 1, 1.0, IDENTICAL_BYTES), (2, 3, 1.0, IDENTICAL_BYTES))
    assert found.images.tolist() == [1, 1]


def test_what_is_identical_needs_no_score_and_colours_need_one():
    """Identical images are accepted; colour variants only if a person says so; hashes when trusted."""
    pairs = matched((0, 1, 1.0, IDENTICAL_BYTES), (0, 2, 0.97), (1, 2, 0.97), (2, 3, 0.99, PERCEPTUAL))
    judged = Judged(np.array([1], np.int32), np.array([2], np.int32), np.array([SAME], np.int8))
    options = {"near": 0.1, "best": None, "variants": np.array([True, True, True, False])}
    thresholds = np.full(4, 0.8)
    decision = decide(pairs, thresholds, judged, trust_perceptual=False, **options)
    assert decision.accepted.tolist() == [True, False, True, False]
    assert decision.near.tolist() == [True, False, True, True]
    trusting = decide(pairs, thresholds, judged, trust_perceptual=True, **options)
    assert trusting.accepted.tolist() == [True, False, True, True]


def test_mutual_best_accepts_only_each_others_best():
    """With `mutual_best: 1` the weaker of two pairs of one product is not accepted."""
    pairs = matched((0, 1, 0.95), (1, 2, 0.9))
    decision = decide(pairs, np.full(2, 0.8), NOBODY, near=0.1, best=1, trust_perceptual=False)
    assert decision.accepted.tolist() == [True, False]
    assert decision.near.tolist() == [True, True]


def test_both_directions_of_a_pair_are_one():
    """Scores and ranks of either side are kept apart; the pair has the better score."""
    pairs = matched((0, 1, 0.9), (1, 0, 0.92))
    assert (pairs.score_ab[0], pairs.score_ba[0], pairs.score[0]) == (0.9, 0.92, 0.92)
    assert (pairs.row[0], pairs.rank_ab[0], pairs.rank_ba[0]) == (1, 1, 1)
    one_way = matched((1, 0, 0.92))
    assert one_way.rank_ab[0] == NO_RANK


def test_a_bridge_between_two_tight_groups_is_cut():
    """One pair of nine is no reason to join six products; the refusal says so."""
    tight = [Link(a, b, 0.9) for a, b in ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5))]
    found = split(6, [*tight, Link(2, 3, 0.99)], min_share=0.6)
    assert found.groups == ((0, 1, 2), (3, 4, 5))
    assert found.refusals[0] == found.refusals[1]
    refused = found.refusals[0]
    assert (refused.link.first, refused.link.second, refused.resembling, refused.counted) == (2, 3, 1, 9)


def test_a_chain_is_split_and_a_star_of_copies_is_not():
    """Copies of one original stay together when they resemble one another, if below the threshold."""
    chain = split(4, [Link(0, 1, 0.95), Link(1, 2, 0.9), Link(2, 3, 0.94)], min_share=0.6)
    assert chain.groups == ((0, 1), (2, 3))
    assert (chain.refusals[0].resembling, chain.refusals[0].counted) == (1, 4)
    star = [Link(0, other, 0.9) for other in (1, 2, 3)]
    near = [Link(a, b, 0.75, accepted=False) for a, b in ((1, 2), (1, 3), (2, 3))]
    assert split(4, [*star, *near], min_share=0.6).groups == ((0, 1, 2, 3),)


def test_silence_is_no_consent_unless_both_lists_were_full():
    """A pair that one whole list does not show is none; with a product never searched nothing is known."""
    links = [Link(0, 1, 0.9), Link(1, 2, 0.9)]
    apart = ((0, 1), (2,))
    assert split(3, links, cut=[0], min_share=0.6).groups == apart
    assert split(3, links, cut=[0, 2], min_share=0.6).groups == ((0, 1, 2),)
    assert split(3, links, mute=[0], min_share=0.6).groups == ((0, 1, 2),)
    # A crowd whose lists are all full at scores that are too low is no cluster.
    tight = [Link(a, b, 0.9) for a, b in ((0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5))]
    assert split(6, [*tight, Link(2, 3, 0.99)], cut=[0, 1, 2], min_share=0.6).groups == ((0, 1, 2), (3, 4, 5))


@pytest.mark.parametrize(
    ("rule", "order"),
    [("most_images", [1, 0, 2]), ("best_image", [2, 1, 0]), ("oldest", [0, 1, 2])],
)
def test_the_representative_follows_its_rule(rule, order):
    """Each rule has its own favourite; ties go to the rules after it."""
    columns = Columns("product_id", "pic_name", "image", None, "since")
    rows = [
        row("a", side=100, since=1),
        row("b", side=200, since=2),
        row("b", name="back", side=200, since=2),
        row("c", side=300, since=None),
    ]
    known = images(rows, columns=columns)
    dedup = DedupSettings(representative=rule, oldest_column="since")
    counts = np.bincount(known.product, minlength=3)
    preference = np.lexsort(preference_of(known, counts, np.ones(4, bool), dedup, Room())[::-1])
    assert preference.tolist() == order if rule != "most_images" else preference[0] == 1
