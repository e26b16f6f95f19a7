"""The soak's run: a whole job in this process, and samples of what it holds, one line of JSON each."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from batchsearch.config.load import load_job
from batchsearch.engine.job import run_job
from batchsearch.reporting.logs import configure

PAGE = os.sysconf("SC_PAGE_SIZE")


class Counters:
    """Keeps the run's counters at hand."""

    def __init__(self):
        self.stats = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def update(self, stats, *_, **__):
        self.stats = stats


def sample(counters, began):
    """What the process holds now."""
    stats = counters.stats
    return {
        "seconds": round(time.monotonic() - began, 3),
        "rows": 0 if stats is None else stats.done,
        "calls": 0 if stats is None else stats.calls,
        "rss": int(Path("/proc/self/statm").read_text().split()[1]) * PAGE,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "tasks": len(asyncio.all_tasks()),
    }


async def main():
    """Run the job and sample it."""
    settings = load_job(Path(sys.argv[1])).settings
    counters, began = Counters(), time.monotonic()
    with Path(sys.argv[2]).open("w") as file:
        job = asyncio.create_task(run_job(settings, progress=counters))
        while not job.done():
            await asyncio.wait([job], timeout=0.5)
            if not job.done():
                file.write(json.dumps(sample(counters, began)) + "\n")
        summary = job.result()
    print(summary.as_json())
    sys.exit(int(summary.exit_code))


if __name__ == "__main__":
    configure("json", "warning")
    asyncio.run(main())
