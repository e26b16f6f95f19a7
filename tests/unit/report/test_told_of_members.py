"""What is told of a cluster's members is what the table of pairs says, in memory for one pair a member."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.tasks.export import told
from batchsearch.tasks.export.told import Member, Told, told_of

NAMES = [f"p{number}" for number in range(14)]


def expected(members, pairs, cluster_of):
    """The same, said plainly: all pairs of each member side by side."""
    found = {}
    for member in members:
        mine = [row for row in pairs if member.product in (row["product_a"], row["product_b"])]
        others = [next(name for name in _both(row) if name != member.product) for row in mine]
        with_it = [row for row, other in zip(mine, others, strict=True) if other == member.representative]
        inside = [
            row
            for row, other in zip(mine, others, strict=True)
            if row["accepted"] and cluster_of.get(other) == member.cluster
        ]
        if member.product == member.representative or not (with_it or inside):
            continue
        row = with_it[-1] if with_it else max(inside, key=lambda row: row["confidence"] or row["score"])
        other = next(name for name in _both(row) if name != member.product)
        found[member.product] = Told(other, row["verdict"], row["reason"])
    return found


def _both(row):
    return row["product_a"], row["product_b"]


@pytest.mark.parametrize("seed", range(12))
def test_the_pair_with_the_representative_tells_or_the_surest_within_the_cluster(tmp_path, monkeypatch, seed):
    """Whatever pairs there are and however they are read, a member is told of as by all of them at once."""
    monkeypatch.setattr(told, "_BATCH_ROWS", 1 + seed % 4)
    chance = random.Random(seed)
    cluster_of = {name: f"c{number % 4}" for number, name in enumerate(NAMES[:-2])}
    stands = {f"c{number}": f"p{number}" for number in range(4)}
    drawn = [(a, b) for place, a in enumerate(NAMES) for b in NAMES[place + 1 :]]
    pairs = [
        {
            "product_a": a,
            "product_b": b,
            "score": chance.choice([0.4, 0.8]),
            "confidence": chance.choice([None, 0.5, 0.9]),
            "accepted": chance.random() < 0.7,
            "verdict": f"{a} {b}",
            "reason": None,
        }
        for a, b in chance.sample(drawn, 40)
    ]
    files = [tmp_path / "pairs.parquet", tmp_path / "clusters.parquet"]
    pq.write_table(pa.Table.from_pylist(pairs), files[0])
    clusters = {"product_id": list(cluster_of), "cluster_id": list(cluster_of.values())}
    pq.write_table(pa.table(clusters), files[1])
    members = [Member(name, cluster, stands[cluster]) for name, cluster in cluster_of.items()]
    chosen = chance.sample(members, 7)
    assert told_of(chosen, [files[0]], [files[1]]) == expected(chosen, pairs, cluster_of)
