"""A minute of real time against the embedded instance: how much of the tier is used, and never more.

The whole pipeline searches by name on an emulator in another thread, which answers after log-normal delays
around 300 ms and grants QPS calls a second by a token bucket. Reported: calls granted as a share of tier x
time,
the share denied, and the most calls that left, and that arrived, within any one second.

    python tests/benchmarks/real_time.py [--qps 10] [--seconds 60] [--json]

Exits with 1 if more calls than the tier left within any one second. The rest is reported only: when a call
arrives is the network's doing.
"""

import asyncio
import csv
import os
import sys
import tempfile
from pathlib import Path

import pandas as pd
from measuring.command_line import command_line, tell
from PIL import Image

from batchsearch.config.load import load_job
from batchsearch.emulator.faults import FaultPlan, FaultRule, Latency
from batchsearch.emulator.http.request_log import most_within
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.records import NewItem
from batchsearch.emulator.server import Emulator
from batchsearch.engine.run.job import run_job
from batchsearch.telemetry.logs import configure


def settings_for(folder, endpoint, qps, rows):
    """A job of so many searches by name, each for a different product."""
    with (folder / "names.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["product_id", "pic_name"])
        writer.writerows([[f"P{n}", "front"] for n in range(rows)])
    (folder / "job.yaml").write_text(
        "operation: SearchImageByName\n"
        f"instance: {{endpoint: '{endpoint}', name: demo, qps: {qps}, shared: none}}\n"
        "manifest: {path: names.csv}\n"
        "max_failed: 100%\n"
        "output: {dir: out}\n"
    )
    return load_job(folder / "job.yaml", environ={}).settings


def main():
    parser = command_line(__doc__, seconds=60.0)
    parser.add_argument("--qps", type=int, default=10, choices=(1, 5, 10))
    given = parser.parse_args()
    configure("json", "error")
    rows = int(given.qps * given.seconds)
    delays = FaultPlan((FaultRule(Latency(kind="lognormal", seconds=0.3, sigma=0.5)),))
    options = EmulatorOptions(
        instances=(InstanceOptions(qps=given.qps, counting="token_bucket"),), faults=delays, threads=8
    )
    with tempfile.TemporaryDirectory() as name, Emulator(options) as emulator:
        folder = Path(name)
        Image.new("RGB", (200, 200), "teal").save(folder / "p.png")
        image = decode_image((folder / "p.png").read_bytes(), "generic")
        for n in range(rows):
            emulator.catalogue().add(NewItem(f"P{n}", "front"), image, crop=False, region=None)
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"] = emulator.access_key_id
        os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = emulator.access_key_secret
        summary = asyncio.run(run_job(settings_for(folder, emulator.endpoint, given.qps, rows)))
        results = pd.read_parquet(folder / "out" / "results")
        arrivals = [entry.arrived for entry in emulator.log.entries("SearchImageByName")]
    sent = results["first_sent_at"].astype("int64") / 1e6
    spent = max(arrivals) - min(arrivals) + 1 / given.qps
    granted = summary.calls - summary.denied
    report = {
        "qps": given.qps,
        "seconds": round(spent, 2),
        "calls": summary.calls,
        "granted_share_of_tier": round(granted / (given.qps * spent), 4),
        "denied_share": round(summary.denied / summary.calls, 4),
        "most_sent_in_a_second": most_within(sent),
        "most_arrived_in_a_second": most_within(arrivals),
        "median_latency_ms": round(float(results["latency_ms"].median()), 1),
    }
    width = max(map(len, report))
    for name, value in report.items():
        print(f"{name:<{width}}  {value}")
    tell(given, report)
    if report["most_sent_in_a_second"] > given.qps:
        sys.exit("more calls than the tier left within a second")


if __name__ == "__main__":
    main()
