"""Time and memory of `batchsearch verify` over an output of a million rows.

    python tests/thorough/heavy/verify_million.py [--rows 1000000] [--hits 5]

Makes the output with nothing but the schemas (see `finished_output`), in parts of 5,000 rows. Then runs the
command as a process of its own, and exits with 1 when it finds anything or takes more than 300 MB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from finished_output import make_output

ROWS_PER_PART = 5_000
MOST_MEMORY = 300 << 20


def measured(command):
    """Run a command; its exit code, what it wrote, seconds, and the most memory that it had, bytes."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    return os.waitstatus_to_exitcode(status), out, time.monotonic() - began, used.ru_maxrss << 10


def main():
    """Make it, verify it, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--hits", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_output(folder, options.rows, hits=options.hits, rows_per_part=ROWS_PER_PART)
        command = [sys.executable, "-m", "batchsearch", "verify", str(folder / "out")]
        command += ["--config", str(folder / "job.yaml"), "--json"]
        code, out, seconds, most = measured(command)
        told = json.loads(out)["folders"][0]
        size = sum(path.stat().st_size for path in (folder / "out").rglob("*") if path.is_file())
    sys.stdout.write(
        f"verify of {told['rows']:,} rows and {told['hits']:,} hits ({size >> 20} MB): "
        f"{told['status']} in {seconds:.1f} s, at most {most >> 20} MB\n"
    )
    sys.exit(code != 0 or most > MOST_MEMORY or told["rows"] != options.rows)


if __name__ == "__main__":
    main()
