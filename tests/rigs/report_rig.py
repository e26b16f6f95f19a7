"""Output folders to report on: a search, a comparison and a dedup job over a real embedded instance."""

import asyncio
import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from csv_rows import write_rows
from PIL import Image, ImageDraw

from batchsearch.config.load import load_job
from batchsearch.engine.run.job import run_job
from batchsearch.tasks.report.limits import ReportOptions
from batchsearch.tasks.report.reporting import make_report, write_page

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "line\u2028separator\u2029and<!--<script>",
    "{{ 7*7 }}{% raw %}",
    "=cmd|' /C calc'!A0",
    'comma,"quote" and `tick` | pipe',
    "@everyone https://example.invalid/x",
    "\u202ereversed",
)
"""Product ids that somebody chose to see what happens."""

REAL, WHOLE, COUNT, TEXT = pa.float64(), pa.int64(), pa.int32(), pa.string()
PAIRS = pa.schema(
    [
        *((name, TEXT) for name in ("product_a", "product_b")),
        *((name, REAL) for name in ("score", "score_ab", "score_ba")),
        *((name, COUNT) for name in ("rank_ab", "rank_ba")),
        ("mutual", pa.bool_()),
        ("images", COUNT),
        *((name, TEXT) for name in ("row_key", "pic_a", "pic_b", "found_by")),
        ("category_id", WHOLE),
        ("threshold", REAL),
        ("judged", TEXT),
        ("accepted", pa.bool_()),
        ("run_id", TEXT),
        ("found_at", pa.timestamp("us", "UTC")),
    ]
)
CLUSTERS = pa.schema(
    [
        ("cluster_id", TEXT),
        ("product_id", TEXT),
        ("is_representative", pa.bool_()),
        ("representative", TEXT),
        ("confidence", REAL),
        ("size", COUNT),
        ("review", TEXT),
        ("score", REAL),
        ("images", COUNT),
        ("image", TEXT),
        ("row_key", TEXT),
    ]
)


def draw(seed, size=(320, 240)):
    """An image with one thing in the middle, unlike that of another seed."""
    rng = random.Random(seed)
    colour = tuple(rng.randrange(40, 230) for _ in range(3))
    image = Image.new("RGB", size, tuple(min(255, part + 20) for part in colour))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.randrange(80, 180), rng.randrange(50, 130)
        fill = tuple(rng.randrange(256) for _ in range(3))
        pen.rectangle((x, y, x + rng.randrange(20, 90), y + rng.randrange(20, 90)), fill=fill)
    return image


def run(folder, job):
    """Work through a job to its end."""
    file = folder / "job.yaml"
    file.write_text(yaml.safe_dump(job), encoding="utf-8")
    settings = load_job(file, environ={}).settings
    # In a thread of its own: the browser's driver has an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(run_job(settings))).result()


def job_over(folder, manifest, *, key=("product_id", "pic_name"), **settings):
    return {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": "emulator", "name": "demo", "qps": 200, "custom_qps": True},
        "manifest": {"path": str(manifest), "key": list(key)},
        "images": {"root": str(folder / "images")},
        "output": {"dir": str(folder / "out")},
        "max_failed": "100%",
    } | settings


def products(folder):
    """Twenty-eight products, the first of hostile names, with an image each; the manifest's rows."""
    images = folder / "images"
    images.mkdir()
    rows = []
    for number in range(28):
        image = draw(number // 2, (320, 240) if number % 3 else (240, 320))
        exif = Image.Exif()
        if number % 5 == 4:
            exif[0x0112] = 6
        image.save(images / f"p{number:02}.jpg", quality=88, exif=exif)
        name = HOSTILE[number] if number < len(HOSTILE) else f"P{number:03}"
        rows.append({"product_id": name, "pic_name": f"p{number:02}.jpg", "image": f"p{number:02}.jpg"})
    return rows


def pair(a, b, score, *, threshold=0.8, judged=None, found_by="search", category=88888888):
    """A row of `pairs`."""
    (first, pic_a), (second, pic_b) = sorted([a, b])
    return {
        "product_a": first,
        "product_b": second,
        "score": score,
        "score_ab": score,
        "rank_ab": 1,
        "mutual": score > threshold,
        "images": 1,
        "row_key": json.dumps([first, pic_a]),
        "pic_a": pic_a,
        "pic_b": pic_b,
        "found_by": found_by,
        "category_id": category,
        "threshold": threshold,
        "judged": judged,
        "accepted": score >= threshold,
        "run_id": "r1",
        "found_at": datetime(2026, 11, 20, 3, 0, tzinfo=UTC),
    }


@pytest.fixture(scope="session")
def searched(tmp_path_factory):
    """A finished search over products of hostile names; two of its rows failed."""
    folder = tmp_path_factory.mktemp("search")
    rows = products(folder)
    write_rows(folder / "catalogue.csv", rows[8:])
    rows.append({"product_id": "gone", "pic_name": "gone.jpg", "image": "gone.jpg"})
    (folder / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    rows.append({"product_id": "broken", "pic_name": "broken.jpg", "image": "broken.jpg"})
    write_rows(folder / "rows.csv", rows)
    catalogue = {"manifest": {"path": str(folder / "catalogue.csv")}, "root": str(folder / "images")}
    summary = run(folder, job_over(folder, folder / "rows.csv", emulator={"catalogue": catalogue}))
    assert (summary.ok, summary.failed) == (28, 2)
    return SimpleNamespace(folder=folder / "out", rows=rows, job=folder / "job.yaml")


@pytest.fixture(scope="session")
def compared(tmp_path_factory):
    """A finished comparison of ten pairs, and a matrix as `batchsearch compare` writes it."""
    folder = tmp_path_factory.mktemp("compare")
    rows = products(folder)
    pairs = [
        {
            "pair_id": f"C{number}",
            "primary_image": rows[number]["image"],
            "secondary_image": rows[number + 1]["image"],
        }
        for number in range(10)
    ]
    write_rows(folder / "pairs.csv", pairs)
    job = job_over(folder, folder / "pairs.csv", key=["pair_id"], operation="CompareSimilarByImage")
    run(folder, job)
    matrix = folder / "out" / "matrix"
    matrix.mkdir()
    names = ["alpha", HOSTILE[0], "gamma"]
    columns = {"image": names} | dict(
        zip(names, [[1.0, 0.7, None], [0.7, 1.0, 0.2], [None, 0.2, 1.0]], strict=True)
    )
    table = pa.table(columns).replace_schema_metadata({"batchsearch.group": HOSTILE[1]})
    pq.write_table(table, matrix / "g.parquet")
    return SimpleNamespace(folder=folder / "out")


@pytest.fixture(scope="session")
def deduped(tmp_path_factory, searched):
    """A dedup output over the search: eight clusters, some flagged, and pairs on both sides of 0.8."""
    folder = tmp_path_factory.mktemp("nights") / "dedup"
    folder.mkdir()
    (folder / "search").symlink_to(searched.folder)
    named = [(row["product_id"], row["pic_name"]) for row in searched.rows[:28]]
    groups = [
        named[start:stop] for start, stop in ((0, 2), (2, 5), (5, 7), (7, 11), (11, 13), (13, 15), (15, 21))
    ]
    members, pairs = [], []
    for number, group in enumerate(groups):
        head = group[0]
        for place, (product, image) in enumerate(group):
            members.append(
                {
                    "cluster_id": head[0],
                    "product_id": product,
                    "is_representative": place == 0,
                    "representative": head[0],
                    "confidence": 0.99 - number * 0.05,
                    "size": len(group),
                    "review": "split: members do not resemble each other" if number in (3, 6) else None,
                    "score": None if place == 0 else 0.97 - place * 0.02,
                    "images": 1,
                    "image": image,
                    "row_key": json.dumps([product, image], ensure_ascii=False, separators=(",", ":")),
                }
            )
            if place:
                pairs.append(pair(head, (product, image), 0.97 - place * 0.02, category=number % 2 * 3))
    pairs += [pair(named[21 + place], named[22 + place], 0.5 + place * 0.055) for place in range(6)]
    pairs[-1]["judged"] = "different"
    for name, rows, schema in (("pairs", pairs, PAIRS), ("clusters", members, CLUSTERS)):
        (folder / name).mkdir()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / name / f"{name}.parquet")
    (folder / "dedup.json").write_text(json.dumps({"night": "2026-11-20", "counts": {"pairs": len(pairs)}}))
    return SimpleNamespace(folder=folder, pairs=pairs, members=members, clusters=len(groups))


def report_on(folder, **options):
    """The report on a folder, as it is made on one day."""
    return make_report(folder, ReportOptions(**options), now=NOW)


def table(report, name, section=0):
    """A table of a section of a report."""
    return report.sections[section].table(name)


@pytest.fixture
def make_products():
    """Makes products with images in a folder."""
    return products


@pytest.fixture
def make_rows():
    """Writes rows as CSV."""
    return write_rows


@pytest.fixture
def make_run():
    """Works through a job over a manifest; its output folder."""

    def make(folder, manifest, **settings):
        job = job_over(folder, manifest, **settings)
        job["images"].setdefault("root", str(folder / "images"))
        run(folder, job)
        return Path(job["output"]["dir"])

    return make


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """The system's Chromium."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs the package playwright (extra `test`)"
    )
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install --no-install-recommends chromium")
    with sync_api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=CHROMIUM,
            args=list(ARGUMENTS),
            viewport={"width": 1280, "height": 900},
            reduced_motion="reduce",
            accept_downloads=True,
        )
        context.set_default_timeout(15_000)
        yield context
        context.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens the report of a folder in a new tab; fails the test for any error or request of the page."""
    tabs = []

    def open_(folder, scheme="light", state="", **options):
        report = report_on(folder, **options)
        path = tmp_path / "report.html"
        write_page(report, path)
        tab = browser.new_page()
        seen = SimpleNamespace(tab=tab, path=path, wrong=[], requests=[], report=report)
        tab.on("console", lambda message: seen.wrong.append(message.text))
        tab.on("pageerror", lambda error: seen.wrong.append(str(error)))
        tab.on("request", lambda request: seen.requests.append(request.url))
        tab.emulate_media(color_scheme=scheme)
        tab.goto(path.as_uri() + (f"#{state}" if state else ""))
        tabs.append(seen)
        return tab

    yield open_
    for seen in tabs:
        assert seen.wrong == []
        left = [
            url
            for url in seen.requests
            if not url.startswith(("data:", "blob:")) and url.partition("#")[0] != seen.path.as_uri()
        ]
        assert left == []
        assert seen.tab.evaluate("window.pwned") is None
        seen.tab.evaluate("() => { try { localStorage.clear() } catch {} }")
        seen.tab.close()
