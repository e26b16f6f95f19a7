"""Memory and CPU of the looks of a catalogue's images, beside those of one table in memory.

    python tests/benchmarks/looks_memory.py [--images 100000] [--json]

Made-up looks are kept as a first night keeps them, and looked up as the next night does. The reference makes
a dictionary of each and a table of all, looks up nothing, and keeps nothing. Each is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring.apart import found_apart
from measuring.command_line import command_line, tell

from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, THUMB, Fingerprint
from batchsearch.tasks.dedup.verifying.looks_file import LOOKS_FILE, LooksFile, SeenImage

_AT_ONCE = 1_024
_ROWS_A_BATCH = 256


def look(number: int) -> SeenImage:
    """A made-up look."""
    some = np.random.default_rng(number).bytes(40 + THUMB + COLOURS)
    thumb, colours = some[40 : 40 + THUMB], some[40 + THUMB :]
    seen = Fingerprint(some[:32], b"", int.from_bytes(some[32:40]), thumb, colours, 0.5)
    return SeenImage(f"row-{number:08}", some[:16], seen)


def kept(images: int) -> None:
    """Two nights with the file."""
    with tempfile.TemporaryDirectory(prefix="batchsearch-looks-") as folder:
        with LooksFile(Path(folder, LOOKS_FILE)) as looks:
            for first in range(0, images, _AT_ONCE):
                looks.keep([look(number) for number in range(first, min(first + _AT_ONCE, images))])
        with LooksFile(Path(folder, LOOKS_FILE)) as looks:
            for first in range(0, images, _ROWS_A_BATCH):
                numbers = range(first, min(first + _ROWS_A_BATCH, images))
                keys = pa.array([f"row-{number:08}" for number in numbers])
                if len(list(looks.rows(keys, "token", "sha256"))) != len(keys):
                    sys.exit("a look is not found again")


def in_memory(images: int) -> None:
    """The reference."""
    rows = []
    for number in range(images):
        key, token, seen = look(number)
        values = {name: getattr(seen, name) for name in Fingerprint.__dataclass_fields__}
        rows.append({"row_key": key, "token": token, **values, "outline": seen.outline >> 1})
    pa.Table.from_pylist(rows)


WAYS = {"kept on disk": kept, "one table in memory": in_memory}


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__, images=100_000)
    parser.add_argument("--way", choices=[*WAYS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way is not None:
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        WAYS[options.way](options.images)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps({"cpu": round(time.process_time() - began, 2), "memory_mb": round(most / 1024)}))
        return
    found = {way: found_apart(__file__, "--images", options.images, "--way", way) for way in WAYS}
    for way, took in found.items():
        print(f"{way:22}{took['cpu']:8.2f} s CPU{took['memory_mb']:8,} MB")
    tell(options, {"images": options.images, "ways": found})


if __name__ == "__main__":
    main()
