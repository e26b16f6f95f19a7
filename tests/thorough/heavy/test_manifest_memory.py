"""Memory that does not grow with the manifest."""

import json
import subprocess
import sys

import pytest

MEASURE = """
import json, sys
from pathlib import Path
from batchsearch.config.sections.manifest_settings import ManifestSettings
from batchsearch.manifest.source import Manifest, Wanted
settings = ManifestSettings(path=sys.argv[1], **json.loads(sys.argv[2]))
wanted = Wanted(images=("image",) if settings.images else ())
manifest = Manifest.open(settings, base=Path("/"), wanted=wanted)
rows = manifest.check()
assert sum(len(batch.digests()) for batch in manifest.batches(256)) == rows
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

MAKE = """
import sys
import pyarrow as pa, pyarrow.csv, pyarrow.parquet as pq
name, rows = sys.argv[1], int(sys.argv[2])
schema = pa.schema([("product_id", pa.string()), ("pic_name", pa.string())])
writer = pa.csv.CSVWriter(name, schema) if name.endswith(".csv") else pq.ParquetWriter(name, schema)
with writer:
    for start in range(0, rows, 50_000):
        numbers = range(start, min(rows, start + 50_000))
        columns = [[f"P{n // 3:09}" for n in numbers], [f"{n}.jpg" for n in numbers]]
        writer.write_table(pa.table(columns, schema=schema))
"""


MAKE_PRODUCTS = """
import sys
import pyarrow as pa, pyarrow.csv
name, rows = sys.argv[1], int(sys.argv[2])
schema = pa.schema([(column, pa.string()) for column in ("sku", "handle", "title", "images")])
with pa.csv.CSVWriter(name, schema) as writer:
    for start in range(0, rows, 50_000):
        numbers = range(start, min(rows, start + 50_000))
        columns = [
            [f"S{n}" for n in numbers],
            [f"H{n * 7919 % rows // 3}" for n in numbers],
            [f"Title {n}" if n % 3 else "" for n in numbers],
            [",".join(f"https://cdn.example/{n}/{i}.jpg?v={n}" for i in range(n % 4)) for n in numbers],
        ]
        writer.write_table(pa.table(columns, schema=schema))
"""


def _peak(file, **settings):
    command = [sys.executable, "-c", MEASURE, str(file), json.dumps(settings)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_peak_memory_is_flat(tmp_path, ending):
    """A process that checks and walks 600,000 rows needs at most a tenth more than one with 20,000."""
    peaks = []
    for rows in (20_000, 600_000):
        file = tmp_path / f"{rows}.{ending}"
        subprocess.run([sys.executable, "-c", MAKE, str(file), str(rows)], check=True)
        # A busy machine can only raise a peak (more is read ahead before it is used): the lowest counts.
        peaks.append(min(_peak(file) for _ in range(3)))
    assert peaks[1] < peaks[0] * 1.1


def test_peak_memory_is_bounded_where_rows_are_made(tmp_path):
    """Images expanded, taken over from groups that stand apart, filled and filtered: no row is held on to."""
    settings = {
        "key": "handle",
        "images": "images",
        "without_image": "inherit",
        "group": "handle",
        "fill": "title",
        "where": "title is not null",
    }
    peaks = []
    for rows in (5_000, 50_000):
        file = tmp_path / f"{rows}.csv"
        subprocess.run([sys.executable, "-c", MAKE_PRODUCTS, str(file), str(rows)], check=True)
        peaks.append(_peak(file, **settings))
    # Up to 32 MB of a file are read at once, and both are smaller: the larger one may be held as text once.
    assert peaks[1] < peaks[0] * 1.15
