"""Rows whose list of hits was as long as it could be, and is to be longer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.digest_set import DigestSet
from batchsearch.manifest.keys import digests_of
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.sealed_part import STAGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries

_COLUMNS = ("row_key", "hit_count")


def short_lists(ledger: LedgerQueries, folder: Path, *, full: int, wanted: int) -> DigestSet:
    """The rows that have at least `full` hits and fewer than `wanted`.

    A row with fewer than `full` has all that there was: asked for more, the service would say the same.

    Args:
        ledger: The output's.
        folder: The output folder.
        full: Hits of a list that was cut off.
        wanted: Hits that each row is to have.

    Raises:
        OutputError: A part or the ledger cannot be read.
    """
    # What waits replaces what is staged, and that what readers see.
    later = dict(_in_parts(ledger, folder / STAGED, staged=True))
    later.update(_waiting(ledger))
    found = [digest for digest, hits in later.items() if full <= hits < wanted]
    found += [
        digest
        for digest, hits in _in_parts(ledger, folder, staged=False)
        if full <= hits < wanted and digest not in later
    ]
    return DigestSet(found)


def _in_parts(ledger: LedgerQueries, folder: Path, *, staged: bool) -> Iterator[tuple[bytes, int]]:
    for part in ledger.parts(STAGED if staged else "current"):
        path = folder / RESULTS / part.name
        with reading(path), pq.ParquetFile(arrow_readable(path)) as file:
            for batch in file.iter_batches(columns=list(_COLUMNS)):
                counts = batch.column("hit_count").fill_null(0).to_pylist()
                yield from zip(digests_of(batch.column("row_key")), counts, strict=True)


def _waiting(ledger: LedgerQueries) -> Iterator[tuple[bytes, int]]:
    for text in ledger.waiting_results():
        result = json.loads(text)
        yield digest_of(result["row_key"]), int(result.get("hit_count") or 0)
