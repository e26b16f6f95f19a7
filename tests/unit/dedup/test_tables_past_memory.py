"""A night's tables are the same however little memory holds; what a killed night leaves is nothing."""

import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.storage.parts.results_and_hits import hits_schema, results_schema
from batchsearch.tasks.dedup.candidates import in_pieces, off_memory, pair_folding
from batchsearch.tasks.dedup.candidates.catalogue_images import Columns
from batchsearch.tasks.dedup.clusters.building import build
from batchsearch.tasks.dedup.clusters.judgements import Judgements, Said
from batchsearch.tasks.dedup.clusters.table_rows import Sources

CARRIED = pa.schema([(name, pa.string()) for name in ("product_id", "pic_name", "image", "title")])
COLUMNS = Columns("product_id", "pic_name", "image", None, None, "title")
HITS = 6
NOW = datetime(2026, 11, 21, tzinfo=UTC)
TABLES = ("pairs", "clusters", "findings")


def write(folder, rows, schema, per_part):
    folder.mkdir(parents=True)
    for part, start in enumerate(range(0, len(rows), per_part), start=1):
        some = rows[start : start + per_part]
        columns = [
            pa.array([row.get(name) for row in some]).cast(schema.field(name).type) for name in schema.names
        ]
        pq.write_table(pa.table(columns, schema=schema), folder / f"part-{part:06}.parquet")


def searched(folder, groups, *, seed=0, names=("front", "back")):
    """A search over groups of products that find each other, some of one file, answered in any order."""
    rng = np.random.default_rng(seed)
    products = [f"p{number:03}" for number in rng.permutation(sum(groups))]
    home = np.repeat(np.arange(len(groups)), groups)
    results, hits = [], []
    for at in rng.permutation(len(products)):
        product, mates = products[at], [products[other] for other in np.flatnonzero(home == home[at])]
        for name in names:
            key = f'["{product}","{name}"]'
            results.append(
                {
                    "product_id": product,
                    "pic_name": name,
                    "image": f"{product}/{name}.jpg",
                    "title": None if at % 3 else f"lamp {product}",
                    "row_key": key,
                    "run_id": f"night{int(rng.integers(2))}",
                    "outcome": "ok",
                    "answered_at": NOW,
                    "finished_at": NOW,
                    "source_width": int(rng.integers(100, 999)),
                    "source_height": 100,
                    "source_sha256": f"{at:063x}{name[0]}" if at % 5 else f"{home[at]:064x}",
                }
            )
            others = [mate for mate in mates if mate != product][: HITS - 1]
            scores = np.sort(rng.uniform(0.81, 0.99, len(others)))[::-1].round(4)
            for rank, mate in enumerate([product, *others]):
                score = scores[rank - 1] if rank else 1.0
                hit = {"row_key": key, "rank": rank + 1, "score": float(score), "product_id": mate}
                hits.append({**hit, "pic_name": "front"})
    write(folder / "search" / "results", results, results_schema("SearchImageByPic", CARRIED), 13)
    write(folder / "search" / "hits", hits, hits_schema(), 29)


def night(folder, *, said=None):
    keys = pq.read_table(folder / "search" / "results", columns=["row_key"]).column(0).to_pylist()
    sources = Sources(
        folder=folder,
        search=folder / "search",
        columns=COLUMNS,
        keys=iter([keys[:7], keys[7:]]),
        judgements=Judgements(said or {}),
        local=None,
        compare=None,
        copies=None,
        night="n",
        now=NOW,
    )
    counts = build(HITS, DedupSettings(threshold=0.8, colours=None, verify=None), sources)
    return counts, {name: pq.read_table(folder / name / f"{name}.parquet") for name in TABLES}


@pytest.fixture(params=[0, 3_000])
def little(request, monkeypatch):
    """Memory for so many bytes; pairs are folded a few at a time."""

    def narrowed():
        monkeypatch.setattr(off_memory, "IN_MEMORY", request.param)
        monkeypatch.setattr(in_pieces, "AT_ONCE", 1 + request.param // 500)
        monkeypatch.setattr(pair_folding, "_FOLD_AT", 40)
        monkeypatch.setattr(pair_folding.PairFolder.__init__, "__kwdefaults__", {"fold_at": 40})

    return narrowed


@pytest.mark.parametrize(
    "groups", [[2, 3, 1, 5, 4] * 2, [1] * 9, [9], [2]], ids=["groups", "no pair", "one cluster", "one pair"]
)
def test_tables_are_the_same_however_little_memory_holds(tmp_path, little, groups):
    """Tonight's and those of the night after, which go by tonight's; judgements and equal files count."""
    said = {("p000", "p001"): Said(1)} if sum(groups) > 2 else {}
    for name in ("much", "little"):
        searched(tmp_path / name, groups)
    wanted = [night(tmp_path / "much", said=said), night(tmp_path / "much")]
    little()
    found = [night(tmp_path / "little", said=said), night(tmp_path / "little")]
    assert [counts for counts, _ in found] == [counts for counts, _ in wanted]
    for (_, mine), (_, theirs) in zip(found, wanted, strict=True):
        for table in TABLES:
            assert mine[table].equals(theirs[table])
    assert sorted(path.name for path in (tmp_path / "little").iterdir()) == sorted([*TABLES, "search"])


def test_pairs_and_clusters_are_those_of_going_through_hits_one_by_one(tmp_path, little):
    """Best scores of both directions by dictionaries; members joined one after the other."""
    searched(tmp_path, [2, 3, 1, 4] * 5, seed=4, names=["front"])
    little()
    _, tables = night(tmp_path)
    results = pq.read_table(tmp_path / "search" / "results").to_pylist()
    owner = {row["row_key"]: row["product_id"] for row in results}
    best, home = {}, {}
    for hit in pq.read_table(tmp_path / "search" / "hits").to_pylist():
        one, other = owner[hit["row_key"]], hit["product_id"]
        if one != other:
            best[one, other] = max(best.get((one, other), 0.0), hit["score"])
    for one, other in best:
        group = home.get(one, {one}) | home.get(other, {other})
        home |= dict.fromkeys(group, group)
    pairs = sorted({tuple(sorted(each)) for each in best})
    rows = tables["pairs"].to_pylist()
    assert [(row["product_a"], row["product_b"]) for row in rows] == pairs
    for row in rows:
        one, other = row["product_a"], row["product_b"]
        there, back = best.get((one, other)), best.get((other, one))
        assert (row["score_ab"], row["score_ba"], row["score"]) == (there, back, max(there or 0, back or 0))
    clusters = {}
    for row in tables["clusters"].to_pylist():
        clusters.setdefault(row["cluster_id"], set()).add(row["product_id"])
    groups = {tuple(sorted(group)) for group in home.values()}
    assert sorted(tuple(sorted(members)) for members in clusters.values()) == sorted(groups)


def test_a_killed_night_leaves_nothing_and_runs_again(tmp_path):
    """Files without a name are gone with the process that was killed while it wrote them."""
    for name in ("whole", "killed"):
        searched(tmp_path / name, [2, 3, 4] * 5)
    _, wanted = night(tmp_path / "whole")
    program = f"""
        import os, signal
        from pathlib import Path
        from batchsearch.tasks.dedup.candidates import off_memory
        from tests.unit.dedup.test_tables_past_memory import night
        off_memory.IN_MEMORY = 0
        made = off_memory.Room.file
        files = []
        def file(self):
            files.append(made(self))
            files[-1].write(b"begun")
            if len(files) == 30:
                os.kill(os.getpid(), signal.SIGKILL)
            files[-1].seek(0)
            files[-1].truncate()
            return files[-1]
        off_memory.Room.file = file
        night(Path({str(tmp_path / "killed")!r}))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["search"]
    _, found = night(tmp_path / "killed")
    for table in TABLES:
        assert found[table].equals(wanted[table])
