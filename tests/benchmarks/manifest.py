"""How fast a manifest is checked and walked, and in how much memory, beside plain readers of the same file.

Run from the project's folder: `python tests/benchmarks/manifest.py [--rows 10000,1000000,10000000] [--json]`.
The manifest is by name: two key columns and a third. Every measurement is a process of its own; memory is its
peak resident size, megabytes, and seconds are those of the work without imports. `check` reads everything and
finds repeated keys, `keys` and `digests` read the key columns, `batches` makes every row a Python object 256
at a time, `walk` only their digests, as a resumed run does. pandas and pyarrow read the whole table at once,
and `pyarrow stream` a batch at a time, without looking at a single cell.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring.apart import found_apart, peak_mb
from measuring.command_line import command_line, tell

ROWS = (10_000, 1_000_000, 10_000_000)
OURS = ("check", "keys", "digests", "batches", "walk")
OTHERS = ("pyarrow stream", "pyarrow", "pandas")
MOST_FOR_OTHERS = 1_000_000
"""Larger tables are read by us alone: the others hold them whole."""

FLAT = 0.10


def make(file: Path, rows: int) -> None:
    """Write a by-name manifest of so many rows."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in ("product_id", "pic_name", "category_id")])
    writer = pa.csv.CSVWriter(file, schema) if file.suffix == ".csv" else pq.ParquetWriter(file, schema)
    with writer:
        for start in range(0, rows, 100_000):
            numbers = range(start, min(rows, start + 100_000))
            columns = [
                [f"P{number // 3:09}" for number in numbers],
                [f"{number}.jpg" for number in numbers],
                [str(number % 80) for number in numbers],
            ]
            writer.write_table(pa.table(columns, schema=schema))


def measure(what: str, file: Path) -> dict[str, Any]:
    """One measurement, in this process."""
    work = _reader(what, file)
    began = time.perf_counter()
    rows = work()
    seconds = time.perf_counter() - began
    return {"rows": rows, "seconds": round(seconds, 3), "peak_mb": round(peak_mb(), 1)}


def _reader(what: str, file: Path) -> Any:
    is_csv = file.suffix == ".csv"
    if what == "pandas":
        import pandas as pd

        return lambda: len(pd.read_csv(file, dtype=str) if is_csv else pd.read_parquet(file))
    if what.startswith("pyarrow"):
        import pyarrow.csv as pc
        import pyarrow.parquet as pq

        if what == "pyarrow":
            return lambda: (pc.read_csv(file) if is_csv else pq.read_table(file)).num_rows
        batches = (lambda: pc.open_csv(file)) if is_csv else (lambda: pq.ParquetFile(file).iter_batches())
        return lambda: sum(batch.num_rows for batch in batches())
    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.manifest.source import Manifest, Wanted

    names = ("product_id", "pic_name")
    wanted = Wanted(required=names, allowed=frozenset(names))
    manifest = Manifest.open(ManifestSettings(path=str(file)), base=file.parent, wanted=wanted)
    return {
        "check": manifest.check,
        "keys": lambda: sum(map(len, manifest.keys())),
        "digests": lambda: sum(len(batch.digests()) for batch in manifest.key_batches()),
        "batches": lambda: sum(len(batch.rows) for batch in manifest.batches(256)),
        "walk": lambda: sum(len(batch.digests()) for batch in manifest.batches(256)),
    }[what]


def main() -> int:
    """Measure, print, and fail when memory is not flat or rows are missing."""
    parser = command_line(__doc__)
    parser.add_argument("--rows", default=",".join(map(str, ROWS)))
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], Path(arguments.measure[1]))))
        return 0
    found = []
    with tempfile.TemporaryDirectory(prefix="batchsearch-manifest-") as name:
        for rows in map(int, arguments.rows.split(",")):
            for ending in ("csv", "parquet"):
                file = Path(name, f"{rows}.{ending}")
                make(file, rows)
                for what in OURS + (OTHERS if rows <= MOST_FOR_OTHERS else ()):
                    took = found_apart(__file__, "--measure", what, file)
                    line = {"what": what, "format": ending, "wanted": rows, **took}
                    found.append(line)
                    if not arguments.json:
                        rate = line["rows"] / max(line["seconds"], 1e-6)
                        print(
                            f"{what:<15} {ending:<8} {rows:>10,} rows {line['seconds']:>8.2f} s "
                            f"{rate:>12,.0f} rows/s {line['peak_mb']:>7.0f} MB",
                            flush=True,
                        )
                file.unlink()
    whole = all(line["rows"] == line["wanted"] for line in found)
    spread = 0.0
    for what in OURS:
        for ending in ("csv", "parquet"):
            peaks = [line["peak_mb"] for line in found if (line["what"], line["format"]) == (what, ending)]
            middle = (max(peaks) + min(peaks)) / 2
            spread = max(spread, (max(peaks) - middle) / middle)
    tell(arguments, {"measured": found, "spread": round(spread, 3), "whole": whole})
    if not arguments.json:
        print(f"peak memory over all sizes: within ±{spread:.1%}; every row seen: {whole}")
    return 0 if whole and spread <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
