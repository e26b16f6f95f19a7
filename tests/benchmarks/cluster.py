"""What a Dask cluster costs and brings, each figure beside its reference of the same run.

    python tests/benchmarks/cluster.py [--images 400] [--rows 100000] [--json]

- Images behind a server with 100 ms latency, two at a time from one host: four workers beside one.
- CPU of client, scheduler and workers for an image, beside the same images in threads of one process, by
  turns and all on one processor: photographs of two megapixels that are shrunk, and small ones that pass as
  they are. Those take a tenth of a millisecond alone, so for them it is only said what the way costs.
- Memory of client and workers over many rows: at the end beside half of the way.

The machine may be busy with something else: where a target is missed, all is measured again, twice at most,
and every try is printed. Exits with 1 where the last one misses a target, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from measuring.command_line import command_line
from measuring.loopback import responding
from prepare import Bar, photograph, saved

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.images.cluster.cluster_connection import connected
from batchsearch.images.prepare import Prepared, Preparing
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop_at
from batchsearch.manifest.rows import ImageReference

LATENCY = 0.1
PER_HOST = 2
ROUNDS = 3
TRIES = 3
SERVER = f"""
import asyncio, sys
from pathlib import Path
from aiohttp import web
image = Path(sys.argv[1]).read_bytes()
async def answer(request):
    await asyncio.sleep({LATENCY})
    return web.Response(body=image, content_type="image/jpeg")
async def main():
    app = web.Application()
    app.router.add_get("/{{name}}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def made(
    workers: str | None, root: Path, settings: ImageSettings, references: list[ImageReference]
) -> None:
    """Prepare all of these images, as many at a time as there is room for."""
    task = Preparing(rules_for("generic", settings))
    async with open_workshop_at(WorkerSettings(dask=workers), root, settings) as workshop:
        room = asyncio.Semaphore(workshop.size + 16)

        async def one(reference: ImageReference) -> None:
            async with room:
                found = await workshop.make(reference, task)
                if not isinstance(found, Prepared):
                    raise TypeError(found)

        await asyncio.gather(*map(one, references))


def rate(workers: str, root: Path, settings: ImageSettings, references: list[ImageReference]) -> float:
    """Images a second on workers that are there already, and warm."""
    with connected(workers):
        asyncio.run(made(workers, root, settings, references[: 16 * PER_HOST]))
        began = time.monotonic()
        asyncio.run(made(workers, root, settings, references))
        return len(references) / (time.monotonic() - began)


def cpu_here() -> float:
    """CPU of this process and of its children that have ended, seconds."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def cpu(root: Path, settings: ImageSettings, references: list[ImageReference]) -> tuple[float, float]:
    """CPU of everything that takes part for an image, milliseconds: on a cluster, and in this process."""
    spent: dict[str | None, list[float]] = {"local:2": [], None: []}
    processors = os.sched_getaffinity(0)
    # Threads on two processors that share a core are charged for each other. Workers inherit it.
    os.sched_setaffinity(0, {min(processors)})
    try:
        with connected("local:2") as cluster:

            def used() -> float:
                return cpu_here() + sum(cluster.client.run(time.process_time).values())

            for workers in spent:
                asyncio.run(made(workers, root, settings, references[:32]))
            for _ in range(ROUNDS):
                for workers, each in spent.items():
                    before = used()
                    asyncio.run(made(workers, root, settings, references))
                    each.append((used() - before) / len(references) * 1000)
    finally:
        os.sched_setaffinity(0, processors)
    return statistics.median(spent["local:2"]), statistics.median(spent[None])


def memory(workers: str, root: Path, rows: int, names: list[str]) -> tuple[float, float, float, float]:
    """Resident megabytes of client and of the largest worker, half of the way and at the end."""
    settings = ImageSettings()
    references = [ImageReference(path=names[number % len(names)]) for number in range(rows // 4)]
    with connected(workers) as cluster:

        def seen() -> tuple[float, float]:
            there = cluster.client.run(_resident)
            return _resident(), max(there.values())

        halves = []
        for _ in range(2):
            for _ in range(2):
                asyncio.run(made(workers, root, settings, references))
            halves.append(seen())
        return (*halves[0], *halves[1])


def _resident() -> float:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize() / 1e6


def figures(images: int, rows: int) -> list[Bar]:
    """All of them."""
    found = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        large = [f"large{number}.jpg" for number in range(16)]
        small = [f"small{number}.jpg" for number in range(16)]
        for number, name in enumerate(large):
            (root / name).write_bytes(saved(photograph(1728, 1152, number), "JPEG", quality=90))
        for number, name in enumerate(small):
            (root / name).write_bytes(saved(photograph(300, 300, number), "JPEG", quality=90))
        shrink = ImageSettings(max_side=1024, snap=False, threads=2)
        for what, names, settings, target in (
            ("CPU an image, 2 megapixels, shrunk", large, shrink, 1.2),
            ("CPU an image, 300 x 300, as it is", small, ImageSettings(threads=2), None),
        ):
            references = [ImageReference(path=names[number % len(names)]) for number in range(images)]
            found.append(Bar(what, *cpu(root, settings, references), target))
        port = stack.enter_context(responding("-c", SERVER, root / small[0]))
        far = ImageSettings(allow_hosts=("127.0.0.1",), fetch_per_host=PER_HOST)
        addresses = [ImageReference(url=f"http://127.0.0.1:{port}/{number}.jpg") for number in range(images)]
        one = rate("local:1", root, far, addresses)
        four = rate("local:4", root, far, addresses)
        found.append(Bar("images a second, 100 ms away, four workers", four, one, 3.5, True, "/s"))
        client, worker, client_end, worker_end = memory("local:2", root, rows, small)
        found.append(Bar(f"memory of the client, {rows:,} rows", client_end, client, 1.1, unit="MB"))
        found.append(Bar(f"memory of a worker, {rows:,} rows", worker_end, worker, 1.1, unit="MB"))
    return found


def show(found: list[Bar], *, as_json: bool) -> None:
    """Print one try."""
    if as_json:
        print(json.dumps([asdict(each) | {"ratio": each.ratio, "holds": each.holds} for each in found]))
    else:
        for each in found:
            wanted = f", wanted {'>=' if each.at_least else '<='} {each.bar}" if each.bar else ""
            print(
                f"{each.name:<45} {each.measured:8.2f} {each.unit:<3} beside {each.reference:8.2f}: "
                f"{each.ratio:5.2f} x{wanted}{'' if each.holds else '  MISSED'}"
            )


def main() -> int:
    """Measure, print, judge."""
    options = command_line(__doc__, images=400, rows=100_000).parse_args()
    for _ in range(TRIES):
        found = figures(options.images, options.rows)
        show(found, as_json=options.json)
        if all(each.holds for each in found):
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
