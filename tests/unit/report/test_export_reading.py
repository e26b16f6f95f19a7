"""Rows looked up and told of in bounded memory: chunks change nothing of what is found."""

from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTERS, PAIRS, dedup_schema
from batchsearch.tasks.export import dedup_sheets
from batchsearch.tasks.export.dedup_sheets import _whole_clusters
from batchsearch.tasks.export.shapes import manifest_columns, named_beside
from batchsearch.tasks.export.table_batches import Lookup
from batchsearch.tasks.export.told import Member, Told, told_of

SCHEMA = pa.schema([("key", pa.string()), ("image", pa.string()), ("value", pa.int64())])


def written(path, rows, schema, group=3):
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, row_group_size=group)
    return path


@pytest.fixture
def files(tmp_path):
    """Two files of rows whose keys come several times, in row groups of three."""
    rows = [{"key": f"k{number % 10}", "image": f"p{number}", "value": number} for number in range(40)]
    return [
        written(tmp_path / "a.parquet", rows[:25], SCHEMA),
        written(tmp_path / "b.parquet", rows[25:], SCHEMA),
    ]


def test_the_first_row_of_a_key_is_found_in_the_order_asked(files):
    """Keys in any order, several times, unknown and missing: one row each, nulls where there is none."""
    found = Lookup(files, "key", SCHEMA).find(["k7", "none", "k0", None, "k7"])
    assert found["value"].to_pylist() == [7, None, 0, None, 7]
    assert Lookup([], "key", SCHEMA).find(["k7"])["value"].to_pylist() == [None]


def test_the_row_with_the_wanted_image_is_preferred(files):
    """Of several rows of a key the one that is wanted is taken; the first where it is not there."""
    lookup = Lookup(files, "key", SCHEMA)
    found = lookup.find(["k7", "k7", "k7", "k3"], prefer="image", wanted=["p37", "p17", "gone", None])
    assert found["value"].to_pylist() == [37, 17, 7, 3]


def pair(a, b, *, accepted=True, confidence=0.5, verdict="same_photo"):
    one, other = sorted([a, b])
    return {
        "product_a": one,
        "product_b": other,
        "accepted": accepted,
        "confidence": confidence,
        "verdict": verdict,
        "reason": f"{one}{other}",
    }


def test_a_member_is_told_by_its_representative_or_by_the_surest_within_its_cluster(tmp_path):
    """The pair with the representative counts, accepted or not; else the surest accepted one inside."""
    members = [{"product_id": name, "cluster_id": "a", "representative": "a"} for name in "abcd"]
    members += [{"product_id": name, "cluster_id": "x", "representative": "x"} for name in "xy"]
    clusters = [written(tmp_path / "c.parquet", members, dedup_schema(CLUSTERS))]
    told = [
        pair("a", "b"),
        pair("b", "c", confidence=0.6),
        pair("c", "d", confidence=0.7),
        pair("c", "x", confidence=0.99),
        pair("a", "d", accepted=False, verdict="alike"),
        pair("b", "d", confidence=0.95),
        pair("x", "y"),
    ]
    pairs = [written(tmp_path / "p.parquet", told, dedup_schema(PAIRS))]
    asked = [Member(each["product_id"], each["cluster_id"], each["representative"]) for each in members]
    assert told_of(asked, pairs, clusters) == {
        "b": Told("a", "same_photo", "ab"),
        "c": Told("d", "same_photo", "cd"),
        "d": Told("a", "alike", "ad"),
        "y": Told("x", "same_photo", "xy"),
    }
    assert told_of(asked, [], clusters) == {}


@pytest.mark.parametrize("members", [1, 2, 4, 5, 7, 100])
def test_clusters_are_not_cut_between_chunks(tmp_path, monkeypatch, members):
    """Chunks hold whole clusters, whatever their size, and all rows in order."""
    monkeypatch.setattr(dedup_sheets, "_MEMBERS", members)
    monkeypatch.setattr("batchsearch.tasks.export.table_batches.BATCH_ROWS", 2)
    sizes = [2, 3, 9, 2, 2, 5]
    ids = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
    schema = pa.schema([("cluster_id", pa.string())])
    file = written(tmp_path / "c.parquet", [{"cluster_id": each} for each in ids], schema)
    chunks = [chunk.column("cluster_id").to_pylist() for chunk in _whole_clusters([file], schema)]
    assert [each for chunk in chunks for each in chunk] == ids
    for before, after in pairwise(chunks):
        assert before[-1] != after[0] or set(before) == {before[-1]}


def test_names_that_an_export_has_itself_are_the_manifests_under_another_name():
    """A column of a taken name gets `manifest_`, whatever its case; one that says the same is left out."""
    assert named_beside(["score", "title"], ["Score", "manifest_Score", "title", "brand"]) == {
        "Score": "manifest_manifest_Score",
        "manifest_Score": "manifest_Score",
        "title": "manifest_title",
        "brand": "brand",
    }
    assert named_beside(["title"], ["title", "brand"], same={"title"}) == {"brand": "brand"}


def test_the_manifests_columns_are_those_before_the_runs_own():
    """Of a table of results, what stands before `row_key` and is no column of a run."""
    names = ["sku", "Title", "row_key", "outcome", "score"]
    assert manifest_columns(pa.schema([(name, pa.string()) for name in names])) == ("sku", "Title")
