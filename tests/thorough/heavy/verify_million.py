"""Time and memory of `batchsearch verify` over an output of a million rows.

    python tests/thorough/heavy/verify_million.py [--rows 1000000] [--hits 5]

Makes the output with nothing but the schemas: parts of 5,000 rows, a ledger, a manifest. Then runs the
command as a process of its own, and exits with 1 when it finds anything or takes more than 300 MB.
"""

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
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from batchsearch.storage.ledger.checksum import note_sum
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.results_and_hits import hits_schema, results_schema

ROWS_PER_PART = 5_000
MOST_MEMORY = 300 << 20
OPERATION = "SearchImageByName"


def values_for(schema, rows, given):
    """A table of so many rows: the columns given, nulls in the others."""
    columns = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def write(path, table):
    """Write a part; its SHA-256."""
    pq.write_table(table, path, compression="zstd")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make(folder, rows, hits):
    """An output of so many rows, each with so many hits."""
    keys = [f"row-{n:08}" for n in range(rows)]
    carried = pa.schema([("id", pa.string())])
    pq.write_table(
        pa.table({"id": keys, "product_id": keys, "pic_name": ["front"] * rows}), folder / "m.parquet"
    )
    job = {
        "operation": OPERATION,
        "instance": {"endpoint": "http://127.0.0.1:9", "name": "demo", "qps": 10},
        "manifest": {"path": "m.parquet", "key": ["id"]},
        "output": {"dir": "out"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    out = folder / "out"
    for name in ("results", "hits", "ledger"):
        (out / name).mkdir(parents=True)
    path = out / "ledger" / "ledger.sqlite3"
    Ledger(path).close()
    parts = []
    results, found = results_schema(OPERATION, carried), hits_schema()
    for number in range(0, rows, ROWS_PER_PART):
        part = keys[number : number + ROWS_PER_PART]
        name = f"part-{number // ROWS_PER_PART + 1:06}.parquet"
        outcome = {
            "id": part,
            "row_key": part,
            "outcome": ["ok"] * len(part),
            "hit_count": [hits] * len(part),
        }
        listed = {
            "row_key": np.repeat(part, hits),
            "rank": np.tile(np.arange(1, hits + 1), len(part)),
            "product_id": np.repeat(part, hits),
            "score": np.random.default_rng(number).random(len(part) * hits),
        }
        parts.append(
            {
                "name": name,
                "first_seq": number + 1,
                "last_seq": number + len(part),
                "rows": len(part),
                "hits": len(part) * hits,
                "results_sha256": write(out / "results" / name, values_for(results, len(part), outcome)),
                "hits_sha256": write(out / "hits" / name, values_for(found, len(part) * hits, listed)),
                "sealed_at": "2026-01-01T00:00:00+00:00",
                "place": "current",
                "stays": 0,
            }
        )
    with closing(sqlite3.connect(path)) as connection, connection:
        insert(connection, "parts", parts)
        insert(
            connection,
            "rows",
            ({"digest": digest_of(key), "finished_at": 0.0, "outcomes": 1} for key in keys),
        )
    connection.close()
    note_sum(path)


def insert(connection, table, rows):
    """Insert what the table has columns for."""
    known = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    rows = iter(rows)
    first = next(rows)
    names = [name for name in known if name in first]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    connection.execute(statement, [first[name] for name in names])
    connection.executemany(statement, ([row[name] for name in names] for row in rows))


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
        make(folder, options.rows, options.hits)
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
