"""The world that runs are killed in: an emulator that lives on, its images, and jobs of several shapes."""

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from csv_rows import write_rows
from PIL import Image
from run_rig import granting, keys_of, put

MOST_IN_FLIGHT = 4
ROWS_PER_PART = 7
IMAGES = 24
ITEMS = 130
KEYS = 64


@dataclass(frozen=True)
class Job:
    """A job that was run once and left alone.

    Attributes:
        name: Of the job.
        file: Its job file.
        rows: Rows of its manifest.
        shared: Row keys whose request another row has too: which of them is called for is chance.
        reference: The output of the run that was left alone.
        bodies: SHA-256 of each request that is needed.
        seconds: How long that run took.
        idle_seconds: How long a run takes that finds nothing to do.
        passed: How often that run passed each crash point.
    """

    name: str
    file: Path
    rows: int
    shared: frozenset
    reference: Path
    bodies: frozenset
    seconds: float
    idle_seconds: float
    passed: dict


class World:
    """An emulator, images and jobs, as a context manager.

    Args:
        folder: Where everything goes.
    """

    def __init__(self, folder):
        from batchsearch.emulator.instance_options import EmulatorOptions, random_key
        from batchsearch.emulator.server import Emulator

        self.folder = folder
        self._keys = tuple(random_key() for _ in range(KEYS))
        options = EmulatorOptions(instances=(granting(),), keys=self._keys, log_size=1_000_000)
        self.emulator = Emulator(options)
        self.images = folder / "images"
        self._numbers = iter(range(1_000_000))

    def __enter__(self):
        self.images.mkdir()
        self.emulator.start()
        self._fill()
        return self

    def __exit__(self, *_):
        self.emulator.stop()

    def environ(self, number=0):
        """What a run needs to be let in: each may have a key of its own, by which its requests are known."""
        return keys_of(self._keys[number % KEYS])

    def _fill(self):
        for number in range(ITEMS):
            rng = random.Random(number)
            small = Image.frombytes("RGB", (8, 6), rng.randbytes(144))
            path = self.images / f"p{number:03}.jpg"
            small.resize((120, 100), Image.Resampling.BICUBIC).save(path, quality=90)
            put(self.emulator, f"P{number:03}", path, custom_content="x" * (number % 40))
        (self.images / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")

    def place(self, name):
        """A folder of its own."""
        return self.folder / f"{name}-{next(self._numbers):05}"

    def granted(self):
        """Every request that was let in, of the runs in the order of their keys' numbers."""
        numbers = {key.access_key_id: number for number, key in enumerate(self._keys)}
        found = [
            (numbers[entry.access_key_id], entry)
            for entry in self.emulator.log.entries()
            if entry.verdict == "granted"
        ]
        return sorted(found, key=lambda one: (one[0], one[1].arrived))

    def images_job(self):
        """Search by image: some requests equal, one image missing, one broken."""
        rows = [{"id": f"r{n:02}", "image": f"p{n % IMAGES:03}.jpg", "price": n} for n in range(IMAGES + 4)]
        rows += [{"id": "gone", "image": "missing.jpg", "price": 0}]
        rows += [{"id": "broken", "image": "broken.jpg", "price": 0}]
        shared = {f"r{n:02}" for number in range(4) for n in (number, number + IMAGES)}
        return self._write("images", rows, shared, operation="SearchImageByPic")

    def names_job(self, rows=60, name="names", **settings):
        """Search by name: no image is prepared, one name is unknown to the service."""
        made = [
            {"id": f"n{n:03}", "product_id": f"P{n % ITEMS:03}", "pic_name": "front"} for n in range(rows - 1)
        ]
        made.append({"id": "unknown", "product_id": "P999", "pic_name": "front"})
        shared = {
            row["id"] for n, row in enumerate(made[:-1]) if rows - 1 > ITEMS and n % ITEMS < rows - 1 - ITEMS
        }
        return self._write(name, made, shared, operation="SearchImageByName", **settings)

    def paged_job(self):
        """Search by name for more hits than one call gives: every row is two calls."""
        made = [{"id": f"w{n:02}", "product_id": f"P{n:03}", "pic_name": "front"} for n in range(24)]
        return self._write("paged", made, set(), operation="SearchImageByName", results_per_row=120)

    def _write(self, name, rows, shared, **settings):
        manifest = self.folder / f"{name}.csv"
        write_rows(manifest, rows)
        job = {
            "instance": {"endpoint": self.emulator.endpoint, "name": "demo", "qps": 500, "custom_qps": True},
            "manifest": {"path": manifest.name, "key": ["id"]},
            "images": {"root": str(self.images)},
            "calls": {"max_in_flight": MOST_IN_FLIGHT},
            "output": {"dir": f"{name}-reference", "rows_per_part": ROWS_PER_PART},
            "max_failed": "100%",
            **settings,
        }
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(job), encoding="utf-8")
        return name, file, len(rows), frozenset(shared)

    def left_alone(self, starter, described):
        """Run a job to its end, as what the killed ones are compared with."""
        name, file, rows, shared = described
        reference, counts = self.folder / f"{name}-reference", self.folder / f"{name}-passed.json"
        self.emulator.log.clear()
        took = []
        for arguments in ({"count_to": counts}, {}):
            began = time.monotonic()
            output = self.folder / f"{name}-reference.txt"
            process = starter.start(["run", file, "--no-progress"], output, **arguments)
            assert process.wait() == 0, process.text()
            took.append(time.monotonic() - began)
        bodies = frozenset(entry.body_sha256 for _, entry in self.granted())
        assert len(bodies) == len(self.granted())
        passed = json.loads(counts.read_text())
        return Job(name, file, rows, shared, reference, bodies, took[0], took[1], passed)
