"""What preparing images costs, each figure beside its reference from the same run.

Run from the project's folder: `python tests/benchmarks/prepare.py [--quick] [--json] [--img2dataset]`.
Times are CPU milliseconds, medians of runs that alternate between the reference and the thing measured, so
that a change of the machine's speed meets both. Only the line about threads needs two idle cores.
The photographs are synthetic, with the spectrum of real ones.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import io
import os
import statistics
import tempfile
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from measuring.apart import found_apart, peak_mb
from measuring.command_line import command_line, tell
from PIL import Image

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.images.decoding.encode import reencode
from batchsearch.images.inspect import inspect
from batchsearch.images.prepare import Prepared, prepare
from batchsearch.images.rules import rules_for
from batchsearch.images.verdict import Pass, judge
from batchsearch.service.form import build_call

SWITCH_INTERVAL_MS = 5.0
ORIENTATION = 0x0112


@dataclass(frozen=True)
class Bar:
    """One line of the table: a measure, its reference, and the ratio to reach."""

    name: str
    measured: float
    reference: float
    bar: float | None
    at_least: bool = False
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        return self.measured / self.reference

    @property
    def holds(self) -> bool:
        if self.bar is None:
            return True
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar


def photograph(width: int, height: int, seed: int = 1) -> Image.Image:
    """An image with detail at every scale, as photographs have, and a little sensor noise."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    cells, weight = 4, 70.0
    while cells < max(width, height):
        small = rng.normal(0, 1, (cells * 3 // 4 + 1, cells, 3)).astype(np.float32)
        for band in range(3):
            layer = Image.fromarray(small[:, :, band]).resize((width, height), Image.Resampling.BICUBIC)
            total[:, :, band] += weight * np.asarray(layer)
        cells, weight = cells * 2, weight * 0.55
    total += rng.normal(128, 5, total.shape)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file's bytes."""
    buffer = io.BytesIO()
    image.copy().save(buffer, kind, **options)
    return buffer.getvalue()


def compare(reference, measured, rounds: int, inner: int = 1) -> tuple[float, float]:
    """CPU milliseconds of both, medians over alternating rounds."""
    times: tuple[list[float], list[float]] = ([], [])
    reference(), measured()
    for _ in range(rounds):
        for work, kept in zip((reference, measured), times, strict=True):
            start = time.process_time()
            for _ in range(inner):
                work()
            kept.append((time.process_time() - start) * 1000 / inner)
    return statistics.median(times[0]), statistics.median(times[1])


def decisions(folder: Path, rounds: int) -> list[Bar]:
    """Read a compliant file and say that it passes, against reading and opening it."""
    rules = rules_for("generic", ImageSettings())
    scene = photograph(1632, 1224)
    files = {
        ("JPEG", 1.1): saved(scene, "JPEG", quality=93),
        ("WebP", 1.1): saved(scene, "WEBP", quality=90),
        ("PNG", 1.6): saved(scene.resize((500, 375)), "PNG"),
    }
    bars = []
    for (kind, bar), data in files.items():
        path = folder / f"compliant.{kind.lower()}"
        path.write_bytes(data)

        def opened(path=path):
            return Image.open(io.BytesIO(path.read_bytes()), formats=None).size

        def decided(path=path):
            read = path.read_bytes()
            return judge(inspect(read), len(read), rules)

        assert decided() == Pass()
        reference, measured = compare(opened, decided, rounds * 4, inner=10)
        bars.append(
            Bar(f"decision about a compliant {kind}, {len(data) // 1000} KB", measured, reference, bar)
        )
    return bars


def bodies(rounds: int) -> list[Bar]:
    """The form body of 4 MB, and a compliant image from bytes to body."""
    raw = os.urandom(4_000_000)

    def naive_body():
        return urllib.parse.urlencode({"PicContent": base64.b64encode(raw)})

    def built():
        return build_call("SearchImageByPic", "catalogue", {}, [raw])

    reference, measured = compare(naive_body, built, rounds)
    bars = [Bar("form body of 4 MB, its sha256 included", measured, reference, 1 / 15)]
    rules = rules_for("generic", ImageSettings())
    data = saved(photograph(1632, 1224), "JPEG", quality=93)

    def naive():
        image = Image.open(io.BytesIO(data))
        image.getexif().get(ORIENTATION)
        return urllib.parse.urlencode({"PicContent": base64.b64encode(data)})

    def whole():
        ready = prepare(data, rules)
        assert isinstance(ready, Prepared)
        return build_call("SearchImageByPic", "catalogue", {}, [ready.data])

    body = build_call("SearchImageByPic", "catalogue", {}, [data]).body

    def hashes():
        return hashlib.sha256(data).hexdigest(), hashlib.sha256(body).hexdigest()

    reference, measured = compare(naive, whole, rounds)
    _, hashing = compare(naive, hashes, rounds)
    name = f"compliant JPEG, {len(data) // 1000} KB, prepared and in a body, sha256s ({hashing:.2f}) apart"
    return [*bars, Bar(name, measured - hashing, reference, 1 / 20)]


def repairs(rounds: int) -> list[Bar]:
    """Shrinking and re-encoding JPEG."""
    large = saved(photograph(4032, 3024), "JPEG", quality=85)
    middle = photograph(1632, 1224)
    same = saved(middle, "JPEG", quality=95) + b"\0"  # what cameras write

    def naive():
        image = Image.open(io.BytesIO(large))
        image.load()
        return image.resize((1024, 768), Image.Resampling.LANCZOS)

    def loaded():
        Image.open(io.BytesIO(same)).load()

    bars = []
    for name, bar, snap in (("at most 1024, snapped", 0.25, True), ("exactly 1024", 0.45, False)):
        rules = rules_for("generic", ImageSettings(max_side=1024, snap=snap))
        reference, measured = compare(naive, lambda rules=rules: prepare(large, rules), max(3, rounds // 3))
        bars.append(Bar(f"12 MP JPEG to {name}", measured, reference, bar))
    rules = rules_for("generic", ImageSettings())
    assert prepare(same, rules).transforms == ("trim:jpeg",)  # so it is re-encoded by hand below
    reference, measured = compare(loaded, lambda: reencode(same, inspect(same), ("trailing",), rules), rounds)
    return [
        *bars,
        Bar(f"2 MP JPEG of {len(same) // 1000} KB re-encoded, same size", measured, reference, 1.8),
    ]


def threads(rounds: int) -> Bar:
    """Images a second with two threads, against one: wall time."""
    data = saved(photograph(2400, 1800), "JPEG", quality=88)
    rules = rules_for("generic", ImageSettings())

    def rate(count: int) -> float:
        def work():
            for _ in range(4):
                reencode(data, inspect(data), ("format",), rules)

        workers = [threading.Thread(target=work) for _ in range(count)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return 4 * count / (time.perf_counter() - start)

    rate(2)
    pairs = [(rate(1), rate(2)) for _ in range(max(3, rounds // 5))]
    one, two = (statistics.median(column) for column in zip(*pairs, strict=True))
    load = os.getloadavg()[0]
    return Bar(f"two threads, re-encoding (load {load:.1f} while measured)", two, one, 1.8, True, "a second")


def memory(folder: Path) -> Bar:
    """Peak memory that one 12 MP image adds to a process, against its pixels at 4 bytes each."""
    path = folder / "large.jpg"
    path.write_bytes(saved(photograph(4032, 3024), "JPEG", quality=85))
    grown = found_apart(__file__, "--memory", path)
    return Bar("peak memory, 12 MP to 1024", grown, 4032 * 3024 * 4 / 1e6, 0.75, unit="MB")


def measure_memory(path: Path) -> None:
    """In a process of its own: prints how many megabytes the peak grew by."""
    rules = rules_for("generic", ImageSettings(max_side=1024, snap=False))
    small = io.BytesIO()
    Image.new("RGB", (1300, 800)).save(small, "JPEG")
    prepare(small.getvalue(), rules)
    data = path.read_bytes()
    before = peak_mb()
    prepare(data, rules)
    print((peak_mb() - before) * 1024**2 / 1e6)


async def lag(seconds: float) -> Bar:
    """How late the event loop wakes up while two threads prepare, 95th percentile."""
    data = saved(photograph(2400, 1800), "JPEG", quality=88)
    rules = rules_for("generic", ImageSettings())
    loop = asyncio.get_running_loop()
    end = time.monotonic() + seconds

    def work():
        while time.monotonic() < end:
            reencode(data, inspect(data), ("format",), rules)

    late = []
    with ThreadPoolExecutor(2) as pool:
        running = [loop.run_in_executor(pool, work) for _ in range(2)]
        while time.monotonic() < end:
            start = time.perf_counter()
            await asyncio.sleep(0.002)
            late.append((time.perf_counter() - start - 0.002) * 1000)
        await asyncio.gather(*running)
    p95 = statistics.quantiles(late, n=20)[-1]
    return Bar("event-loop lag, p95, two threads preparing", p95, SWITCH_INTERVAL_MS, 2.0)


def beside_img2dataset(rounds: int) -> list[Bar]:
    """Images per CPU second over loopback HTTP, against `img2dataset`."""
    import beside_img2dataset

    sizes = ((4032, 3024, 80), (3264, 2448, 85), (2048, 1536, 90), (1632, 1224, 90), (1200, 1600, 85))
    scenes = [
        saved(photograph(width, height, seed), "JPEG", quality=quality)
        for seed in (1, 2)
        for width, height, quality in sizes
    ]
    return [
        Bar(name, measured, reference, bar, True, "per CPU second")
        for name, measured, reference, bar in beside_img2dataset.measure(scenes * 10, rounds)
    ]


def main() -> None:
    """Measures everything and prints the table."""
    parser = command_line(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument(
        "--img2dataset", action="store_true", help="also beside img2dataset, installed for it on demand"
    )
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        measure_memory(options.memory)
        return
    rounds = 7 if options.quick else 21
    with tempfile.TemporaryDirectory() as name:
        bars = [
            *decisions(Path(name), rounds),
            *bodies(rounds),
            *repairs(rounds),
            threads(rounds),
            memory(Path(name)),
            asyncio.run(lag(2 if options.quick else 5)),
            *(beside_img2dataset(1 if options.quick else 3) if options.img2dataset else ()),
        ]
    for bar in bars:
        sign = ">=" if bar.at_least else "<="
        verdict = "holds" if bar.holds else "MISSED"
        figures = f"{bar.measured:9.3f} / {bar.reference:9.3f} {bar.unit}"
        print(f"{bar.name:76} {figures:32} = {bar.ratio:6.3f} {sign} {bar.bar:.3f}  {verdict}")
    if not options.img2dataset:
        print("not measured: images per CPU second beside img2dataset (--img2dataset)")
    rows = [{**asdict(bar), "ratio": bar.ratio, "holds": bar.holds} for bar in bars]
    tell(options, {"bars": rows, "img2dataset": options.img2dataset})


if __name__ == "__main__":
    main()
