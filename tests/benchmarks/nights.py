"""What a night over finished rows costs: nothing left, the manifest exported anew, a hundred new rows.

Each night is the command `batchsearch run` as a process of its own, beside a process that does the least
there is to do: read the manifest's keys, hash them, and join them with those of the ledger.

    python tests/benchmarks/nights.py [--rows 1000000] [--new 100] [--json]

The output is made, not run (see `finished_output`). CPU is that of the whole process, its start included;
the new rows' calls go to a responder on loopback in a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from finished_output import make_output, write_manifest
from measuring.apart import KEYS, called_apart
from measuring.command_line import command_line, tell
from measuring.loopback import responding


@dataclass(frozen=True)
class Measured:
    """What a process took: seconds of CPU and of time, most memory in MB."""

    cpu: float
    wall: float
    memory_mb: float


def measured(command: list[str]) -> tuple[Measured, str]:
    """Run a command; what it took, and what it wrote. Ends the program where it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | KEYS)
    out = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} failed: {out}")
    cpu, wall = used.ru_utime + used.ru_stime, time.monotonic() - began
    return Measured(round(cpu, 2), round(wall, 2), round(used.ru_maxrss / 1024)), out


def night(job: Path, expected: dict[str, int]) -> Measured:
    """One night; ends the program where it did anything else than what was expected."""
    command = [sys.executable, "-m", "batchsearch", "run", str(job), "--json", "--log-level", "warning"]
    took, out = measured(command)
    summary = json.loads(out)
    found = {name: summary[name] for name in expected}
    if found != expected:
        sys.exit(f"the night did {found}, not {expected}")
    return took


def least(folder: Path) -> None:
    """The reference: every key of the manifest read, hashed, and looked for among the ledger's."""
    import numpy as np
    import pyarrow.parquet as pq

    keys = []
    with pq.ParquetFile(folder / "m.parquet") as file:
        for batch in file.iter_batches(columns=["id"]):
            texts = batch.column(0).to_pylist()
            keys.append(b"".join(hashlib.blake2b(key.encode(), digest_size=16).digest() for key in texts))
    mine = np.frombuffer(b"".join(keys), "<u8")[::2]
    with closing(sqlite3.connect(folder / "out" / "ledger" / "ledger.sqlite3")) as connection:
        known = b"".join(row[0] for row in connection.execute("SELECT digest FROM rows"))
    theirs = np.frombuffer(known, "<u8")[::2]
    print(len(mine), int(np.isin(mine, theirs).sum()))


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, rows=1_000_000)
    parser.add_argument("--new", type=int, default=100, help="rows that the last night has more")
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reference is not None:
        least(options.reference)
        return
    with (
        responding(Path(__file__).with_name("calls.py"), "--respond") as port,
        tempfile.TemporaryDirectory(prefix="batchsearch-nights-") as place,
    ):
        found = nights(Path(place), options.rows, options.new, f"http://127.0.0.1:{port}")
    print(f"{options.rows:,} finished rows; CPU includes the start of the process")
    print(f"{'':34}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'to least':>9}")
    for name, took in found.items():
        ratio = took.cpu / found[REFERENCE].cpu
        print(f"{name:34}{took.cpu:8.2f}{took.wall:8.2f}{took.memory_mb:9.0f}{ratio:9.2f}")
    told = {name: asdict(took) for name, took in found.items()}
    tell(options, {"rows": options.rows, "new": options.new, "nights": told})


SETTLING = 5
"""New rows of a first night that is not told: it looks at what was made, as every later one need not."""

REFERENCE = "keys read, hashed, joined"


def nights(folder: Path, rows: int, new: int, endpoint: str) -> dict[str, Measured]:
    """The reference and every night, in this order."""
    job = called_apart(make_output, folder, rows - SETTLING, endpoint=endpoint)
    called_apart(write_manifest, folder, rows)
    nothing = {"rows": rows, "done": rows, "calls": 0}
    command = [sys.executable, __file__, "--reference", str(folder)]
    night(job, nothing | {"calls": SETTLING})
    found = {REFERENCE: measured(command)[0], "nothing left": night(job, nothing)}
    called_apart(write_manifest, folder, rows)
    found["nothing left, exported anew"] = night(job, nothing)
    called_apart(write_manifest, folder, rows + new)
    found[f"{new} new rows"] = night(job, {"rows": rows + new, "done": rows + new, "calls": new})
    return found


if __name__ == "__main__":
    main()
