"""How long tonight's tables take, and how much memory: 10,000 to 1,000,000 products with ten hits each.

Run from the project's folder: `python tests/benchmarks/cluster_scale.py [--products N ...] [--json]`.
A search's output is made up: 30 % of the products are in groups of two to six that find each other with
scores above the threshold, every product finds itself, and the rest of its ten hits are strangers with low
scores; one group in a hundred is joined to another by a single pair (a chain). `ours` is everything that
`batchsearch dedup` does after the search, from reading the hits to two written tables. The reference, run on
the same files, reads them with pandas and joins the accepted pairs by a union-find in Python, and writes
nothing. Each runs in a process of its own; memory is the peak of what the process has for itself (pages of
files not counted), above that of a process which has only imported the same packages; ratios are of CPU
seconds and of memory. Both must find the same components before the chain guard.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.storage.parts.results_and_hits import hits_schema, results_schema
from batchsearch.tasks.dedup.candidates.catalogue_images import Columns
from batchsearch.tasks.dedup.clusters.building import build
from batchsearch.tasks.dedup.clusters.judgements import Judgements
from batchsearch.tasks.dedup.clusters.table_rows import Sources

HITS = 10
ROWS_PER_PART = 50_000
THRESHOLD = 0.8
COLUMNS = Columns("product_id", "pic_name", "image", None, None)


def make(folder: Path, count: int) -> None:
    """The output of a search over so many products."""
    rng = np.random.default_rng(7)
    products = pc.binary_join_element_wise(
        "P", pc.utf8_lpad(pa.array(np.arange(count)).cast(pa.string()), 7, "0"), ""
    )
    keys = pc.binary_join_element_wise('["', products, '","front.jpg"]', "")
    group = np.full(count, -1)
    group_size = np.ones(count, np.int64)
    order = rng.permutation(count)
    at, number, starts = 0, 0, []
    sizes = rng.integers(2, 7, count)
    while at < count * 0.3:
        size = int(sizes[number])
        group[order[at : at + size]] = number
        group_size[order[at : at + size]] = size
        starts.append((at, size))
        at, number = at + size, number + 1
    members = [order[start : start + size] for start, size in starts]
    mates = np.full((count, HITS - 1), -1, np.int64)
    for inside in members:
        for place, member in enumerate(inside):
            mates[member, : len(inside) - 1] = np.delete(inside, place)
    # A chain: the first of one group finds the first of the next one.
    for left, right in zip(members[:-1:100], members[1::100], strict=False):
        mates[left[0], len(left) - 1] = right[0]
    stranger = mates < 0
    mates[stranger] = rng.integers(0, count, int(stranger.sum()))
    scores = np.where(stranger, rng.uniform(0.1, 0.5, mates.shape), rng.uniform(0.82, 0.99, mates.shape))
    place = np.argsort(-scores, axis=1)
    mates, scores = np.take_along_axis(mates, place, 1), np.take_along_axis(scores, place, 1)
    found = np.concatenate((np.arange(count)[:, None], mates), axis=1)
    scores = np.concatenate((np.ones((count, 1)), scores), axis=1)
    carried = pa.schema([(name, pa.string()) for name in ("product_id", "pic_name", "image")])
    for name in ("results", "hits"):
        (folder / "search" / name).mkdir(parents=True)
    now = pa.scalar(datetime(2026, 11, 21, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    for part, start in enumerate(range(0, count, ROWS_PER_PART), start=1):
        some = slice(start, min(start + ROWS_PER_PART, count))
        rows = some.stop - some.start
        names = products[some]
        values = {
            "product_id": names,
            "pic_name": pa.repeat("front.jpg", rows),
            "image": names,
            "row_key": keys[some],
            "run_id": pa.repeat("20261121T220000Z-000000", rows),
            "outcome": pa.repeat("ok", rows),
            "answered_at": pa.repeat(now, rows),
            "finished_at": pa.repeat(now, rows),
            "source_width": pa.array(rng.integers(100, 2000, rows)),
            "source_height": pa.array(rng.integers(100, 2000, rows)),
        }
        write(folder / "search" / "results", part, values, results_schema("SearchImageByPic", carried), rows)
        flat = pa.array(found[some].ravel())
        values = {
            "row_key": keys.take(pa.array(np.repeat(np.arange(some.start, some.stop), HITS))),
            "rank": pa.array(np.tile(np.arange(1, HITS + 1), rows)),
            "score": pa.array(scores[some].ravel()),
            "product_id": products.take(flat),
            "pic_name": pa.repeat("front.jpg", rows * HITS),
        }
        write(folder / "search" / "hits", part, values, hits_schema(), rows * HITS)


def write(folder: Path, part: int, values: dict[str, pa.Array], schema: pa.Schema, rows: int) -> None:
    """One part with these columns; the others are null."""
    arrays = [values[f.name].cast(f.type) if f.name in values else pa.nulls(rows, f.type) for f in schema]
    pq.write_table(
        pa.Table.from_arrays(arrays, schema=schema), folder / f"part-{part:06}.parquet", compression="zstd"
    )


def ours(folder: Path) -> dict[str, Any]:
    """Everything after the search."""
    keys = (
        batch.column("row_key").to_pylist()
        for path in sorted((folder / "search" / "results").glob("*.parquet"))
        for batch in pq.ParquetFile(path).iter_batches(8192, columns=["row_key"])
    )
    sources = Sources(
        folder=folder,
        search=folder / "search",
        columns=COLUMNS,
        keys=keys,
        judgements=Judgements({}),
        local=None,
        compare=None,
        copies=None,
        night="20261121T220000Z-000000",
        now=datetime.now(UTC),
    )
    dedup = DedupSettings(threshold=THRESHOLD, colours=None, verify=None)
    counts = build(HITS, dedup, sources)
    return {name: counts[name] for name in ("accepted", "clusters", "members", "review")}


def reference(folder: Path) -> dict[str, Any]:
    """Read with pandas, joined by a union-find in Python; nothing is split, nothing written."""
    home: dict[str, str] = {}

    def find(name: str) -> str:
        while home.setdefault(name, name) != name:
            home[name] = home[home[name]]
            name = home[name]
        return name

    results = pd.read_parquet(folder / "search" / "results", columns=["row_key", "product_id"])
    hits = pd.read_parquet(folder / "search" / "hits", columns=["row_key", "product_id", "score"])
    hits = hits[hits["score"] >= THRESHOLD].merge(results, on="row_key", suffixes=("", "_searched"))
    hits = hits[hits["product_id"] != hits["product_id_searched"]]
    pairs = set()
    for one, other in zip(hits["product_id_searched"], hits["product_id"], strict=True):
        pairs.add((min(one, other), max(one, other)))
        home[find(one)] = find(other)
    roots = pd.Series([find(name) for name in list(home)]).value_counts()
    return {"accepted": len(pairs), "clusters": len(roots), "members": int(roots.sum())}


def nothing(folder: Path) -> dict[str, Any]:
    """What a process needs that has only imported the packages."""
    from scipy.sparse import csgraph

    return {"imported": f"{csgraph.__name__} {folder.name}"}


SIDES = {"ours": ours, "reference": reference, "nothing": nothing}


class Peak:
    """The largest memory of this process that is its own: pages of files the system takes back at need.

    Looked at every 20 ms. What a process has used at most (`ru_maxrss`) would begin with what the one that
    started it had.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._done = threading.Event()
        self._looking = threading.Thread(target=self._look)

    def _look(self) -> None:
        while True:
            own = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
            self.bytes = max(self.bytes, int(own[1]) * 1024 if own else 0)
            if self._done.wait(0.02):
                return

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._looking.join()


def in_process(side: str, folder: Path) -> dict[str, Any]:
    """Run one side in a process of its own."""
    ran = subprocess.run(
        [sys.executable, __file__, "--side", side, "--folder", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def main() -> int:
    """Measure, print a table, and fail when the two do not agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side is not None:
        started = time.perf_counter()
        with Peak() as peak:
            found = SIDES[arguments.side](arguments.folder)
        found |= {
            "seconds": round(time.perf_counter() - started, 2),
            "cpu": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
            "peak_mb": round(peak.bytes / 2**20),
        }
        print(json.dumps(found))
        return 0
    print(f"{'products':<12}{'hits':<14}{'pairs':<12}{'clusters':<12}{'split':<10}{'ours':<23}", end="")
    print(f"{'reference':<23}ours by reference")
    print(" " * 60 + f"{'seconds':<8}{'CPU':<8}{'MB':<7}" * 2 + f"{'CPU':<8}MB")
    lines = []
    for count in arguments.products:
        with tempfile.TemporaryDirectory(prefix="batchsearch-clusters-") as name:
            folder = Path(name)
            make(folder, count)
            sides = {side: in_process(side, folder) for side in SIDES}
        ground = sides["nothing"]["peak_mb"]
        one, other = sides["ours"], sides["reference"]
        agree = one["accepted"] == other["accepted"] and one["members"] <= other["members"]
        for side in (one, other):
            side["mb"] = side["peak_mb"] - ground
        line = {
            "products": count,
            "hits": count * HITS,
            "ours": one,
            "reference": other,
            "imports_mb": ground,
            "agree": agree,
        }
        lines.append(line)
        print(
            f"{count:<12,}{count * HITS:<14,}{one['accepted']:<12,}{one['clusters']:<12,}{one['review']:<10,}"
            f"{one['seconds']:<8}{one['cpu']:<8}{one['mb']:<7,}"
            f"{other['seconds']:<8}{other['cpu']:<8}{other['mb']:<7,}"
            f"{one['cpu'] / other['cpu']:<8.2f}{one['mb'] / max(1, other['mb']):.2f}"
            + ("" if agree else "  THEY DISAGREE"),
            flush=True,
        )
    if arguments.json:
        print(json.dumps({"lines": lines}))
    return 0 if all(line["agree"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
