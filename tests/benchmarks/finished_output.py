"""Outputs of any size whose every row is finished, made with nothing but the schemas: no call, in seconds.

Job, manifest, parts and ledger are what a run by name leaves, with what the rows came from and the requests
that were answered; `results/` has the columns that a check needs, the others are null.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.engine.renewal.row_source import SourceReader
from batchsearch.manifest.keys import digests_of
from batchsearch.manifest.rows import Row
from batchsearch.storage.ledger.checksum import note_sum
from batchsearch.storage.ledger.store import Ledger
from batchsearch.storage.parts.results_and_hits import hits_schema, results_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OPERATION = "SearchImageByName"
COLUMNS = ("id", "product_id", "pic_name")
ROWS_AT_ONCE = 100_000


def make_output(
    folder: Path,
    rows: int,
    *,
    hits: int = 0,
    rows_per_part: int = 50_000,
    endpoint: str = "http://127.0.0.1:9",
) -> Path:
    """Make a job, its manifest and its finished output; the job's file."""
    job = {
        "operation": OPERATION,
        "instance": {"endpoint": endpoint, "name": "demo", "qps": 10},
        "manifest": {"path": "m.parquet", "key": ["id"]},
        "output": {"dir": "out"},
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    write_manifest(folder, rows)
    out = folder / "out"
    for name in ("results", "hits", "ledger"):
        (out / name).mkdir(parents=True)
    path = out / "ledger" / "ledger.sqlite3"
    Ledger(path).close()
    parts = [
        _part(out, number, range(first, min(first + rows_per_part, rows)), hits)
        for number, first in enumerate(range(0, rows, rows_per_part), start=1)
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        _insert(connection, "parts", parts)
        _insert_rows(connection, rows)
    note_sum(path)
    return folder / "job.yaml"


def write_manifest(folder: Path, rows: int) -> None:
    """The manifest of so many rows, `m.parquet`, written anew."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(folder / "m.parquet", schema) as writer:
        for first in range(0, rows, ROWS_AT_ONCE):
            keys = key_texts(range(first, min(first + ROWS_AT_ONCE, rows)))
            writer.write_table(
                pa.table({"id": keys, "product_id": keys, "pic_name": ["front"] * len(keys)}, schema=schema)
            )


def key_texts(numbers: range) -> list[str]:
    """The keys of rows."""
    return [f"row-{number:08}" for number in numbers]


def _part(out: Path, number: int, rows: range, hits: int) -> dict[str, Any]:
    """Write a pair of files; their line in the ledger."""
    keys, name = key_texts(rows), f"part-{number:06}.parquet"
    outcome = {"id": keys, "row_key": keys, "outcome": ["ok"] * len(keys), "hit_count": [hits] * len(keys)}
    found = {
        "row_key": np.repeat(keys, hits),
        "rank": np.tile(np.arange(1, hits + 1), len(keys)),
        "product_id": np.repeat(keys, hits),
        "score": np.random.default_rng(number).random(len(keys) * hits),
    }
    carried = pa.schema([(column, pa.string()) for column in COLUMNS])
    results = results_schema(OPERATION, carried)
    return {
        "name": name,
        "first_seq": rows.start + 1,
        "last_seq": rows.stop,
        "rows": len(keys),
        "hits": len(keys) * hits,
        "results_sha256": _write(out / "results" / name, table_of(results, len(keys), outcome)),
        "hits_sha256": _write(out / "hits" / name, table_of(hits_schema(), len(keys) * hits, found)),
        "sealed_at": "2026-01-01T00:00:00+00:00",
        "place": "current",
        "stays": 0,
    }


def table_of(schema: pa.Schema, rows: int, given: Mapping[str, Any]) -> pa.Table:
    """A table of so many rows: the columns given, nulls in the others."""
    columns = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _write(path: Path, table: pa.Table) -> str:
    """Write a part; its SHA-256."""
    pq.write_table(table, path, compression="zstd")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _insert_rows(connection: sqlite3.Connection, rows: int) -> None:
    """The rows of the ledger and the requests that they have answered, each in the order of its key."""
    sources = SourceReader(Path(), ImageSettings(), files=True)
    digests, came_from = bytearray(), bytearray()
    for first in range(0, rows, ROWS_AT_ONCE):
        keys = key_texts(range(first, min(first + ROWS_AT_ONCE, rows)))
        digests += b"".join(digests_of(pa.array(keys)))
        for key in keys:
            row = Row(key, 0, 0, (), {"product_id": key, "pic_name": "front"})
            came_from += sources.of(row).digest
    order = _order(digests)
    now = time.time()
    _insert(
        connection,
        "rows",
        (
            {
                "digest": bytes(digests[16 * n : 16 * n + 16]),
                "finished_at": now,
                "outcomes": 1,
                "request": bytes(digests[16 * n : 16 * n + 16]),
                "source": bytes(came_from[16 * n : 16 * n + 16]),
                "seq": n + 1,
            }
            for n in order
        ),
    )
    _insert(
        connection,
        "answers",
        (
            {"request_key": bytes(digests[16 * n : 16 * n + 16]) * 2, "seq": n + 1, "answered_at": now}
            for n in order
        ),
    )


def _order(digests: bytearray) -> Iterable[int]:
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return np.lexsort((words[:, 1], words[:, 0])).tolist()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert what the table has columns for."""
    known = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    rows = iter(rows)
    first = next(rows)
    names = [name for name in known if name in first]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    connection.execute(statement, [first[name] for name in names])
    connection.executemany(statement, ([row[name] for name in names] for row in rows))
