"""CPU per image of `batchsearch check` over HTTP, beside a bare loop that fetches and scans.

Both fetch the same JPEG files from one responder on loopback, a process of its own. The check reads the
manifest, judges each address, fetches, looks through the file, hashes it and writes its verdict; the bare
loop fetches with one aiohttp session and looks through the file, and keeps nothing.

    python tests/benchmarks/images/check_over_http.py [--images 1000] [--rounds 5] [--json]

Each measurement is a process of its own; what it costs to import and to start is not counted. Both are pinned
to one processor and the responder to another, where there are two, as in `calls.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from calls import make_images, pin_to
from measuring.apart import found_apart
from measuring.loopback import reply, respond, responding

AT_ONCE = 16


def file_of(folder, head):
    """The file that a request names."""
    name = head.partition(b" HTTP/")[0].rpartition(b"/")[2].decode()
    return reply((folder / name).read_bytes(), "image/jpeg")


def check(folder, port, images):
    """The check; CPU seconds an image."""
    from batchsearch.config.load import load_job
    from batchsearch.tasks.check.checking import check_job
    from batchsearch.telemetry.logs import configure

    configure("json", "error")

    def job_over(count, out):
        manifest, job = folder / f"manifest-{count}.csv", folder / f"job-{count}.yaml"
        with manifest.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "image"])
            writer.writerows([[n, f"http://127.0.0.1:{port}/{n:05}.jpg"] for n in range(count)])
        job.write_text(
            "operation: SearchImageByPic\n"
            "instance: {endpoint: 'http://127.0.0.1:9', name: bench, qps: 10}\n"
            f"manifest: {{path: {manifest.name}, key: [id]}}\n"
            "images: {allow_hosts: [127.0.0.1]}\n"
            f"output: {{dir: '{out}'}}\n"
        )
        return load_job(job, environ={}).settings

    with tempfile.TemporaryDirectory() as out:
        # Pays for what is imported when it is first needed.
        asyncio.run(check_job(job_over(2, f"{out}/first")))
        settings = job_over(images, f"{out}/measured")
        before = time.process_time()
        page = asyncio.run(check_job(settings))
        took = time.process_time() - before
    if page.tally.rows != images or page.tally.unusable:
        sys.exit(f"{page.tally.unusable} of {page.tally.rows} images could not be used")
    return took / images


def bare(folder, port, images):
    """Fetched and looked through; CPU seconds an image."""
    import aiohttp

    from batchsearch.images.inspect import inspect

    del folder

    async def all_of_them(count):
        left = iter(range(count))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

            async def work():
                for number in left:
                    async with session.get(f"http://127.0.0.1:{port}/{number:05}.jpg") as reply:
                        if inspect(await reply.read()).flaw is not None:
                            sys.exit("an image is not what it was")

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    asyncio.run(all_of_them(2))
    before = time.process_time()
    asyncio.run(all_of_them(images))
    return (time.process_time() - before) / images


MEASURED = {"bare": bare, "check": check}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        pin_to(-1)
        asyncio.run(respond(lambda head: file_of(given.serve, head)))
        return
    if given.measure:
        pin_to(0)
        what, folder, port = given.measure
        print(json.dumps(MEASURED[what](Path(folder), int(port), given.images)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make_images(folder, given.images)
        with responding(__file__, "--serve", name) as port:
            place = (name, port, "--images", given.images)
            rounds = [
                {what: 1000 * found_apart(__file__, "--measure", what, *place) for what in MEASURED}
                for _ in range(given.rounds)
            ]
    found = {what: round(statistics.median(each[what] for each in rounds), 3) for what in MEASURED}
    ratio = round(statistics.median(each["check"] / each["bare"] for each in rounds), 3)
    print(f"{given.images:,} images of {size:,} bytes over HTTP, median of {given.rounds} rounds")
    print(f"CPU an image: check {found['check']:.3f} ms, bare loop {found['bare']:.3f} ms, ratio {ratio:.2f}")
    if given.json:
        print(json.dumps({"image_bytes": size, "rounds": rounds, "ratio": ratio, **found}))


if __name__ == "__main__":
    main()
