"""CPU per call: the whole pipeline beside the official SDK, in one run.

Both make the same `SearchImageByPic` calls, a compliant JPEG of about 100 KB each, to one responder on
loopback, which only answers. The pipeline reads the manifest and the files, checks, encodes, signs,
sends, parses, commits to its ledger and writes Parquet, with the tier lifted; the SDK (synchronous, one
thread, keep-alive) is given base64 text, encoded beforehand, and only sends and parses.

    python tests/benchmarks/calls.py [--calls 500] [--rounds 5] [--json]

Each measurement is a process of its own; what it costs to import and to start is not counted. CPU time is
that of the whole process, all threads. Both are pinned to one processor and the responder to another, where
there are two: threads that share a core are charged for each other's waits. Needs the extra `bench`.
"""

import argparse
import asyncio
import base64
import csv
import json
import os
import random
import statistics
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from measuring.apart import found_apart, with_comment
from measuring.loopback import reply, respond, responding

ANSWER = json.dumps(
    {
        "RequestId": "D61D869E-E92A-447F-AD67-9234F999E516",
        "Success": True,
        "Code": 0,
        "Msg": "success",
        "Head": {"DocsFound": 10, "DocsReturn": 10, "SearchTime": 95},
        "PicInfo": {
            "CategoryId": 88888888,
            "Region": "10,400,10,300",
            "AllCategories": [{"Id": 88888888, "Name": "Other"}],
            "MultiRegion": [{"Region": "10,400,10,300"}],
        },
        "Auctions": [
            {
                "ProductId": f"P{n}",
                "PicName": f"p{n}.jpg",
                "CategoryId": 88888888,
                "CustomContent": "content",
                "Score": 1 - n / 20,
                "SortExprValues": "5.37633353624177e+24;0",
                "IntAttr": n,
                "StrAttr": "text",
            }
            for n in range(10)
        ],
    }
).encode()


def make_images(folder, count):
    """So many different JPEG files of about 100 KB: one photograph-like image, a comment apart."""
    from PIL import Image

    rng = random.Random(1)
    small = Image.frombytes("RGB", (80, 60), rng.randbytes(80 * 60 * 3))
    buffer = BytesIO()
    small.resize((1000, 750), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=83)
    data = buffer.getvalue()
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(with_comment(data, number))
    return len(data)


def job_of(folder, port, out, calls):
    """A job over so many of the images."""
    from batchsearch.config.load import load_job

    manifest, job = folder / f"manifest-{calls}.csv", folder / f"job-{calls}.yaml"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image"])
        writer.writerows([[n, f"{n:05}.jpg"] for n in range(calls)])
    job.write_text(
        "operation: SearchImageByPic\n"
        f"instance: {{endpoint: 'http://127.0.0.1:{port}', name: bench, qps: 100000, custom_qps: true}}\n"
        f"manifest: {{path: {manifest.name}, key: [id]}}\n"
        "calls: {max_in_flight: 8}\n"
        f"output: {{dir: '{out}'}}\n"
    )
    return load_job(job, environ={}).settings


def pipeline(folder, port, calls):
    """The whole pipeline; CPU and wall seconds a call."""
    from batchsearch.engine.run.job import run_job
    from batchsearch.telemetry.logs import configure

    configure("json", "error")
    with tempfile.TemporaryDirectory() as out:
        # The first job pays for what is imported when it is first needed; the SDK makes a first call, too.
        asyncio.run(run_job(job_of(folder, port, f"{out}/first", 2)))
        settings = job_of(folder, port, f"{out}/measured", calls)
        before, began = time.process_time(), time.perf_counter()
        summary = asyncio.run(run_job(settings))
        cpu, wall = time.process_time() - before, time.perf_counter() - began
    if (summary.ok, summary.calls) != (calls, calls):
        sys.exit(f"{summary.calls} calls, {summary.ok} successes, not {calls} each: {summary.codes}")
    return cpu / calls, wall / calls


def official_sdk(folder, port, calls):
    """The official SDK, synchronous; CPU seconds a call."""
    from alibabacloud_imagesearch20201214 import models
    from alibabacloud_imagesearch20201214.client import Client
    from alibabacloud_tea_openapi.models import Config

    client = Client(
        Config(
            access_key_id="id",
            access_key_secret="secret",
            endpoint=f"127.0.0.1:{port}",
            protocol="HTTP",
            region_id="ap-southeast-1",
        )
    )
    contents = [base64.b64encode((folder / f"{n:05}.jpg").read_bytes()).decode() for n in range(calls)]
    request = models.SearchImageByPicRequest(instance_name="bench", pic_content=contents[0])
    client.search_image_by_pic(request)
    before, began = time.process_time(), time.perf_counter()
    for content in contents:
        answer = client.search_image_by_pic(
            models.SearchImageByPicRequest(instance_name="bench", pic_content=content)
        )
        if len(answer.body.auctions) != 10:
            sys.exit("the SDK got another answer")
    return (time.process_time() - before) / calls, (time.perf_counter() - began) / calls


MEASURED = {"pipeline": pipeline, "sdk": official_sdk}


def pin_to(place):
    """Stay on one of this process's processors."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[place]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--respond", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.respond:
        pin_to(-1)
        asyncio.run(respond(lambda _: reply(ANSWER)))
        return
    if given.measure:
        pin_to(0)
        what, folder, port = given.measure
        print(json.dumps(MEASURED[what](Path(folder), int(port), given.calls)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make_images(folder, given.calls)
        with responding(__file__, "--respond") as port:
            place = (folder, port, "--calls", given.calls)
            rounds = [
                {what: found_apart(__file__, "--measure", what, *place) for what in MEASURED}
                for _ in range(given.rounds)
            ]
    report = {"image_bytes": size, "calls": given.calls, "rounds": given.rounds}
    for what in MEASURED:
        report[f"{what}_cpu_ms"] = round(1000 * statistics.median(each[what][0] for each in rounds), 3)
        report[f"{what}_wall_ms"] = round(1000 * statistics.median(each[what][1] for each in rounds), 3)
    report["cpu_ratio"] = round(statistics.median(each["pipeline"][0] / each["sdk"][0] for each in rounds), 3)
    print(f"{given.calls} calls with an image of {size:,} bytes, median of {given.rounds} rounds")
    print(f"{'':24}{'CPU ms/call':>14}{'wall ms/call':>14}")
    for what, title in (("pipeline", "batchsearch, all stages"), ("sdk", "official SDK, sending")):
        print(f"{title:24}{report[f'{what}_cpu_ms']:>14.2f}{report[f'{what}_wall_ms']:>14.2f}")
    print(f"ratio of CPU, median of the rounds' ratios: {report['cpu_ratio']:.2f} (to reach: at most 0.33)")
    if given.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
