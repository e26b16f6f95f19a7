"""Rows that have left the manifest: marked in the results, and marked as there again when they come back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.digest_set import DigestSet
from batchsearch.errors import OutputError
from batchsearch.manifest.keys import digests_of
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.rewrite import Change
from batchsearch.storage.parts.row_columns import IN_MANIFEST, KEY
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.engine.parts.exchange import Generations
    from batchsearch.manifest.source import Manifest
    from batchsearch.storage.ledger.store import Ledger

_LEFT: Final = "left"
"""Named text of the ledger: how many rows of the results are marked as not in the manifest."""


async def mark_left(
    ledger: Ledger, folder: Path, manifest: Manifest, generations: Generations, *, others: int
) -> None:
    """Mark which rows of the results are in tonight's manifest; parts that say it already stay as they are.

    Parts are exchanged as a whole, so a kill leaves what was said before, and the next run looks again. Rows
    that wait for their part say that they are there, which the next run corrects.

    Args:
        ledger: The output's.
        folder: The output folder.
        manifest: Tonight's rows.
        generations: Exchanges parts.
        others: Rows with an outcome that the manifest does not have.

    Raises:
        ManifestError: The manifest cannot be read to its end.
        OutputError: A part cannot be read or written.
    """
    if not others and ledger.meta(_LEFT) in (None, "0"):
        return
    there = await asyncio.to_thread(_rows_of, manifest)
    wrong = await asyncio.to_thread(_wrong_parts, ledger, folder, there)
    if wrong:
        several = len(manifest.quoted) > 1
        change = Change(several, there=lambda keys: _among(there, keys), now=datetime.now(UTC))
        await generations.change(wrong, change)
        logger().info("left_marked", left=others, parts=len(wrong))
    await ledger.set_meta(_LEFT, str(others))


def _rows_of(manifest: Manifest) -> DigestSet:
    return DigestSet(digest for keys in manifest.key_batches() for digest in keys.digests())


def _among(there: DigestSet, keys: pa.ChunkedArray) -> pa.Array:
    return pa.array(
        there.among([digest for chunk in keys.chunks for digest in digests_of(chunk)]), pa.bool_()
    )


def _wrong_parts(ledger: Ledger, folder: Path, there: DigestSet) -> list[str]:
    """Parts with a row that says otherwise."""
    found = []
    for part in ledger.parts():
        path = folder / RESULTS / part.name
        try:
            table = pq.read_table(arrow_readable(path), columns=[KEY, IN_MANIFEST])
        except (OSError, pa.ArrowException, ValueError) as error:
            raise OutputError(f"{path}: cannot be read: {reason_of(error)}") from error
        said = table[IN_MANIFEST].combine_chunks()
        if pc.any(pc.fill_null(pc.not_equal(said, _among(there, table[KEY])), True)).as_py():
            found.append(part.name)
    return found
