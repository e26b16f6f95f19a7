"""Memory and speed by the size of the manifest: the whole pipeline, by name, tier lifted.

A job of `SearchImageByName` over so many rows runs against a responder on loopback (a process of its own)
that answers every request with a few bytes (`--hits`: each with hits of its own).
The pipeline reads the manifest, signs, sends, parses,
commits each outcome to the ledger and writes Parquet: nothing is left out but the images. Then the same
job is run once more over its finished output (nothing is left to do), and once with a hundred new rows
appended: what a night costs that has next to nothing to do.

    python tests/benchmarks/memory.py [--rows 10000 100000] [--hits 0] [--json]

Peak memory is that of the run's own process (its children do not count), with its imports. Beside it stands
the same number of requests made by a bare loop over one aiohttp session, which keeps nothing: what is lost
to bookkeeping is the ratio. Runs of 1,000,000 rows take some 15 minutes, of 10,000,000 hours.
"""

import argparse
import asyncio
import itertools
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from measuring.apart import found_apart
from measuring.loopback import reply, respond, responding

AT_ONCE = 64
DIFFERENT = 5_000
"""Answers that differ, when they have hits: as many as a part has rows, so that equal hits shrink nothing."""


def answer(hits, chance):
    auctions = [
        {
            "ProductId": f"P{chance.randrange(10**8):08}",
            "PicName": f"{chance.randrange(10**8):08}-front.jpg",
            "CategoryId": 88888888,
            "Score": round(chance.random(), 6),
        }
        for _ in range(hits)
    ]
    return json.dumps(
        {
            "RequestId": "D61D869E-E92A-447F-AD67-9234F999E516",
            "Success": True,
            "Code": 0,
            "Msg": "success",
            "Head": {"DocsFound": hits, "DocsReturn": hits, "SearchTime": 1},
            "Auctions": auctions,
        }
    ).encode()


async def serve(hits):
    chance = random.Random(1)
    bodies = [answer(hits, chance) for _ in range(DIFFERENT if hits else 1)]
    replies = itertools.cycle([reply(body) for body in bodies])
    await respond(lambda _: next(replies))


def write_manifest(path, rows, first=0):
    """A Parquet manifest of so many names, written in pieces."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("product_id", pa.string()), ("pic_name", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(first, first + rows, 100_000):
            numbers = range(start, min(start + 100_000, first + rows))
            writer.write_table(
                pa.table(
                    [[f"P{n:08}" for n in numbers], [f"{n:08}-front.jpg" for n in numbers]], schema=schema
                )
            )


def job(folder, port):
    from batchsearch.config.load import load_text

    text = json.dumps(
        {
            "operation": "SearchImageByName",
            "instance": {
                "endpoint": f"http://127.0.0.1:{port}",
                "name": "demo",
                "qps": 1_000_000,
                "custom_qps": True,
            },
            "manifest": {
                "path": str(folder / "manifest"),
                "format": "parquet",
                "key": ["product_id", "pic_name"],
                "columns": {"product_id": "product_id", "pic_name": "pic_name"},
            },
            "calls": {"max_in_flight": AT_ONCE},
            "output": {"dir": str(folder / "out")},
        }
    )
    return load_text(text, folder / "job.json", environ={}).settings


def run_once(folder, port):
    """In a process of its own: the job, what it took, and the most memory that it had."""
    from batchsearch.engine.run.job import run_job
    from batchsearch.telemetry.logs import configure

    configure("console", "warning")
    settings = job(folder, port)
    wall, cpu = time.monotonic(), time.process_time()
    summary = asyncio.run(run_job(settings))
    return {
        "seconds": time.monotonic() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "calls": summary.calls,
        "done": summary.done,
        "exit_code": summary.exit_code,
        "ledger_mb": (folder / "out" / "ledger" / "ledger.sqlite3").stat().st_size / 2**20,
        "parts_mb": sum(part.stat().st_size for part in (folder / "out").rglob("*.parquet")) / 2**20,
    }


async def bare(port, calls):
    """So many requests by a bare loop: the reference."""
    import aiohttp

    left = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def work():
            for number in left:
                body = {
                    "InstanceName": "demo",
                    "ProductId": f"P{number:08}",
                    "PicName": f"{number:08}-front.jpg",
                }
                async with session.post(f"http://127.0.0.1:{port}/", data=body) as reply:
                    json.loads(await reply.read())

        wall, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return {"seconds": time.monotonic() - wall, "cpu": time.process_time() - cpu, "calls": calls}


def measured(rows, port):
    with tempfile.TemporaryDirectory(prefix="batchsearch-memory-") as temporary:
        folder = Path(temporary)
        (folder / "manifest").mkdir()
        write_manifest(folder / "manifest" / "a.parquet", rows)
        run = (__file__, "--run", folder, port)
        found = {"rows": rows, "run": found_apart(*run), "again": found_apart(*run)}
        write_manifest(folder / "manifest" / "b.parquet", 100, first=rows)
        found["appended"] = found_apart(*run)
    for name, calls in (("run", rows), ("again", 0), ("appended", 100)):
        took = found[name]
        if (took["calls"], took["exit_code"]) != (calls, 0):
            raise SystemExit(
                f"{name} of {rows:,} rows made {took['calls']:,} calls, exit code {took['exit_code']}"
            )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--hits", type=int, default=0, help="hits in each answer")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--bare", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--respond", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.respond is not None:
        asyncio.run(serve(options.respond))
        return
    if options.run:
        print(json.dumps(run_once(Path(options.run[0]), int(options.run[1]))))
        return
    if options.bare:
        print(json.dumps(asyncio.run(bare(*options.bare))))
        return
    with responding(__file__, "--respond", options.hits) as port:
        references = [found_apart(__file__, "--bare", port, min(options.rows))]
        found = [measured(rows, port) for rows in options.rows]
        # Before and after: what else the machine does meanwhile is in both.
        references.append(found_apart(__file__, "--bare", port, min(options.rows)))
        reference = {name: sum(each[name] for each in references) / 2 for name in references[0]}
    bare_cpu = reference["cpu"] / reference["calls"] * 1e3
    per_second = reference["calls"] / reference["seconds"]
    print(f"bare loop: {bare_cpu:.3f} ms of processor a request, {per_second:,.0f} requests a second")
    print(
        f"{'rows':>12} {'rows/s':>8} {'ms CPU':>8} {'to bare':>8} {'peak MB':>8} "
        f"{'ledger MB':>10} {'parts MB':>9} "
        f"{'again s':>8} {'peak MB':>8} {'+100 s':>8} {'peak MB':>8}"
    )
    for each in found:
        run, again, more, rows = each["run"], each["again"], each["appended"], each["rows"]
        each["ratio_to_bare"] = run["cpu"] / rows * 1e3 / bare_cpu
        print(
            f"{rows:>12,} {rows / run['seconds']:>8,.0f} {run['cpu'] / rows * 1e3:>8.3f} "
            f"{each['ratio_to_bare']:>8.2f} {run['peak_mb']:>8.0f} "
            f"{run['ledger_mb']:>10.1f} {run['parts_mb']:>9.1f} "
            f"{again['seconds']:>8.2f} {again['peak_mb']:>8.0f} "
            f"{more['seconds']:>8.2f} {more['peak_mb']:>8.0f}"
        )
    if options.json:
        print(json.dumps({"benchmark": "memory", "hits": options.hits, "bare": reference, "sizes": found}))


if __name__ == "__main__":
    main()
