"""The soak's run: a whole job in this process, and samples of what it holds, one line of JSON each."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from batchsearch.config.load import load_job
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.run.job import run_job
from batchsearch.telemetry.logs import configure
from batchsearch.telemetry.progress import Progress

PAGE = os.sysconf("SC_PAGE_SIZE")


class Counters(Progress):
    """Keeps the run's counters at hand."""

    def __init__(self):
        super().__init__()
        self.stats = None

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
        "descriptors": len([*Path("/proc/self/fd").iterdir()]),
        "threads": len([*Path("/proc/self/task").iterdir()]),
        "tasks": len(asyncio.all_tasks()),
    }


async def main(job_file, file):
    """Run the job and write the samples; the summary."""
    settings = load_job(job_file).settings
    counters, began = Counters(), time.monotonic()
    job = asyncio.create_task(run_job(settings, RunOptions(progress=counters)))
    while not job.done():
        await asyncio.wait([job], timeout=0.5)
        if not job.done():
            file.write(json.dumps(sample(counters, began)) + "\n")
    return job.result()


if __name__ == "__main__":
    configure("json", "warning")
    with Path(sys.argv[2]).open("w") as samples:
        summary = asyncio.run(main(Path(sys.argv[1]), samples))
    sys.stdout.write(summary.as_json() + "\n")
    sys.exit(int(summary.exit_code))
