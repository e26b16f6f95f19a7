"""Exact vector search: order, threads, removal and growth."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from batchsearch.emulator.search import exact_rows
from batchsearch.emulator.search import vector_index as index_module
from batchsearch.emulator.search.ranking import vote
from batchsearch.emulator.search.records import Item
from batchsearch.emulator.search.vector_index import VectorIndex, Wanted
from batchsearch.service.filter import parse_filter

SIDE = 32


@pytest.fixture
def index():
    made = VectorIndex(SIDE)
    yield made
    made.close()


def units(count, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, SIDE)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def items(count, **more):
    return [Item(f"p{n}", "a.jpg", n % 3, **more) for n in range(count)]


def best(vectors, query, most):
    scores = np.round(vectors.astype(np.float64) @ query.astype(np.float64), 6)
    return (np.argsort(-scores, kind="stable")[:most] + 1).tolist()


def test_an_empty_index_finds_nothing(index):
    """Nothing is found, and no category predicted, where there is nothing."""
    found = index.search(Wanted(units(1)[0], 10, predict=True))
    assert (found.ids, found.scores, found.total, found.category) == ((), (), 0, None)


def test_the_best_are_exact_over_block_borders(index):
    """Over several blocks, filled in uneven chunks, the best are those of a plain product."""
    count = 2 * exact_rows.BLOCK + 77
    vectors, added = units(count), items(count)
    for start, stop in ((0, 5), (5, 9_000), (9_000, count)):
        index.append(range(start + 1, stop + 1), vectors[start:stop], added[start:stop])
    for query in units(5, seed=1):
        found = index.search(Wanted(query, 25))
        assert list(found.ids) == best(vectors, query, 25)
        assert found.total == count


@pytest.mark.parametrize("count", [1, 31, 32, 33, 64, 8_191, 8_192, 8_193, 8_224])
def test_no_row_is_left_out_of_the_product(index, count):
    """However many rows the last block has, the newest one is found, and none that is not there."""
    vectors = units(count)
    index.append(range(1, count + 1), vectors, items(count))
    found = index.search(Wanted(vectors[-1], 3))
    assert list(found.ids) == best(vectors, vectors[-1], 3)
    assert found.ids[0] == count


def test_a_vector_finds_itself_with_exactly_one(index):
    """An item's own vector scores exactly 1."""
    vectors = units(300)
    index.append(range(1, 301), vectors, items(300))
    for number in (0, 150, 299):
        found = index.search(Wanted(vectors[number], 1))
        assert (found.ids, found.scores) == ((number + 1,), (1.0,))


def test_equal_scores_rank_older_items_first(index):
    """Items with the same vector come in the order of their ids, also past the end of the page."""
    vector = units(1)[0]
    index.append(range(1, 101), np.repeat(vector[None], 100, axis=0), items(100))
    assert index.search(Wanted(vector, 7)).ids == tuple(range(1, 8))


def test_dissimilar_items_score_zero_not_less(index):
    """The opposite of an image scores 0, which a threshold of 0 lets through."""
    vectors = units(1)
    index.append([1], -vectors, items(1))
    found = index.search(Wanted(vectors[0], 5))
    assert (found.ids, found.scores, found.total) == ((1,), (0.0,), 1)


def test_many_callers_get_what_one_gets(index):
    """Answers do not depend on who else is searching."""
    vectors, queries = units(3_000), units(64, seed=2)
    index.append(range(1, 3_001), vectors, items(3_000))
    alone = [index.search(Wanted(query, 20)) for query in queries]
    together = [None] * len(queries)
    start = threading.Barrier(8)

    def work(share):
        start.wait()
        for number in range(share, len(queries), 8):
            together[number] = index.search(Wanted(queries[number], 20))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert together == alone


def test_removed_items_are_gone_and_their_room_is_reused(index, monkeypatch):
    """Removal takes effect at once; compaction keeps every other item where it is found."""
    monkeypatch.setattr(index_module, "_MOST_REMOVED", 10)
    vectors = units(1_000)
    index.append(range(1, 1_001), vectors, items(1_000))
    index.remove(range(1, 1_001, 2))
    assert len(index) == 500
    assert len(index._columns) == 500
    for number in (1, 499, 999):
        found = index.search(Wanted(vectors[number], 1))
        assert (found.ids, found.scores) == ((number + 1,), (1.0,))
    index.put(1_001, vectors[0], items(1)[0])
    assert index.search(Wanted(vectors[0], 1)).ids == (1_001,)


def test_removed_items_are_not_found_before_compaction(index):
    """An item that is only marked as removed is neither found, nor counted, nor matched, nor asked."""
    vectors = units(10)
    index.append(range(1, 11), vectors, items(10, int_attr=1))
    index.remove([4, 4, 99])
    found = index.search(Wanted(vectors[3], 10, predict=True))
    assert 4 not in found.ids
    assert found.total == len(index) == 9
    assert index.matching(parse_filter("int_attr=1")) == [1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_putting_an_id_again_replaces_vector_and_attributes(index):
    """After `put` of a known id only the new vector and attributes count."""
    first, second = units(2)
    index.put(1, first, Item("p", "a", 0, str_attr="old"))
    index.put(1, second, Item("p", "a", 0, str_attr="new"))
    assert index.search(Wanted(second, 1)).scores == (1.0,)
    assert index.matching(parse_filter('str_attr="old"')) == []
    assert index.matching(parse_filter('str_attr="new"')) == [1]


def test_describing_an_item_keeps_its_vector(index):
    """New attributes are filtered by, the vector stays."""
    vector = units(1)[0]
    index.put(1, vector, Item("p", "a", 0, int_attr=1))
    index.describe(1, Item("p", "a", 0, int_attr=2))
    found = index.search(Wanted(vector, 1, filter=parse_filter("int_attr>1")))
    assert (found.ids, found.scores) == ((1,), (1.0,))


def test_a_category_limits_and_the_nearest_predict(index):
    """A given category limits the search; the prediction is the category of the nearest items."""
    vectors = units(30)
    index.append(range(1, 31), vectors, items(30))
    found = index.search(Wanted(vectors[4], 30, category=2, predict=True))
    assert all(identity % 3 == 0 for identity in found.ids)
    assert found.total == 10
    assert found.category == 4 % 3


def test_one_near_copy_outvotes_several_of_the_same_kind():
    """Votes weigh the similarity squared: 0.95 beats three times 0.5, not three times 0.7."""
    assert vote(np.array([4, 9, 9, 9]), np.array([0.95, 0.5, 0.5, 0.5])) == 4
    assert vote(np.array([4, 9, 9, 9]), np.array([0.95, 0.7, 0.7, 0.7])) == 9
    assert vote(np.array([]), np.array([])) is None


def test_an_error_reaches_every_caller(index):
    """A query that cannot be answered fails its caller instead of leaving it waiting, and the next works."""
    index.append([1], units(1), items(1))
    with pytest.raises(ValueError):
        index.search(Wanted(units(1)[0][:7], 1))
    assert index.search(Wanted(units(1)[0], 1)).ids == (1,)


def test_a_closed_index_refuses_searches():
    """Searching after closing raises instead of waiting for an answer that never comes."""
    index = VectorIndex(SIDE)
    index.close()
    index.close()
    with pytest.raises(RuntimeError):
        index.search(Wanted(units(1)[0], 1))
