"""`batchsearch diff` over real outputs: what it counts, shows and writes, and what it refuses."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import command, put_all

from batchsearch.engine.run.job import run_job
from batchsearch.tasks.dedup.clusters.pair_and_cluster_tables import CLUSTERS, PAIRS, dedup_schema
from batchsearch.tasks.diff import diffs
from batchsearch.tasks.diff.diff_page import diff_of
from batchsearch.tasks.diff.diffs import NotComparableError, changes_schema

PAIRS_A = [("a", "b", 0.9, True), ("a", "c", 0.85, True), ("b", "c", 0.75, False), ("x", "y", 0.95, True)]
PAIRS_B = [("a", "b", 0.92, True), ("a", "c", 0.7, False), ("b", "c", 0.75, False), ("p", "q", 0.99, True)]
CLUSTERS_A = [("a", "a", "a"), ("a", "b", "a"), ("a", "c", "a"), ("x", "x", "x"), ("x", "y", "x")]
CLUSTERS_B = [("a", "a", "b"), ("a", "b", "b"), ("p", "p", "p"), ("p", "q", "p"), ("q2", "y", "y")]


def night(folder, pairs, clusters):
    """A night's tables with these pairs and members."""
    rows = [
        {"product_a": one, "product_b": other, "score": score, "accepted": accepted}
        for one, other, score, accepted in pairs
    ]
    members = [
        {
            "cluster_id": name,
            "product_id": member,
            "representative": first,
            "is_representative": member == first,
        }
        for name, member, first in clusters
    ]
    for name, table, schema in (
        ("pairs", rows, dedup_schema(PAIRS)),
        ("clusters", members, dedup_schema(CLUSTERS)),
    ):
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(table, schema), folder / name / f"{name}.parquet")
    record = {"night": folder.name, "columns": {"product": "product_id", "image": "pic_name"}}
    (folder / "dedup.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


@pytest.fixture
def nights(tmp_path):
    return night(tmp_path / "a", PAIRS_A, CLUSTERS_A), night(tmp_path / "b", PAIRS_B, CLUSTERS_B)


def difference(a, b, **options):
    return diff_of(a, b, **{"least": 0.001, "show": 20, "parquet": None, **options})


def test_two_nights_differ_in_pairs_and_clusters(nights):
    """New, gone and changed pairs; who joined, left and moved; which cluster has another representative."""
    diff = difference(*nights)
    assert dict(diff.counts) == {
        ("pairs", "new"): 1,
        ("pairs", "gone"): 2,
        ("pairs", "score"): 1,
        ("clusters", "joined"): 2,
        ("clusters", "left"): 2,
        ("clusters", "moved"): 1,
        ("clusters", "representative"): 1,
    }
    text = diff.as_text()
    assert "a and b: 0.9000 -> 0.9200" in text
    assert "a and c: 0.8500 accepted -> 0.7000 not accepted" in text
    assert "p and q: none -> 0.9900 accepted" in text
    assert difference(*nights, least=0.05).counts.get(("pairs", "score"), 0) == 0


def test_a_representative_that_joined_tonight_is_told(tmp_path):
    """A cluster has another representative where a newcomer stands for it, or where the old one left."""
    a = night(tmp_path / "a", [], [("c1", "m", "m"), ("c1", "n", "m"), ("c2", "x", "x"), ("c2", "y", "x")])
    tonight = [("c1", "a-new", "a-new"), ("c1", "m", "a-new"), ("c2", "y", "y"), ("c2", "z", "y")]
    b = night(tmp_path / "b", [], tonight)
    difference(a, b, parquet=tmp_path / "diff.parquet")
    table = pd.read_parquet(tmp_path / "diff.parquet")
    told = table[table["change"] == "representative"]
    assert told[["name", "other", "before", "after"]].to_numpy().tolist() == [
        ["a-new", "c1", "m", "a-new"],
        ["y", "c2", "x", "y"],
    ]


def test_nothing_differs_from_itself(nights):
    """A night compared with itself says so."""
    diff = difference(nights[0], nights[0])
    assert (dict(diff.counts), "Nothing differs." in diff.as_text()) == ({}, True)


def test_sharing_out_the_keys_changes_nothing(nights, monkeypatch):
    """Joined a few rows at a time, the same changes are found."""
    whole = difference(*nights)
    monkeypatch.setattr(diffs, "ROWS_AT_ONCE", 2)
    assert difference(*nights).counts == whole.counts


def test_every_change_goes_into_the_parquet_file(nights, tmp_path):
    """Whatever is shown, the file has all of them, with the declared columns."""
    path = tmp_path / "changes.parquet"
    diff = difference(*nights, show=0, parquet=path)
    table = pq.read_table(path)
    assert table.schema.equals(changes_schema(), check_metadata=True)
    assert table.num_rows == sum(diff.counts.values())
    assert diff.shown == []
    assert not list(tmp_path.glob(".*"))


def test_names_from_outside_are_no_markup(tmp_path):
    """A product id cannot break a Markdown table, nor write to the terminal."""
    bad = "a|b`\x1b[31m"
    one = night(tmp_path / "a", [], [])
    other = night(tmp_path / "b", [(bad, "z", 0.9, True)], [])
    diff = difference(one, other)
    line = next(line for line in diff.as_markdown().splitlines() if "and z" in line)
    assert "\\|" in line
    assert "``" in line
    assert "\x1b" not in diff.as_text() + diff.as_markdown()


def test_the_command_speaks_to_people_and_to_programs(nights, tmp_path):
    """Text, JSON and Markdown say the same; unlike folders are refused with 64."""
    for_people = command("diff", *nights)
    assert (for_people.returncode, "2 pairs gone" in for_people.stdout) == (0, True)
    counts = json.loads(command("diff", *nights, "--json").stdout)["counts"]
    assert counts["pairs"] == {"new": 1, "gone": 2, "score": 1}
    assert "| 2 | pairs gone |" in command("diff", *nights, "--markdown").stdout
    assert command("diff", *nights, "--markdown", "--json").returncode == 64
    refused = command("diff", nights[0], tmp_path)
    assert refused.returncode == 64
    assert "no `results` and no `pairs`" in refused.stderr


@pytest.fixture
def filled(signed_in, images):
    """The emulator with eight of the images."""
    return put_all(signed_in, images, range(8))


async def test_two_runs_differ_in_rows_and_hits(filled, load_here, tmp_path):
    """A row that is gone, one that fails now, and a product that has left the instance."""
    rows = [{"id": f"r{number}", "image": f"p{number:02}.jpg"} for number in range(4)]
    await run_job(load_here(rows, output__dir="one"))
    filled.catalogue().delete("P1", "front")
    rows[2]["image"] = "missing.jpg"
    await run_job(load_here(rows[1:], output__dir="two"))
    diff = difference(tmp_path / "one", tmp_path / "two")
    assert diff.counts["results", "gone"] == 1
    assert diff.counts["results", "outcome"] == 1
    assert "r2: ok -> Local.ImageMissing" in diff.as_text()
    hits = [
        pd.read_parquet(tmp_path / name / "hits").set_index(["row_key", "product_id"])
        for name in ("one", "two")
    ]
    assert diff.counts["hits", "gone"] == len(hits[0].index.difference(hits[1].index))
    assert diff.counts.get(("hits", "new"), 0) == len(hits[1].index.difference(hits[0].index))


async def test_unlike_runs_are_not_compared(filled, load_here, nights, tmp_path):
    """Another operation, other keys, or a run beside a night: each is refused in plain words."""
    rows = [{"id": "r0", "sku": "s0", "image": "p00.jpg", "product_id": "P0", "pic_name": "front"}]
    await run_job(load_here(rows, output__dir="pics"))
    await run_job(load_here(rows, output__dir="keys", manifest__key=["sku"]))
    by_name = load_here(rows, output__dir="names", operation="SearchImageByName")
    await run_job(by_name)
    with pytest.raises(NotComparableError, match=r"holds SearchImageByPic and .* holds SearchImageByName"):
        difference(tmp_path / "pics", tmp_path / "names")
    with pytest.raises(NotComparableError, match="compare two of one kind"):
        difference(tmp_path / "pics", nights[0])
    with pytest.raises(NotComparableError, match=r"named by id in .* and by sku in"):
        difference(tmp_path / "pics", tmp_path / "keys")
