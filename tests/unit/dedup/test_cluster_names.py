"""Which id each of tonight's clusters has."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchsearch.tasks.dedup.candidates import in_pieces
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.candidates.text_index import TextIndex
from batchsearch.tasks.dedup.clusters.names import NEW, new_names, taken_over


def named(clusters, representatives, earlier):
    """The id of each cluster, from texts: its members, what stands for it, and ids of the night before."""
    products = sorted({member for members in clusters for member in members})
    names = sorted(set(earlier.values()))
    members = [(number, member) for number, some in enumerate(clusters) for member in some]
    had = [names.index(earlier[member]) if member in earlier else -1 for _, member in members]
    taken = taken_over(
        np.array([number for number, _ in members], np.int32),
        np.array(had, np.int32),
        np.array([products.index(name) for name in representatives], np.int32),
        len(names),
        Room(),
    )
    new = [name for name, at in zip(representatives, taken, strict=True) if at == NEW]
    portions = [(start, pa.array(new[start : start + 2], pa.string())) for start in range(0, len(new), 2)]
    other = new_names(portions, TextIndex(pa.array(names, pa.string())))
    called = iter([other.get(place, name) for place, name in enumerate(new)])
    return [next(called) if at == NEW else names[at] for at in taken.tolist()]


def one_by_one(clusters, representatives, earlier):
    """The same, cluster by cluster."""
    claims = []
    for number, members in enumerate(clusters):
        votes = Counter(earlier[member] for member in members if member in earlier)
        claims += [(-count, name, number) for name, count in votes.items()]
    ids, taken = {}, set()
    for _, name, number in sorted(claims, key=lambda claim: (claim[0], claim[1], representatives[claim[2]])):
        if number not in ids and name not in taken:
            ids[number] = name
            taken.add(name)
    taken |= set(earlier.values())
    for number, representative in enumerate(representatives):
        if number not in ids:
            name, again = representative, 2
            while name in taken:
                name, again = f"{representative}~{again}", again + 1
            ids[number] = name
            taken.add(name)
    return [ids[number] for number in range(len(clusters))]


def test_a_cluster_keeps_its_id_when_another_product_stands_for_it():
    """The id goes to the cluster that has most of the former members; the rest gets a new one."""
    earlier = {"a": "a", "b": "a", "c": "a", "d": "d"}
    assert named([["a", "b"], ["c", "x"], ["d", "e"]], ["b", "c", "e"], earlier) == ["a", "c", "d"]
    assert named([["b", "c"], ["a", "x"]], ["b", "a"], earlier) == ["a", "a~2"]


@pytest.mark.parametrize("seed", range(40))
def test_ids_are_those_of_going_through_clusters_one_by_one(seed, monkeypatch):
    """Also where products are called like the numbered ids of others, and few members are read at once."""
    monkeypatch.setattr(in_pieces, "AT_ONCE", 1 + seed % 4)
    rng = np.random.default_rng(seed)
    pool = ["a", "b", "c", "a~2", "a~3", "a~2~2", "b~2", "d", "e", "f", "g", "h"]
    order = rng.permutation(pool).tolist()
    sizes = rng.integers(1, 4, 6)
    clusters, at = [], 0
    for size in sizes.tolist():
        clusters.append(order[at : at + size])
        at += size
    clusters = [some for some in clusters if some]
    representatives = [some[0] for some in clusters]
    had = rng.choice(pool, int(rng.integers(0, 9)), replace=False).tolist()
    earlier = {product: str(rng.choice(pool[:7])) for product in had}
    assert named(clusters, representatives, earlier) == one_by_one(clusters, representatives, earlier)


def test_without_an_earlier_night_clusters_are_called_like_what_stands_for_them():
    """No id is taken yet."""
    assert named([["a", "b"], ["c", "a~2"]], ["a", "a~2"], {}) == ["a", "a~2"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_cluster_ids_are_unique_and_stay(data):
    """Each cluster has an id of its own, and unchanged clusters keep theirs, whoever stands for them."""
    products = [f"P{number}" for number in range(10)]
    home = {name: data.draw(st.integers(0, 4)) for name in products}
    groups = [[name for name in products if home[name] == number] for number in range(5)]
    groups = [group for group in groups if group]
    first = named(groups, [group[0] for group in groups], {})
    assert first == [group[0] for group in groups]
    earlier = {name: first[place] for place, group in enumerate(groups) for name in group}
    again = named(groups, [group[-1] for group in groups], earlier)
    assert again == first
    moved = {name: data.draw(st.integers(0, 4)) for name in products}
    new = [[name for name in products if moved[name] == number] for number in range(5)]
    new = [group for group in new if group]
    ids = named(new, [group[0] for group in new], earlier)
    assert len(set(ids)) == len(new)
