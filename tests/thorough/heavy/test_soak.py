"""A hundred thousand calls while everything goes wrong now and then: nothing leaks, nothing is lost."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from crash_rig.checks import whole
from run_rig import program

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ITEMS = 120
CALLS = int(os.environ.get("BATCHSEARCH_SOAK_CALLS", "100000"))
WARM_UP = 0.3
"""Share of the run after which nothing may grow any more."""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def service():
    """The faulty emulator: where it is, and how to ask how many requests it has answered."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "soak_emulator.py"), str(ITEMS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    ) as process:
        told = json.loads(process.stdout.readline())

        def answered():
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield told, answered
        process.stdin.close()


def make_job(folder, endpoint):
    """So many rows, each a request of its own; every 500th is refused before any call."""
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "product_id", "pic_name", "num", "start"])
        for n in range(CALLS):
            start = 999 if n % 500 == 0 else n // (ITEMS * 10) % 100
            writer.writerow([f"row-{n:06}", f"P{n % ITEMS:03}", "front", n // ITEMS % 10 + 1, start])
    job = {
        "operation": "SearchImageByName",
        "instance": {"endpoint": endpoint, "name": "demo", "qps": 5_000, "custom_qps": True},
        "manifest": {
            "path": "manifest.csv",
            "key": ["id"],
            "columns": {"num": "num", "start": "start"},
        },
        "calls": {"timeout": 5.0, "max_in_flight": 32, "max_attempts": 12},
        "output": {"dir": "out", "rows_per_part": 5_000},
        "max_failed": "5%",
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return folder / "job.yaml"


def slope(samples, name):
    """By how much a number grows over 100,000 rows, by least squares."""
    rows = np.array([sample["rows"] for sample in samples], float)
    values = np.array([sample[name] for sample in samples], float)
    return float(np.polyfit(rows, values, 1)[0]) * 100_000


def test_a_hundred_thousand_faulty_calls_leak_nothing(tmp_path, service, capsys):
    """Memory, descriptors, threads and tasks stay as they are after the warm-up; ledger equals Parquet."""
    told, answered = service
    job = make_job(tmp_path, told.pop("endpoint"))
    samples_file = tmp_path / "samples.jsonl"
    env = told | {"PYTHONPATH": str(ROOT)}
    ran = program(HERE / "soak_run.py", job, samples_file, cwd=ROOT, env=env)
    assert ran.returncode == 0, ran.stderr[-3000:]
    summary = json.loads(ran.stdout.splitlines()[-1])
    samples = [json.loads(line) for line in samples_file.read_text().splitlines()]
    steady = [sample for sample in samples if WARM_UP * CALLS <= sample["rows"] < CALLS - 100]
    grown = {name: slope(steady, name) for name in ("rss", "descriptors", "threads", "tasks")}
    with capsys.disabled():
        sys.stdout.write(
            f"\n{summary['calls']:,} calls for {CALLS:,} rows in {summary['seconds']:.0f} s, "
            f"{summary['denied']:,} denied, {summary['retries']:,} repeated, "
            f"{summary['failed']:,} rows failed; at most {max(s['rss'] for s in samples) >> 20} MB; "
            f"over 100,000 rows: memory {grown['rss'] / 2**20:+.1f} MB, "
            f"descriptors {grown['descriptors']:+.2f}, threads {grown['threads']:+.2f}, "
            f"tasks {grown['tasks']:+.2f}\n"
        )
    assert len(steady) >= 20
    assert grown["rss"] < 25 * 2**20
    assert max(sample["rss"] for sample in samples) < 300 * 2**20
    for name, most in (("descriptors", 4), ("threads", 2), ("tasks", 8)):
        assert abs(grown[name]) < most, grown
    # Every request that left was answered or broken by a fault, and every one is counted.
    assert summary["calls"] == answered()
    assert summary["done"] == CALLS
    assert summary["codes"]["Local.InvalidStart"] == CALLS // 500
    whole(tmp_path / "out")
