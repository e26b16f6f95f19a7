"""Dedup on the embedded instance, from files to clusters: what an image costs, beside what it must cost.

Run from the project's folder:

    python tests/benchmarks/local_dedup.py [--set FOLDER] [--products N] [--photographs] [--rate R] [--json]

The night is the command `batchsearch dedup` as a shell starts it, with what `batchsearch init` writes for a
table of images (`crop: false` with it): every image is added to an embedded instance, searched in it, and
candidates are compared image by image. Without `--set` the catalogue is made of the project's own sample
images: each product with two or three views, and a copy under another number. `--photographs` makes large
ones, 0.9 MB each. With `--set` it is a folder of one's own: `products.csv` with the columns `product_id`,
`pic_name` and `image`, and the images below it. `--rate 1000` asks the instance over HTTP instead, as an
account would.

The reference is measured in a process of its own of the same run: every image decoded and embedded once, as
the instance does it, and nothing else. CPU time is user and system time of the whole command, from the start
of Python to the last table. A night over two images of the catalogue tells what of that is starting; told are
an image's share of everything, and what one image more costs. Decodes are counted where they happen: by the
instance, and for the comparison.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
from measuring.apart import found_apart
from PIL import Image, ImageEnhance, ImageOps

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "catalogue"
SEED = 5
LARGE_SIDE, GRAIN = 1_900, 8.0
FEW = 2  # images of the night that tells what starting costs


def cpu_seconds() -> float:
    """User and system time of this process and its children so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def made_catalogue(folder: Path, products: int, *, large: bool = False) -> None:
    """A shop: every second product is a copy of the one before it, each has its own views of one design."""
    chance = random.Random(SEED)
    (folder / "images").mkdir(parents=True)
    with (folder / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["product_id", "pic_name", "image"])
        for product in range(products):
            whole = _design(product // 2)
            for view in range(2 + product % 2):
                name = f"p{product:04}-{view}.jpg"
                image = _photograph(whole, chance) if large else _changed(whole, chance)
                image.save(folder / "images" / name, quality=90 if large else chance.choice([70, 80, 88]))
                table.writerow([f"P{product:04}", name, f"images/{name}"])


def _design(number: int) -> Image.Image:
    """A sample image; from the second round on a part of one, in another colour."""
    sources = sorted(path for path in SAMPLES.iterdir() if path.suffix == ".jpg")
    with Image.open(sources[number % len(sources)]) as opened:
        whole = opened.convert("RGB")
    turn = number // len(sources)
    if not turn:
        return whole
    width, height = whole.size
    left, top = (turn % 2) * width // 3, (turn // 2 % 2) * height // 3
    part = whole.crop((left, top, left + 2 * width // 3, top + 2 * height // 3))
    hue, saturation, value = part.convert("HSV").split()
    hue = hue.point([(level + 37 * turn) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def _changed(image: Image.Image, chance: random.Random) -> Image.Image:
    """One view of a design, as small as shops have them."""
    side = chance.choice([260, 300, 340, 400])
    small = ImageOps.contain(image, (side, side))
    width, height = small.size
    cut = chance.uniform(0, 0.08)
    small = small.crop((int(cut * width), int(cut * height), width, height))
    if chance.random() < 0.3:
        small = ImageOps.mirror(small)
    return ImageEnhance.Brightness(small).enhance(chance.uniform(0.9, 1.1))


def _photograph(image: Image.Image, chance: random.Random) -> Image.Image:
    """The same as a camera's file: large, with the grain that makes such files large."""
    view = _changed(image, chance)
    scale = LARGE_SIDE / max(view.size)
    size = round(view.width * scale), round(view.height * scale)
    pixels = np.asarray(view.resize(size, Image.Resampling.BICUBIC), np.int16)
    grain = np.random.default_rng(chance.getrandbits(32)).normal(0, GRAIN, (*pixels.shape[:2], 1))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def rows_of(folder: Path) -> list[dict[str, str]]:
    """The rows of a catalogue's table."""
    with (folder / "products.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reference(folder: Path) -> dict[str, float]:
    """CPU seconds of decoding and embedding each image once, and nothing else."""
    from batchsearch.emulator.search.embedding import MODEL, shared_embedder
    from batchsearch.emulator.search.image_reading import decode_image

    embedder = shared_embedder(MODEL)
    files = [(folder / row["image"]).read_bytes() for row in rows_of(folder)]
    began = cpu_seconds()
    images = [decode_image(data, "generic") for data in files]
    decoded = cpu_seconds()
    for image in images:
        embedder.embed(image)
    return {"decode": decoded - began, "embed": cpu_seconds() - decoded}


def night(folder: Path, rate: float | None) -> dict[str, float]:
    """The command over the catalogue; what it and all of this process took."""
    from batchsearch import cli
    from batchsearch.kept_out import keep_out

    # First of all, as the command does it: what is imported here must not bring in more than it would.
    keep_out()
    from batchsearch.emulator.search import image_memory as memory
    from batchsearch.emulator.search import image_reading as images
    from batchsearch.tasks.dedup.verifying import fingerprints as looks

    counts = {"instance": 0, "comparison": 0}
    decode, decode_look = images.decode_image, looks.decode

    def counted(*given: object, **named: object) -> object:
        counts["instance"] += 1
        return decode(*given, **named)  # type: ignore[arg-type]

    def counted_look(*given: object) -> object:
        counts["comparison"] += 1
        return decode_look(*given)  # type: ignore[arg-type]

    memory.decode_image = images.decode_image = counted  # type: ignore[assignment]
    looks.decode = counted_look  # type: ignore[assignment]
    with tempfile.TemporaryDirectory(prefix="batchsearch-local-dedup-") as output:
        instance: dict[str, object] = {"endpoint": "emulator", "name": "bench", "qps": "unlimited"}
        if rate is not None:
            instance |= {"qps": rate, "add_qps": rate, "custom_qps": True}
        job = Path(output, "job.yaml")
        # JSON is YAML.
        job.write_text(
            json.dumps(
                {
                    "operation": "SearchImageByPic",
                    "parameters": {"crop": False},
                    "instance": instance,
                    "manifest": {
                        "path": str(folder / "products.csv"),
                        "key": ["product_id", "pic_name"],
                        "columns": {"image": "image"},
                    },
                    "dedup": {"threshold": 0.8, "sync": "add"},
                    "output": {"dir": str(Path(output, "out"))},
                }
            )
        )
        sys.argv = ["batchsearch", "dedup", str(job), "--json", "--log-level", "error"]
        said, code = io.StringIO(), 0
        began = time.monotonic()
        with redirect_stdout(said):
            try:
                cli.main()
            except SystemExit as ending:
                code = ending.code or 0
        wall = time.monotonic() - began
    if code:
        raise SystemExit(f"the night did not end well: exit code {code}")
    summary = json.loads(said.getvalue().splitlines()[-1])
    added, searched = summary["sync"]["add"], summary["search"]
    return {
        "images": searched["rows"],
        "wall": wall,
        "cpu": cpu_seconds(),
        "calls": added["calls"] + searched["calls"],
        "repeats": added["retries"] + searched["retries"],
        "add": added["seconds"],
        "search": searched["seconds"],
        "decodes_instance": counts["instance"],
        "decodes_comparison": counts["comparison"],
        "compared": summary["compared"],
        "clusters": summary["clusters"],
    }


def few_of(folder: Path, few: Path) -> None:
    """A catalogue of the first images of another one."""
    rows = rows_of(folder)[:FEW]
    for row in rows:
        copy = few / row["image"]
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((folder / row["image"]).read_bytes())
    with (few / "products.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*rows[0]])
        table.writeheader()
        table.writerows(rows)


def measured(folder: Path, rate: float | None) -> dict[str, float]:
    """The night beside its reference, in milliseconds of CPU an image."""
    rated = () if rate is None else ("--rate", rate)
    with tempfile.TemporaryDirectory(prefix="batchsearch-few-") as made:
        few_of(folder, Path(made, "few"))
        start = found_apart(__file__, "--part", "night", "--set", Path(made, "few"), *rated)
    must = found_apart(__file__, "--part", "reference", "--set", folder)
    took = found_apart(__file__, "--part", "night", "--set", folder, *rated)
    images = took["images"]
    least = 1000 * (must["decode"] + must["embed"]) / images
    return {
        **took,
        "start_cpu": start["cpu"],
        "start_wall": start["wall"],
        "cpu_ms_an_image": 1000 * took["cpu"] / images,
        "cpu_ms_one_more": 1000 * (took["cpu"] - start["cpu"]) / (images - start["images"]),
        "decode_ms": 1000 * must["decode"] / images,
        "embed_ms": 1000 * must["embed"] / images,
        "reference_ms": least,
        "ratio": 1000 * took["cpu"] / images / least,
        "decodes_an_image": (took["decodes_instance"] + took["decodes_comparison"]) / images,
        "kilobytes_an_image": sum((folder / row["image"]).stat().st_size for row in rows_of(folder))
        / 1000
        / images,
    }


def as_text(found: dict[str, float]) -> str:
    """The figures for people."""
    number = {name: f"{value:,.0f}" for name, value in found.items()}
    lines = {
        "images": f"{number['images']} of {number['kilobytes_an_image']} kB, {number['calls']} calls, "
        f"{number['repeats']} repeated",
        "CPU": f"{found['cpu_ms_an_image']:.1f} ms an image, {found['cpu']:.1f} s in all, "
        f"{found['start_cpu']:.1f} s of it to start; {found['cpu_ms_one_more']:.1f} ms for one image more",
        "wall": f"{found['wall']:.1f} s: adding {found['add']:.1f}, searching {found['search']:.1f}",
        "decodes": f"{found['decodes_an_image']:.2f} an image: {number['decodes_instance']} by the instance, "
        f"{number['decodes_comparison']} to compare {number['compared']} pairs",
        "reference": f"{found['reference_ms']:.1f} ms an image: decoding {found['decode_ms']:.1f}, "
        f"embedding {found['embed_ms']:.1f}, once each",
        "ratio": f"{found['ratio']:.2f}",
        "clusters": number["clusters"],
    }
    return "\n".join(f"{name:<12}{line}" for name, line in lines.items())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", dest="folder", type=Path, help="a catalogue of one's own")
    parser.add_argument("--products", type=int, default=90, help="products of the catalogue that is made")
    parser.add_argument("--photographs", action="store_true", help="make it of photographs of 0.9 MB")
    parser.add_argument("--rate", type=float, help="calls a second over HTTP, instead of no rate")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--part", choices=["reference", "night"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part is not None:
        part = reference(chosen.folder) if chosen.part == "reference" else night(chosen.folder, chosen.rate)
        sys.stdout.write(json.dumps(part) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="batchsearch-catalogue-") as made:
        folder = chosen.folder
        if folder is None:
            folder = Path(made, "catalogue")
            made_catalogue(folder, chosen.products, large=chosen.photographs)
        found = measured(folder.resolve(), chosen.rate)
    sys.stdout.write((json.dumps(found) if chosen.json else as_text(found)) + "\n")


if __name__ == "__main__":
    main()
