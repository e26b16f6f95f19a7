"""Finished outputs of every kind over one emulator, and the jobs that made them."""

import asyncio
import random

import pandas as pd
import yaml
from csv_rows import write_rows
from PIL import Image
from run_rig import granting
from run_rig import put as put_image

IMAGES = 10


class Emulated:
    """A running instance that grants whatever comes, with a few images in it, and a folder of images.

    Args:
        folder: For the images.
    """

    def __init__(self, folder):
        from batchsearch.emulator.instance_options import EmulatorOptions
        from batchsearch.emulator.server import Emulator

        self.emulator = Emulator(EmulatorOptions(instances=(granting(),), log_size=1_000_000))
        self.images = folder / "images"
        self.images.mkdir()

    def __enter__(self):
        self.emulator.start()
        for number in range(IMAGES):
            put_image(self.emulator, f"P{number}", self.draw(number, number))
        return self

    def __exit__(self, *_):
        self.emulator.stop()

    def draw(self, number, seed):
        """An image, new or changed."""
        small = Image.frombytes("RGB", (8, 6), random.Random(seed).randbytes(144))
        path = self.images / f"p{number}.jpg"
        small.resize((160, 120), Image.Resampling.BICUBIC).save(path, quality=90)
        return path

    def calls(self):
        """How many requests were let in so far."""
        return sum(entry.verdict == "granted" for entry in self.emulator.log.entries())


class Case:
    """A kind of output: the job behind it, and what it looks like when it is done.

    Args:
        name: Of the kind.
        folder: A folder of its own.
        instance: What is called.
        settings: Of the job, over the defaults.
    """

    def __init__(self, name, folder, instance, **settings):
        self.name, self.folder, self.instance = name, folder, instance
        folder.mkdir()
        job = {
            "instance": {
                "endpoint": instance.emulator.endpoint,
                "name": "demo",
                "qps": 1000,
                "custom_qps": True,
                "add_qps": 1000,
            },
            "manifest": {"path": "manifest.csv", "key": ["id"]},
            "images": {"root": str(instance.images)},
            "output": {"dir": "out", "rows_per_part": 4},
        }
        (folder / "job.yaml").write_text(yaml.safe_dump(job | settings), encoding="utf-8")
        self.dedups, self.compares = "dedup" in settings, "compare" in settings

    def rows(self, rows):
        """Write the manifest."""
        write_rows(self.folder / "manifest.csv", rows)

    def night(self, out, *overrides, **run):
        """The job's own command over an output: its exit code; what is no error of batchsearch comes out."""
        from batchsearch.config.load import load_job
        from batchsearch.engine.job.run_options import RunOptions
        from batchsearch.engine.run.job import run_job
        from batchsearch.errors import BatchsearchError
        from batchsearch.tasks.compare.comparison_job import compare_job
        from batchsearch.tasks.dedup.night import run_night

        job = load_job(self.folder / "job.yaml", overrides=[f"output.dir={out}", *overrides], environ={})
        work = run_night if self.dedups else compare_job if self.compares else run_job
        try:
            return int(asyncio.run(work(job.settings, RunOptions(**run))).exit_code)
        except BatchsearchError as error:
            return int(error.exit_code)


def tables_of(folder, case):
    """What users read of an output, in an order of its own; None where it cannot be read."""
    under = "search/" if case.dedups else ""
    try:
        found = [
            _ordered(pd.read_parquet(folder / under / "results"), ["row_key"]),
            _ordered(pd.read_parquet(folder / under / "hits"), ["row_key", "rank"]),
        ]
        if case.dedups:
            found.append(_ordered(pd.read_parquet(folder / "pairs"), ["product_a", "product_b"]))
            found.append(_ordered(pd.read_parquet(folder / "clusters"), ["product_id"]))
            # When a pair was first seen is in its own table alone.
            found[2] = found[2].drop(columns="found_at")
        if case.compares:
            found.append(_ordered(pd.read_parquet(folder / "scores.parquet"), ["pair_key"]))
    except Exception:  # noqa: BLE001 - whatever a reader of Parquet raises on damage
        return None
    return found


def _ordered(frame, columns):
    return frame.sort_values(columns).reset_index(drop=True)


def same(found, expected):
    """Whether two sets of tables are equal."""
    return found is not None and all(a.equals(b) for a, b in zip(found, expected, strict=True))


def files_in(folder):
    """Contents by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def put(folder, files):
    """Write files anew, each as its own."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
