"""How long tonight's tables take, and how much memory: 10,000 and more products with ten hits each.

Run from the project's folder: `python tests/benchmarks/cluster_scale.py [--products N ...] [--json]`.
A search's output is made up: 30 % of the products are in groups of two to six that find each other with
scores above the threshold, every product finds itself, and the rest of its ten hits are strangers with low
scores; one group in a hundred is joined to another by a single pair (a chain). `ours` is everything that
`batchsearch dedup` does after the search, from reading the hits to two written tables. The reference, run on
the same files, reads them with pandas and joins the accepted pairs by a union-find in Python, and writes
nothing. Each runs in a process of its own; memory is the peak of what the process has for itself, above that
of a process which has only imported the same packages; `mapped` is the peak of the pages of files that it
has mapped, which the system takes back at need. Ratios are of CPU seconds and of memory. Both must find the
same components before the chain guard. `--ours` leaves the reference out, which needs some 1.7 GB a million;
`--limit` holds ours to so many MB of memory of its own (RLIMIT_DATA).
"""

from __future__ import annotations

import argparse
import json
import re
import resource
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
from measuring.apart import found_apart
from measuring.command_line import command_line, tell

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
    """The output of a search over so many products; some thousand rows are in memory at a time."""
    rng = np.random.default_rng(7)
    groups = Groups(rng, count)
    carried = pa.schema([(name, pa.string()) for name in ("product_id", "pic_name", "image")])
    for name in ("results", "hits"):
        (folder / "search" / name).mkdir(parents=True)
    now = pa.scalar(datetime(2026, 11, 21, tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    width = max(7, len(str(count - 1)))
    for part, start in enumerate(range(0, count, ROWS_PER_PART), start=1):
        some = np.arange(start, min(start + ROWS_PER_PART, count))
        rows = len(some)
        names = called(some, width)
        keys = pc.binary_join_element_wise('["', names, '","front.jpg"]', "")
        values = {
            "product_id": names,
            "pic_name": pa.repeat("front.jpg", rows),
            "image": names,
            "row_key": keys,
            "run_id": pa.repeat("20261121T220000Z-000000", rows),
            "outcome": pa.repeat("ok", rows),
            "answered_at": pa.repeat(now, rows),
            "finished_at": pa.repeat(now, rows),
            "source_width": pa.array(rng.integers(100, 2000, rows)),
            "source_height": pa.array(rng.integers(100, 2000, rows)),
        }
        write(folder / "search" / "results", part, values, results_schema("SearchImageByPic", carried), rows)
        mates = groups.mates(some)
        stranger = mates < 0
        mates[stranger] = rng.integers(0, count, int(stranger.sum()))
        scores = np.where(stranger, rng.uniform(0.1, 0.5, mates.shape), rng.uniform(0.82, 0.99, mates.shape))
        place = np.argsort(-scores, axis=1)
        mates, scores = np.take_along_axis(mates, place, 1), np.take_along_axis(scores, place, 1)
        values = {
            "row_key": keys.take(pa.array(np.repeat(np.arange(rows), HITS))),
            "rank": pa.array(np.tile(np.arange(1, HITS + 1), rows)),
            "score": pa.array(np.concatenate((np.ones((rows, 1)), scores), axis=1).ravel()),
            "product_id": called(np.concatenate((some[:, None], mates), axis=1).ravel(), width),
            "pic_name": pa.repeat("front.jpg", rows * HITS),
        }
        write(folder / "search" / "hits", part, values, hits_schema(), rows * HITS)


def called(products: np.ndarray, width: int) -> pa.Array:
    """What products are called."""
    digits = pc.utf8_lpad(pa.array(products).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise("P", digits, "")


class Groups:
    """Which products are duplicates: 30 %, in groups of two to six, one in a hundred joined to the next."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        self._order = rng.permutation(count).astype(np.int32)
        self._place = np.empty(count, np.int32)
        self._place[self._order] = np.arange(count, dtype=np.int32)
        sizes = rng.integers(2, 7, count // 4 + 1)
        starts = np.concatenate(([0], np.cumsum(sizes)))
        last = int(np.searchsorted(starts, count * 0.3))
        self._starts, self._sizes = starts[:last], sizes[:last]
        self._end = int(starts[last])

    def mates(self, products: np.ndarray) -> np.ndarray:
        """What each product finds of its group, -1 where its hits are strangers."""
        mates = np.full((len(products), HITS - 1), -1, np.int64)
        place = self._place[products]
        inside = np.flatnonzero(place < self._end)
        group = np.searchsorted(self._starts, place[inside], "right") - 1
        start, size = self._starts[group], self._sizes[group]
        own = place[inside] - start
        for number in range(int(self._sizes.max()) - 1):
            there = number < size - 1
            other = start[there] + number + (number >= own[there])
            mates[inside[there], number] = self._order[other]
        # A chain: the first of one group finds the first of the next one.
        chained = (own == 0) & (group % 100 == 0) & (group + 1 < len(self._starts))
        following = self._order[self._starts[group[chained] + 1]]
        mates[inside[chained], size[chained] - 1] = following
        return mates


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


_RSS = re.compile(r"^(RssAnon|RssFile):\s+(\d+) kB", re.MULTILINE)
SIDES = {"ours": ours, "reference": reference, "nothing": nothing}


class Peak:
    """The largest memory of this process that is its own, and of files: those the system takes back at need.

    Looked at every 20 ms. What a process has used at most (`ru_maxrss`) would begin with what the one that
    started it had.
    """

    def __init__(self) -> None:
        self.own = 0
        self.of_files = 0
        self._done = threading.Event()
        self._looking = threading.Thread(target=self._look)

    def _look(self) -> None:
        while True:
            status = dict(_RSS.findall(Path("/proc/self/status").read_text()))
            self.own = max(self.own, int(status.get("RssAnon", 0)) * 1024)
            self.of_files = max(self.of_files, int(status.get("RssFile", 0)) * 1024)
            if self._done.wait(0.02):
                return

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._looking.join()


def measured(side: str, folder: Path, limit: int | None) -> dict[str, Any]:
    """Run one side in this process."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
    started = time.perf_counter()
    with Peak() as peak:
        found = SIDES[side](folder)
    return found | {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
        "peak_mb": round(peak.own / 2**20),
        "mapped_mb": round(peak.of_files / 2**20),
    }


def compared(count: int, sides: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was measured with so many products, by side."""
    ground = sides["nothing"]["peak_mb"]
    for side in sides.values():
        side["mb"] = side["peak_mb"] - ground
    one, other = sides["ours"], sides.get("reference")
    agree = other is None or (one["accepted"] == other["accepted"] and one["members"] <= other["members"])
    found = {"products": count, "hits": count * HITS, "ours": one, "imports_mb": ground, "agree": agree}
    return found if other is None else found | {"reference": other}


def shown(line: dict[str, Any]) -> str:
    """One line of the table."""
    one, other = line["ours"], line.get("reference")
    text = f"{line['products']:<12,}{line['hits']:<14,}{one['accepted']:<12,}{one['clusters']:<12,}"
    text += f"{one['review']:<10,}{one['seconds']:<9}{one['cpu']:<9}{one['mb']:<7,}{one['mapped_mb']:<9,}"
    if other is None:
        return text
    text += f"{other['seconds']:<9}{other['cpu']:<9}{other['mb']:<7,}"
    text += f"{one['cpu'] / other['cpu']:<8.2f}{one['mb'] / max(1, other['mb']):.2f}"
    return text + ("" if line["agree"] else "  THEY DISAGREE")


def main() -> int:
    """Measure, print a table, and fail when the two do not agree."""
    parser = command_line(__doc__)
    parser.add_argument("--products", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--ours", action="store_true", help="do not run the reference")
    parser.add_argument("--limit", type=int, help="MB of memory of its own that ours may have")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side is not None:
        print(json.dumps(measured(arguments.side, arguments.folder, arguments.limit)))
        return 0
    print(f"{'products':<12}{'hits':<14}{'pairs':<12}{'clusters':<12}{'split':<10}{'ours':<34}", end="")
    print(f"{'reference':<25}ours by reference")
    print(" " * 60 + f"{'seconds':<9}{'CPU':<9}{'MB':<7}{'mapped':<9}", end="")
    print(f"{'seconds':<9}{'CPU':<9}{'MB':<7}{'CPU':<8}MB")
    lines = []
    for count in arguments.products:
        with tempfile.TemporaryDirectory(prefix="batchsearch-clusters-") as name:
            folder = Path(name)
            make(folder, count)
            asked = [side for side in SIDES if not arguments.ours or side != "reference"]
            held = [] if arguments.limit is None else ["--limit", arguments.limit]
            sides = {
                side: found_apart(
                    __file__, "--side", side, "--folder", folder, *(held if side == "ours" else ())
                )
                for side in asked
            }
        lines.append(compared(count, sides))
        print(shown(lines[-1]), flush=True)
    tell(arguments, {"lines": lines})
    return 0 if all(line["agree"] for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
