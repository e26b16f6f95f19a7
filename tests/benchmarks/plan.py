"""How fast `plan` looks at rows, and that its count is right: 100,000 rows of which 20 % repeat an image.

Run from the project's folder: `python tests/benchmarks/plan.py [--rows N] [--repeats SHARE] [--bytes N]
[--run] [--json]`. With `--run` the job is run as well, against a responder on loopback that answers every
request alike: the plan's count of calls has to be the number that the run makes.

The images are copies of one small photograph, each with another comment in it, so that they differ by
content; repeating rows have a file of their own name, a hard link to another's. Memory is the process's
peak over the plan, above what it had before.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring.apart import KEYS, peak_mb, with_comment
from measuring.command_line import command_line, tell
from measuring.loopback import responding
from PIL import Image

from batchsearch.config.model import JobSettings, OutputSettings
from batchsearch.config.sections.instance_settings import InstanceSettings
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.engine.run.job import run_job
from batchsearch.tasks.plan.planning import plan_job
from batchsearch.telemetry.logs import configure


def photograph(byte_count: int) -> bytes:
    """A JPEG of about so many bytes: noise, made smaller until it fits."""
    rng = np.random.default_rng(1)
    side = 600
    while True:
        buffer = io.BytesIO()
        noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((max(side, 200), max(side, 200))).save(buffer, "JPEG", quality=50)
        if buffer.tell() <= byte_count or side <= 8:
            return buffer.getvalue()
        side = side * 3 // 4


def make(folder: Path, rows: int, repeats: float, byte_count: int) -> tuple[JobSettings, int]:
    """A job over so many rows, and how many different images they have."""
    scene = photograph(byte_count)
    distinct = rows - round(rows * repeats)
    rng = random.Random(7)
    numbers = [*range(distinct), *(rng.randrange(distinct) for _ in range(rows - distinct))]
    rng.shuffle(numbers)
    first: dict[int, Path] = {}
    images = folder / "images"
    images.mkdir()
    with (folder / "manifest.csv").open("w", encoding="utf-8") as manifest:
        manifest.write("id,image\n")
        for row, number in enumerate(numbers):
            inside = images / f"{row // 1000:04}"
            if row % 1000 == 0:
                inside.mkdir()
            path = inside / f"{row}.jpg"
            if number in first:
                os.link(first[number], path)
            else:
                path.write_bytes(with_comment(scene, number))
                first[number] = path
            manifest.write(f"r{row},{path.relative_to(folder)}\n")
    settings = JobSettings(
        operation="SearchImageByPic",
        instance=InstanceSettings(endpoint="http://127.0.0.1:9", region=None, name="demo", qps=10),
        manifest=ManifestSettings(path=str(folder / "manifest.csv"), key=("id",)),
        output=OutputSettings(dir=str(folder / "out")),
    )
    return settings, distinct


def calls_of_a_run(settings: JobSettings) -> int:
    """How many calls the job makes when it is run, the tier lifted."""
    with responding(Path(__file__).with_name("calls.py"), "--respond") as port:
        os.environ |= KEYS
        configure("json", "error")
        lifted = {"endpoint": f"http://127.0.0.1:{port}", "qps": 1e6, "custom_qps": True}
        instance = settings.instance.model_copy(update=lifted)
        calls = settings.calls.model_copy(update={"max_in_flight": 16})
        job = settings.model_copy(update={"instance": instance, "calls": calls})
        summary = asyncio.run(run_job(job))
    if summary.ok != summary.rows:
        sys.exit(f"the run failed: {summary.codes}")
    return summary.calls


def main() -> int:
    """Measure, print, and fail when the count is wrong."""
    parser = command_line(__doc__, rows=100_000, repeats=0.2)
    parser.add_argument("--bytes", type=int, default=8_000, help="size of one image")
    parser.add_argument("--run", action="store_true", help="run the job as well, and compare the calls")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batchsearch-plan-") as name:
        settings, distinct = make(Path(name), arguments.rows, arguments.repeats, arguments.bytes)
        before = peak_mb()
        started, cpu = time.perf_counter(), time.process_time()
        plan = asyncio.run(plan_job(settings))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        grown = peak_mb() - before
        touched = Path(settings.output.dir).exists()
        made = calls_of_a_run(settings) if arguments.run else None
    right = made in {None, plan.calls} and (plan.valid, plan.calls, plan.repeats) == (
        arguments.rows,
        distinct,
        arguments.rows - distinct,
    )
    found = {
        "rows": plan.rows,
        "valid": plan.valid,
        "distinct_known": distinct,
        "calls_planned": plan.calls,
        **({} if made is None else {"calls_made_by_run": made}),
        "repeats_planned": plan.repeats,
        "upload_bytes": plan.needed.bytes,
        "hours_at_tier_10": round(plan.pace.hours(plan.calls), 3),
        "seconds": round(seconds, 2),
        "rows_per_second": round(plan.rows / seconds),
        "cpu_ms_per_row": round(cpu / plan.rows * 1000, 3),
        "memory_grown_mb": round(grown, 1),
        "counts_right": right and not touched,
    }
    tell(arguments, found)
    if not arguments.json:
        for key, value in found.items():
            print(f"{key} {value}" if isinstance(value, bool) else f"{key.replace('_', ' '):<18} {value:,}")
    return 0 if found["counts_right"] else 1


if __name__ == "__main__":
    sys.exit(main())
