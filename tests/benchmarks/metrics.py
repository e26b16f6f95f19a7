"""What watching costs: counting at each call, publishing once a second.

    python tests/benchmarks/metrics.py

Prints the processor time of one call's counting, and of one update of each way of publishing, over counters
as a long run has them. Exits with 1 when counting one call takes more than a hundredth of what a call takes.
"""

import asyncio
import json
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from batchsearch.config.sections.metrics_settings import MetricsSettings
from batchsearch.telemetry.heartbeat import Beat, Owner, write_beat
from batchsearch.telemetry.metrics.publisher import Publisher
from batchsearch.telemetry.reading import reading_of
from batchsearch.telemetry.stats import Stats

CALLS = 100_000
UPDATES = 300
CALL_SECONDS = 0.0006
"""What a call takes of the processor, seconds: DESIGN's figure for signing, sending and reading one."""


def count(stats, calls, *, watched):
    """Processor seconds a call for counting; `watched`: with all that metrics and progress need."""
    began = time.process_time()
    for number in range(calls):
        now = 1000 + number / 100
        stats.sent(now)
        if watched:
            code = None if number % 20 else "DeniedRequest"
            stats.answered(0.3, code, denied=code is not None, now=now, sent_bytes=50_000)
            stats.finished(None, now)
        stats.ok += 1
    return (time.process_time() - began) / calls


async def update(stats, folder, **settings):
    """Processor seconds of one update that does everything, the file included."""
    found = MetricsSettings(**{"opentelemetry": False, **settings})
    now = [1e6]
    made = Publisher(found, stats, instance="demo", operation="SearchImageByPic", clock=lambda: now[0])
    began = time.process_time()
    for _ in range(UPDATES):
        now[0] += 60
        await made.update()
    spent = (time.process_time() - began) / UPDATES
    await made.close(0)
    return spent


def beat(stats, folder):
    """Processor seconds of one heartbeat."""
    owner = Owner.here("run", "SearchImageByPic", "demo")
    began = time.process_time()
    for _ in range(UPDATES):
        write_beat(folder, Beat(owner, reading_of(stats, 3000, datetime.now(UTC))))
    return (time.process_time() - began) / UPDATES


def main():
    """Measure, print, judge."""
    without = count(Stats(), CALLS, watched=False)
    stats = Stats(total=CALLS)
    counting = count(stats, CALLS, watched=True) - without
    for number in range(60):
        stats.codes[f"Code{number}"] = number
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = asyncio.run(update(stats, folder, textfile=str(folder / "run.prom"), every=1))
        served = asyncio.run(update(stats, folder, port=0))
        beats = beat(stats, folder)
    found = {
        "microseconds_a_call": round(counting * 1e6, 2),
        "share_of_a_call": round(counting / CALL_SECONDS, 4),
        "milliseconds_a_file": round(file * 1e3, 2),
        "milliseconds_an_update": round(served * 1e3, 2),
        "milliseconds_a_heartbeat": round(beats * 1e3, 2),
    }
    print(f"counting one call      {counting * 1e6:8.2f} µs, {counting / CALL_SECONDS:.2%} of a call's own")
    print(f"one metrics file       {file * 1e3:8.2f} ms, every 15 s")
    print(f"one update to serve    {served * 1e3:8.2f} ms, every second")
    print(f"one heartbeat          {beats * 1e3:8.2f} ms, every 2 s")
    print(json.dumps(found))
    return 0 if counting < CALL_SECONDS / 100 else 1


if __name__ == "__main__":
    sys.exit(main())
