"""Loads into an instance of their own, killed at some points on the way; what is there when they are over."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml
from run_rig import granting, keys_of

from batchsearch.emulator.instance_options import EmulatorOptions
from batchsearch.emulator.server import Emulator

SAMPLE = Path(__file__).parents[3] / "sample_data"
COLUMNS = ("product_id", "pic_name", "image", "name", "price_cents")


def sample_rows():
    """The rows of the sample catalogue."""
    read = csv.DictReader((SAMPLE / "catalogue.csv").read_text(encoding="utf-8").splitlines())
    return [{key: row[key] for key in COLUMNS} for row in read]


def write_rows(folder, rows):
    """A manifest, `all.csv` in a folder."""
    with (folder / "all.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def run(command, environ):
    """A command, run to its end."""
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def loaded(folder, name, kills, *, per_task, rows_per_part):
    """Load a folder's manifest, killed at each of some points in turn.

    Args:
        folder: Holds `all.csv` and its images.
        name: Of a folder in it that is made for this.
        kills: Crash points, each for one start.
        per_task: Most images of a task.
        rows_per_part: Rows of a part.

    Returns:
        The results, the names on the instance, and how many tasks were asked for.
    """
    place = folder / name
    instance = granting(buckets={"bucket": str(place / "bucket")})
    with Emulator(EmulatorOptions(instances=(instance,))) as emulator:
        job = {
            "operation": "AddImage",
            "instance": {"endpoint": emulator.endpoint, "name": "demo", "qps": 10},
            "manifest": {
                "path": "../all.csv",
                "key": ["product_id", "pic_name"],
                "columns": {"custom_content": "name", "int_attr": "price_cents"},
            },
            "images": {"root": str(folder)},
            "load": {"to": "bucket", "images_per_task": per_task, "poll_seconds": 1},
            "output": {"dir": "out", "rows_per_part": rows_per_part},
        }
        place.mkdir()
        (place / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
        environ = os.environ | keys_of(emulator)
        command = [sys.executable, "-m", "batchsearch", "load", str(place / "job.yaml"), "--no-progress"]
        for kill in kills:
            died = run(command, environ | {"BATCHSEARCH_CRASH_AT": kill})
            assert died.returncode == -signal.SIGKILL, (kill, died.stderr)
        done = run(command, environ)
        assert done.returncode == 0, done.stderr
        items = emulator.catalogue().matching(None, start=0, num=1_000_000)
        entries = emulator.log.entries("IncreaseInstance")
        asked = sum(entry.verdict == "granted" for entry in entries)
    results = pd.read_parquet(place / "out" / "results").sort_values(["product_id", "pic_name"])
    return results, sorted((item.product_id, item.pic_name) for item in items), asked
