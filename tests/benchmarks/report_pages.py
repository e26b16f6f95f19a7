"""How long a report takes, how large it is and how much memory it needs: many clusters, many rows.

    python tests/benchmarks/report_pages.py [--clusters 10000] [--rows 1000000]

Makes both outputs in a temporary folder (real JPEG files, tables as the commands write them), then reports
on each in a process of its own, whose largest memory is measured. With Playwright and Chromium the page of
clusters is opened as well.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from finished_output import table_of
from measuring.apart import found_apart
from measuring.command_line import command_line, tell
from PIL import Image, ImageDraw

from batchsearch.storage.parts.results_and_hits import hits_schema, results_schema

_CARRIED = pa.schema([("product_id", pa.string()), ("pic_name", pa.string()), ("image", pa.string())])
_FILES = 2_000
_PART = 5_000
_HITS = 3
_SORTED = """() => {
  const begun = performance.now();
  const order = document.querySelector('#gallery-clusters select');
  order.selectedIndex = 1;
  order.dispatchEvent(new Event('change'));
  return performance.now() - begun;
}"""
_FILTERED = """() => {
  const begun = performance.now();
  const least = document.querySelector('#gallery-clusters input[type=number]');
  least.value = '0.9';
  least.dispatchEvent(new Event('input'));
  return performance.now() - begun;
}"""
_START = datetime(2026, 11, 20, 22, tzinfo=UTC)


def main() -> None:
    """Make, report, measure."""
    arguments = command_line(__doc__, clusters=10_000, rows=1_000_000)
    arguments.add_argument("--child", nargs=2, metavar=("DIR", "IMAGES"), help="report on one folder")
    given = arguments.parse_args()
    if given.child:
        _child(Path(given.child[0]), Path(given.child[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        _images(place / "images")
        members = _dedup(place / "dedup", given.clusters)
        _results(place / "run", given.rows, hits=_HITS)
        print(
            f"{given.clusters:,} clusters of {members:,} products; {given.rows:,} rows, {_HITS} hits each\n"
        )
        print(f"{'output':<10}{'seconds':>9}{'CPU':>9}{'peak MB':>9}{'page MB':>9}")
        told: dict[str, dict[str, float]] = {}
        for output in ("dedup", "run"):
            found = told[output] = found_apart(__file__, "--child", place / output, place / "images")
            print(
                f"{output:<10}{found['seconds']:>9.1f}{found['cpu']:>9.1f}{found['peak']:>9.0f}{found['size']:>9.1f}"
            )
        opened = _open(place / "dedup" / "report.html")
        if opened is not None:
            told["dedup"]["opened"] = opened
        tell(given, told)


def _child(folder: Path, images: Path) -> None:
    from batchsearch.tasks.report.limits import ReportOptions
    from batchsearch.tasks.report.reporting import make_report, write_page

    began = time.monotonic()
    report = make_report(folder, ReportOptions(images=images), now=datetime.now(UTC))
    size = write_page(report, folder / "report.html")
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}
    print(json.dumps(found | {"size": size / 1e6}))


def _images(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(_FILES):
        colours = [tuple(int(part) for part in rng.integers(0, 256, 3)) for _ in range(13)]
        image = Image.new("RGB", (800, 600), colours[0])
        pen = ImageDraw.Draw(image)
        for colour in colours[1:]:
            x, y, wide, tall = (int(part) for part in rng.integers(20, 500, 4))
            pen.ellipse((x, y, x + wide, y + tall), fill=colour)
        image.save(folder / f"{number}.jpg", quality=88)


def _results(folder: Path, rows: int, *, hits: int) -> None:
    """Results and hits of a search, in parts, as a run writes them."""
    rng = np.random.default_rng(2)
    schema, found = results_schema("SearchImageByPic", _CARRIED), hits_schema()
    for kind in ("results", "hits"):
        (folder / kind).mkdir(parents=True)
    for part, start in enumerate(range(0, rows, _PART), 1):
        count = min(_PART, rows - start)
        numbers = range(start, start + count)
        keys = [f'["P{number:07}","{number}.jpg"]' for number in numbers]
        failed = rng.random(count) < 0.02
        sent = [_START + timedelta(seconds=number / 10) for number in numbers]
        values = {
            "product_id": [f"P{number:07}" for number in numbers],
            "pic_name": [f"{number}.jpg" for number in numbers],
            "image": [f"{number % _FILES}.jpg" for number in numbers],
            "row_key": keys,
            "row_number": list(numbers),
            "run_id": ["r1"] * count,
            "outcome": ["failed" if bad else "ok" for bad in failed],
            "error_code": ["SearchTimeout" if bad else None for bad in failed],
            "error_origin": ["api" if bad else None for bad in failed],
            "error_owner": ["service" if bad else None for bad in failed],
            "error_message": ["timed out" if bad else None for bad in failed],
            "attempts": rng.integers(1, 3, count),
            "denied": rng.integers(0, 2, count),
            "calls": np.ones(count, dtype=np.int32),
            "first_sent_at": sent,
            "finished_at": sent,
            "latency_ms": rng.lognormal(4.5, 0.6, count),
            "hit_count": np.where(failed, 0, hits),
            "pic_category_id": rng.integers(0, 9, count),
            "pic_region": ["100,600,80,500"] * count,
            "multi_region": [["100,600,80,500"]] * count,
        }
        name = f"part-{part:06}.parquet"
        pq.write_table(table_of(schema, count, values), folder / "results" / name)
        good = [key for key, bad in zip(keys, failed, strict=True) if not bad]
        total = len(good) * hits
        chosen = rng.integers(0, rows, total)
        inside = {
            "row_key": [key for key in good for _ in range(hits)],
            "rank": list(range(1, hits + 1)) * len(good),
            "score": rng.beta(5, 2, total),
            "product_id": [f"P{number:07}" for number in chosen],
            "pic_name": [f"{number}.jpg" for number in chosen],
            "category_id": rng.integers(0, 9, total),
        }
        pq.write_table(table_of(found, total, inside), folder / "hits" / name)


def _dedup(folder: Path, clusters: int) -> int:
    """A dedup job's output: clusters of two to six products, their pairs, and as many pairs that failed."""
    rng = np.random.default_rng(3)
    sizes = rng.choice([2, 3, 4, 6], clusters, p=[0.6, 0.25, 0.1, 0.05])
    products = int(sizes.sum())
    _results(folder / "search", products, hits=_HITS)
    members, pairs = [], []
    number = 0
    for cluster, size in enumerate(sizes):
        head = f"P{number:07}"
        common = {
            "cluster_id": head,
            "representative": head,
            "confidence": float(rng.beta(9, 1)),
            "size": int(size),
            "review": "split: members do not resemble each other" if cluster % 23 == 0 else None,
            "images": 1,
        }
        for place in range(int(size)):
            score = float(rng.uniform(0.82, 1.0))
            product, image, other = f"P{number:07}", f"{number}.jpg", (number + 97) % products
            key = f'["{product}","{image}"]'
            own = {"product_id": product, "is_representative": place == 0, "row_key": key}
            members.append(
                common | own | {"score": score if place else None, "image": f"{number % _FILES}.jpg"}
            )
            if place:
                pairs.append((head, product, score, True, key, f"{int(head[1:])}.jpg", image))
            unlike = float(rng.uniform(0.4, 0.82))
            pairs.append((product, f"P{other:07}", unlike, False, key, image, f"{other}.jpg"))
            number += 1
    _write(folder / "clusters", pa.Table.from_pylist(members))
    names = ("product_a", "product_b", "score", "accepted", "row_key", "pic_a", "pic_b")
    table = pa.table(dict(zip(names, zip(*pairs, strict=True), strict=True)))
    for name, value in (("found_by", "search"), ("threshold", 0.82), ("category_id", 5), ("mutual", True)):
        table = table.append_column(name, pa.array([value] * len(pairs)))
    table = table.append_column("judged", pa.nulls(len(pairs), pa.string()))
    _write(folder / "pairs", table)
    (folder / "dedup.json").write_text("{}")
    return products


def _write(folder: Path, table: pa.Table) -> None:
    folder.mkdir()
    pq.write_table(table, folder / f"{folder.name}.parquet")


def _open(page: Path) -> float | None:
    """Open the page in Chromium: until it can be used, to filter, to sort; None where there is none."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        began = time.monotonic()
        tab.goto(page.as_uri())
        tab.wait_for_selector("#gallery-clusters .card")
        opened = time.monotonic() - began
        print(f"\nopened in Chromium after {opened:.2f} s")
        print(
            f"sorted by size in {tab.evaluate(_SORTED):.0f} ms, filtered in {tab.evaluate(_FILTERED):.0f} ms"
        )
        browser.close()
    return opened


if __name__ == "__main__":
    main()
