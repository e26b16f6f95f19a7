"""Loads that are killed at their points: each image there once, each row one outcome, no task twice."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

SAMPLE = Path(__file__).parents[2] / "sample_data"
MADE = 55
PER_TASK = 25
TASKS = 4
KILLS = (
    "before_send:20",
    "ledger_commit_before:9",
    "part_seal_before:1",
    "task_taken:1",
    "task_listed:1",
    "task_asking:1",
    "task_asked:2",
    "task_noted:1",
    "task_ended:1",
    "ledger_commit_after:4",
)
"""Ten kills, in the order in which a load comes to them; each resumes what the one before has left."""


def run(command, environ):
    """A command, run to its end."""
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, images):
    """The sample catalogue and as many synthetic images again, one of them missing."""
    folder = tmp_path_factory.mktemp("load-kills")
    shutil.copytree(SAMPLE / "catalogue", folder / "catalogue")
    shutil.copytree(images, folder / "made")
    rows = [
        {key: row[key] for key in ("product_id", "pic_name", "image", "name", "price_cents")}
        for row in csv.DictReader((SAMPLE / "catalogue.csv").read_text(encoding="utf-8").splitlines())
    ]
    rows += [
        {
            "product_id": f"M{n:03}",
            "pic_name": f"made/{n}.jpg",
            "image": f"made/p{n % 40:02}.jpg",
            "name": f"größe {n}",
            "price_cents": n,
        }
        for n in range(MADE)
    ]
    rows[7] |= {"image": "catalogue/none.jpg"}
    with (folder / "all.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def loaded(folder):
    """Starts an instance of its own and loads into it, killed at each of some points; what is there then."""

    def load(name, kills):
        place = folder / name
        unlimited = dict.fromkeys(("add", "delete", "update", "other"), 1e9)
        instance = InstanceOptions(name="demo", rates=unlimited, buckets={"bucket": str(place / "bucket")})
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
                "load": {"to": "bucket", "images_per_task": PER_TASK, "poll_seconds": 1},
                "output": {"dir": "out", "rows_per_part": 30},
            }
            place.mkdir()
            (place / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
            environ = {
                **os.environ,
                "ALIBABA_CLOUD_ACCESS_KEY_ID": emulator.access_key_id,
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET": emulator.access_key_secret,
            }
            command = [sys.executable, "-m", "batchsearch", "load", str(place / "job.yaml"), "--no-progress"]
            for kill in kills:
                crash = {"BATCHSEARCH_CRASH_AT": kill}
                died = subprocess.run(
                    command, env=environ | crash, capture_output=True, text=True, check=False
                )
                assert died.returncode == -signal.SIGKILL, (kill, died.stderr)
            done = run(command, environ)
            assert done.returncode == 0, done.stderr
            items = emulator.catalogue().matching(None, start=0, num=1000)
            asked = [
                entry for entry in emulator.log.entries("IncreaseInstance") if entry.verdict == "granted"
            ]
        results = pd.read_parquet(place / "out" / "results").sort_values(["product_id", "pic_name"])
        return results, items, asked

    return load


SAME = ["product_id", "pic_name", "outcome", "error_code", "loaded_name", "sent_sha256", "source_bytes"]


def test_a_load_that_is_killed_ten_times_ends_as_one_that_is_left_alone(loaded):
    """Ten SIGKILLs between the first image and the last outcome: equal results, images and tasks once."""
    reference, held_before, asked_before = loaded("alone", ())
    results, held, asked = loaded("killed", KILLS)
    assert len(results) == len(reference) == 45 + MADE
    assert not results.duplicated(["product_id", "pic_name"]).any()
    pd.testing.assert_frame_equal(
        results[SAME].reset_index(drop=True), reference[SAME].reset_index(drop=True)
    )
    assert set(results["error_code"].dropna()) == {"Local.ImageMissing"}
    names = [(item.product_id, item.pic_name) for item in held]
    assert len(names) == len(set(names)) == 44 + MADE
    assert sorted(names) == sorted((item.product_id, item.pic_name) for item in held_before)
    # A task that ran when its load was killed was followed: none was asked for twice.
    assert asked == asked_before == TASKS
