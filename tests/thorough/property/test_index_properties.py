"""The index beside a brute force that is too simple to be wrong."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.emulator.search.records import Item
from batchsearch.emulator.search.vector_index import VectorIndex, Wanted
from batchsearch.service.expressions import And, Comparison, Or

SIDE = 4
ATTRIBUTES = ("int_attr", "int_attr3", "str_attr", "str_attr4")

# Few distinct vectors and values, so that ties, duplicates and matches are common.
vectors = st.sampled_from(
    [(1, 0, 0, 0), (0, 1, 0, 0), (-1, 0, 0, 0), (3, 4, 0, 0), (1, 1, 1, 1), (5, 1, 0, 2)]
)
numbers = st.one_of(st.none(), st.sampled_from([-(2**31), -1, 0, 7, 2**31 - 1]))
texts = st.one_of(st.none(), st.sampled_from(["", "a", "b", "é"]))
entries = st.builds(
    Item,
    product_id=st.sampled_from(["p1", "p2", "p3"]),
    pic_name=st.just("x"),
    category_id=st.sampled_from([0, 4]),
    int_attr=numbers,
    int_attr3=numbers,
    str_attr=texts,
    str_attr4=texts,
)
int_comparisons = st.builds(
    Comparison,
    st.sampled_from(["int_attr", "int_attr3"]),
    st.sampled_from([">", ">=", "<", "<=", "=", "in", "not in"]),
    st.lists(st.sampled_from([-(2**31), -1, 0, 7]), min_size=1, max_size=3).map(tuple),
)
str_comparisons = st.builds(
    Comparison,
    st.sampled_from(["str_attr", "str_attr4"]),
    st.sampled_from(["=", "!=", "in", "not in"]),
    st.lists(st.sampled_from(["", "a", "é"]), min_size=1, max_size=3).map(tuple),
)
expressions = st.recursive(
    int_comparisons | str_comparisons,
    lambda inner: st.builds(
        lambda kind, terms: kind(terms),
        st.sampled_from([And, Or]),
        st.lists(inner, min_size=2, max_size=3).map(tuple),
    ),
    max_leaves=5,
)
searches = st.builds(
    dict,
    vector=vectors,
    most=st.integers(1, 12),
    category=st.sampled_from([None, None, 0, 4]),
    filter=st.none() | expressions,
    threshold=st.sampled_from([0.0, 0.0, 0.2, 0.6, 0.8, 1.0]),
    distinct=st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 30), vectors, entries),
        st.tuples(st.just("describe"), st.integers(0, 30), vectors, entries),
        st.tuples(st.just("remove"), st.integers(0, 30), vectors, entries),
    ),
    max_size=40,
)


def unit(vector):
    array = np.array(vector, dtype=np.float32)
    return array / np.float32(np.linalg.norm(array))


def keeps(item, wanted):
    attributes = {name: getattr(item, name) for name in ATTRIBUTES}
    return (wanted["category"] in (None, item.category_id)) and (
        wanted["filter"] is None or wanted["filter"].matches(attributes)
    )


def brute_force(held, wanted):
    query = unit(wanted["vector"]).astype(np.float64)
    scored = [
        (round(float(unit(vector).astype(np.float64) @ query), 6), identity, item)
        for identity, (vector, item) in held.items()
        if keeps(item, wanted)
    ]
    scored = [entry for entry in scored if max(entry[0], 0.0) >= wanted["threshold"]]
    scored.sort(key=lambda entry: (-entry[0], entry[1]))
    if wanted["distinct"]:
        first = {}
        for entry in scored:
            first.setdefault(entry[2].product_id, entry)
        scored = list(first.values())
    page = scored[: wanted["most"]]
    return [entry[1] for entry in page], [max(entry[0], 0.0) for entry in page], len(scored)


def applied(index, held, changes):
    """Play the changes on the index and on a plain dictionary; ids only ever grow."""
    fresh = itertools.count(1)
    for kind, number, vector, item in changes:
        known = sorted(held)
        if kind == "put" and (not known or number % 3):
            identity = next(fresh)
            index.put(identity, unit(vector), item)
            held[identity] = (vector, item)
        elif known:
            identity = known[number % len(known)]
            if kind == "put":
                index.put(identity, unit(vector), item)
                held[identity] = (vector, item)
            elif kind == "describe":
                index.describe(identity, item)
                held[identity] = (held[identity][0], item)
            else:
                index.remove([identity])
                del held[identity]


@settings(max_examples=120, deadline=None)
@given(changes=steps, wanted=searches)
def test_the_index_finds_what_a_brute_force_finds(changes, wanted):
    """After any changes, any search returns the ids, scores and total of sorting everything."""
    index, held = VectorIndex(SIDE), {}
    try:
        applied(index, held, changes)
        found = index.search(Wanted(**{**wanted, "vector": unit(wanted["vector"])}))
        assert (list(found.ids), list(found.scores), found.total) == brute_force(held, wanted)
        assert len(index) == len(held)
    finally:
        index.close()


@settings(max_examples=60, deadline=None)
@given(changes=steps, expression=expressions)
def test_matching_agrees_with_the_filter_itself(changes, expression):
    """The columns keep exactly the items that `Expression.matches` keeps."""
    index, held = VectorIndex(SIDE), {}
    try:
        applied(index, held, changes)
        wanted = {"category": None, "filter": expression}
        kept = [identity for identity, (_, item) in sorted(held.items()) if keeps(item, wanted)]
        assert index.matching(expression) == kept
    finally:
        index.close()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1_000), most=st.integers(1, 60), products=st.integers(1, 40))
def test_distinct_products_are_each_products_best(seed, most, products):
    """With many images a product, the best of each is found however deep it ranks."""
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((400, 16)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    # Most images are of one product, and those are the nearest.
    owners = np.where(rng.random(400) < 0.9, 0, rng.integers(0, products, 400))
    query = made[owners == 0].mean(axis=0)
    query /= np.linalg.norm(query)
    index = VectorIndex(16)
    try:
        index.append(range(1, 401), made, [Item(f"p{owner}", "x", 0) for owner in owners])
        found = index.search(Wanted(query, most, distinct=True))
    finally:
        index.close()
    scores = np.round(made.astype(np.float64) @ query.astype(np.float64), 6)
    order = np.argsort(-scores, kind="stable")
    first = {}
    for row in order:
        first.setdefault(owners[row], int(row) + 1)
    assert list(found.ids) == list(first.values())[:most]
    assert found.total == len(first)
