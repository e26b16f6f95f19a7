"""Several processes, one rate: `python tests/benchmarks/shared_rate.py [--seconds 20] [--redis URL]`.

Starts processes that all want slots all the time, through the file of one host or through a Redis server,
and prints what they got together, the fullest one-second window, and each one's part. Exit code 1 unless
the total is within 2 % of rate x time, no window holds more than the rate, and each process was served.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path

from batchsearch.pacing.shared import SharedPacer
from batchsearch.pacing.shared_file import FileBoard


def board_at(where):
    """`where` is the path of a file or the address of a Redis server."""
    if "://" in where:
        from batchsearch.pacing.shared_redis import RedisBoard

        return RedisBoard(where, "shared_rate", str(multiprocessing.parent_process().pid))
    return FileBoard(Path(where))


def work(where, qps, until, results):
    """Takes slots with four callers until the given monotonic time; puts all their times."""

    async def run():
        pacer = SharedPacer(qps, board_at(where))
        times, waits = [], []

        async def caller():
            while (asked := time.monotonic()) < until:
                at = await pacer.slot()
                waits.append(time.monotonic() - asked)
                pacer.granted(at, 0.1)
                if at < until:
                    times.append(at)

        await asyncio.gather(*(caller() for _ in range(4)))
        await pacer.close()
        return times, max(waits)

    results.put(asyncio.run(run()))


def measure(where, qps, processes, seconds):
    """Runs the processes; returns what they got."""
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    begin = time.monotonic() + 1.5 + 0.5 * processes  # when all have started
    workers = [
        spawn.Process(target=work, args=(where, qps, begin + seconds, results)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    got = [results.get(timeout=seconds + 60) for _ in workers]
    for worker in workers:
        worker.join()
    everything = sorted(at for times, _ in got for at in times)
    fullest = max(bisect_left(everything, at + 1.0) - place for place, at in enumerate(everything))
    return {
        "granted": sum(at >= begin for at in everything),
        "expected": qps * seconds,
        "fullest_second": fullest,
        "each": sorted(sum(at >= begin for at in times) for times, _ in got),
        "longest_wait_s": round(max(wait for _, wait in got), 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--qps", type=int, default=10)
    parser.add_argument("--redis", help="address of a Redis server; a file on this host when not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = options.redis or str(Path(folder, "rate.sqlite"))
        found = measure(where, options.qps, options.processes, options.seconds)
    print(json.dumps(found))
    kept = (
        abs(found["granted"] - found["expected"]) <= 0.02 * found["expected"]
        and found["fullest_second"] <= options.qps
        and min(found["each"]) > 0
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
