"""What `batchsearch plan --workers` reckons with, measured anew beside what its table has.

Run from the project's folder: `python tests/benchmarks/worker_figures.py [--only NAME …] [--quick] [--json]`.
Figures are CPU milliseconds of the process that does the work, all its threads, unless their name says
otherwise. Those of calls and rows come from `calls.py` and `memory.py`, that of a repair from `prepare.py`,
each in a process of its own; the others are measured here:

- an image fetched over loopback HTTP, checked and hashed, by two sizes: so much an image and so much a MB;
- an image decoded once for fingerprint and local features, and a pair compared, of the sample catalogue;
- bytes that travel from a worker of a Dask cluster to its client, and a task of it (needs the extra `dask`);
- requests to the store for one carrying of an output, and for one renewal of its lease, counted where they
  are sent.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from measuring.apart import found_by
from measuring.command_line import command_line, tell
from measuring.loopback import served
from prepare import photograph, saved

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.prepare import Prepared, prepare
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop
from batchsearch.manifest.rows import ImageReference
from batchsearch.storage.remote.cargo import LEDGER
from batchsearch.storage.remote.mirror import Mirror
from batchsearch.storage.remote.rhythm import Rhythm
from batchsearch.storage.sealed.inventory import SealedFile
from batchsearch.storage.stores.address import StoreAddress
from batchsearch.storage.stores.object_store import ObjectFacts
from batchsearch.tasks.dedup.verifying.features import packed_features, unpacked_features
from batchsearch.tasks.dedup.verifying.fingerprints import look_of
from batchsearch.tasks.dedup.verifying.verification import measure
from batchsearch.tasks.plan.measured_figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from batchsearch.images.outcome import Rejected
    from batchsearch.images.prepare import Repairer

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "catalogue"
MB = 1e6
CALL_IMAGE_MB = 0.14
"""The image of `calls.py`."""
HITS = 10


def fetched(quick: bool) -> dict[str, float]:
    """An image that goes as it is: fetched, checked, hashed."""
    scene = photograph(1632, 1224)
    images = {"small": saved(scene.resize((400, 300)), "JPEG"), "large": saved(scene, "JPEG", quality=97)}
    rules = rules_for("generic", ImageSettings())

    async def took(url: str, count: int) -> float:
        settings = ImageSettings(threads=1, allow_hosts=("127.0.0.1",))
        async with open_workshop(Path(), settings) as workshop:

            def task(data: bytes, repair: Repairer) -> Prepared | Rejected:
                return prepare(data, rules, repair=repair)

            async def one() -> None:
                made = await workshop.make(ImageReference(url=url), task)
                assert isinstance(made, Prepared), made
                assert not made.transforms

            await asyncio.gather(*(one() for _ in range(20)))
            before = time.process_time()
            await asyncio.gather(*(one() for _ in range(count)))
            return 1000 * (time.process_time() - before) / count

    with tempfile.TemporaryDirectory() as folder:
        for name, data in images.items():
            Path(folder, f"{name}.jpg").write_bytes(data)
        with served(Path(folder), "--protocol", "HTTP/1.1") as address:
            rounds = [
                [asyncio.run(took(f"{address}/{name}.jpg", 60 if quick else 400)) for name in images]
                for _ in range(2 if quick else 5)
            ]
    small, large = (statistics.median(column) for column in zip(*rounds, strict=True))
    sizes = [len(data) / MB for data in images.values()]
    of_mb = (large - small) / (sizes[1] - sizes[0])
    return {"image_ms": small - of_mb * sizes[0], "image_mb_ms": of_mb}


def repaired(quick: bool) -> dict[str, float]:
    """A photograph of 12 megapixels made 1,024 pixels."""
    large = saved(photograph(4032, 3024), "JPEG", quality=85)
    rules = rules_for("generic", ImageSettings(max_side=1024))
    return {"repair_ms": _median(lambda: prepare(large, rules), 5 if quick else 15)}


def looked_at(quick: bool) -> dict[str, float]:
    """Fingerprint and features of a sample image, and two of them compared."""
    files = [path.read_bytes() for path in sorted(SAMPLES.glob("*.jpg"))[: 12 if quick else 40]]
    rules = rules_for("generic", ImageSettings())
    kept: list[bytes] = []

    def look(image: Image.Image) -> None:
        kept.append(packed_features(image))

    def look_at_all() -> None:
        kept.clear()
        for data in files:
            look_of(data, rules, whole=False, also=look)

    of_all = _median(look_at_all, 1 if quick else 3)
    features = [unpacked_features(each) for each in kept]

    def compare_all() -> None:
        for first, second in pairwise(features):
            measure(first, second)

    pairs = _median(compare_all, 1 if quick else 3)
    return {"look_ms": of_all / len(files), "pair_ms": pairs / (len(features) - 1)}


def travelled(quick: bool) -> dict[str, float]:
    """What a client of a Dask cluster pays for bytes that come from a worker, and for a task."""
    from distributed import Client, LocalCluster

    def took(client: Client, size: int, count: int) -> float:
        before = time.process_time()
        for start in range(0, count, 20):
            futures = [
                client.submit(os.urandom, size, pure=False) for _ in range(start, min(start + 20, count))
            ]
            client.gather(futures)
        return 1000 * (time.process_time() - before) / count

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        Client(cluster) as client,
    ):
        took(client, 1_000, 40)
        count = 60 if quick else 300
        small = took(client, 1_000, count)
        large = took(client, 4_000_000, count)
    return {"task_ms": small, "travel_mb_ms": (large - small) / 4.0}


def called(quick: bool) -> dict[str, float]:
    """The owner's part: a row by name, and a MB of image on top."""
    sizes = (5_000, 20_000) if quick else (20_000, 100_000)
    without = found_by("memory.py", "--rows", str(sizes[0]))["sizes"][0]["run"]
    bare = without["parts_mb"] * 2**20 / sizes[0]
    found = found_by("memory.py", "--rows", *map(str, sizes), "--hits", str(HITS))["sizes"]
    few, many = (each["run"] for each in found)
    more = sizes[1] - sizes[0]
    with_image = found_by("calls.py", *(["--calls", "150", "--rounds", "1"] if quick else []))
    call = 1000 * many["cpu"] / sizes[1]
    return {
        "call_ms": call,
        "call_mb_ms": max(0.0, with_image["pipeline_cpu_ms"] - call) / CALL_IMAGE_MB,
        # Of the rows that came on top: what an empty ledger takes, and room that it keeps, is not a row's.
        "ledger_row_bytes": (many["ledger_mb"] - few["ledger_mb"]) * 2**20 / more,
        "part_row_bytes": bare,
        "part_hit_bytes": ((many["parts_mb"] - few["parts_mb"]) * 2**20 / more - bare) / HITS,
    }


class _CountingStore:
    """A store in memory that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.objects: dict[str, bytes] = {}

    def put(self, place: StoreAddress, data: bytes) -> None:
        self.asked += 1
        self.objects[str(place)] = data

    def put_file(self, place: StoreAddress, file: Path) -> None:
        self.put(place, file.read_bytes())

    def create(self, place: StoreAddress, data: bytes) -> bool:
        self.put(place, data)
        return True

    def read(self, facts: ObjectFacts) -> bytes:
        self.asked += 1
        return self.objects[str(facts.address)]

    def facts(self, place: StoreAddress) -> ObjectFacts | None:
        self.asked += 1
        data = self.objects.get(str(place))
        return None if data is None else ObjectFacts(place, len(data), "tag", None)

    def listing(self, place: StoreAddress) -> list[ObjectFacts]:
        self.asked += 1
        return [
            ObjectFacts(StoreAddress(*name.split("://", 1)), len(data), "", None)
            for name, data in self.objects.items()
            if name.startswith(f"{place}/")
        ]

    def delete(self, places) -> None:
        names = [str(place) for place in places]
        self.asked += len(names)
        for name in names:
            self.objects.pop(name, None)


def carried(quick: bool) -> dict[str, float]:
    """Requests for one carrying of an output without a new part, and for one renewal of its lease."""
    import sqlite3
    from contextlib import closing

    del quick

    async def count(folder: Path) -> dict[str, float]:
        (folder / LEDGER).parent.mkdir(parents=True)
        store = _CountingStore()
        (folder / "results").mkdir()
        (folder / "results" / "part").write_bytes(b"rows")
        import hashlib

        digest = hashlib.sha256(b"rows").hexdigest()
        mirror = Mirror(
            store,
            StoreAddress("s3", "bucket/night"),
            folder,
            run="r",
            files_of=lambda _: [SealedFile("results", "current", "part", 1, digest)],
            rhythm=Rhythm(beat=3600),
        )
        async with mirror.held():
            with closing(sqlite3.connect(folder / LEDGER, isolation_level=None)) as ledger:
                ledger.execute("CREATE TABLE parts (path TEXT)")
                found = []
                for _ in range(3):
                    ledger.execute("INSERT INTO parts VALUES ('more')")
                    before = store.asked
                    await mirror.carry()
                    found.append(store.asked - before)
            before = store.asked
            mirror._held.lease.renew()
            return {"carry_requests": found[-1], "beat_requests": store.asked - before}

    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(count(Path(name)))


def granted(quick: bool) -> dict[str, float]:
    """The share of the tier that is granted, in real time."""
    found = found_by("real_time.py", "--seconds", "10" if quick else "60")
    return {"granted_share": found["granted_share_of_tier"]}


def _median(work: Callable[[], object], rounds: int) -> float:
    """CPU milliseconds, of all this process's threads."""
    work()
    times = []
    for _ in range(rounds):
        before = time.process_time()
        work()
        times.append(1000 * (time.process_time() - before))
    return statistics.median(times)


MEASURES = (fetched, repaired, looked_at, travelled, called, carried, granted)


def main() -> None:
    """Measure, and print beside the table."""
    parser = command_line(__doc__)
    parser.add_argument("--only", action="append", choices=[each.__name__ for each in MEASURES])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    found: dict[str, float] = {}
    for measures in MEASURES:
        if options.only and measures.__name__ not in options.only:
            continue
        for name, value in measures(options.quick).items():
            figure = FIGURES.get(name)
            table = float("nan") if figure is None else figure.value
            print(f"{name:20}{value:12.4g}  table {table:<10g} ratio {value / table:.2f}", flush=True)
            found[name] = value
    tell(options, found)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
