"""Rows that have left the manifest: marked in the results, and marked as there again when they come back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.digest_set import DigestSet, places_among
from batchsearch.manifest.keys import digests_of
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.digest_sort import halves
from batchsearch.storage.parts.parquet_table import reading
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.rewrite import Change
from batchsearch.storage.parts.row_columns import IN_MANIFEST, KEY
from batchsearch.storage.sealed.key_sums import Keys
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.engine.parts.exchange import Generations
    from batchsearch.manifest.keys import RepeatFinder
    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.ledger.store import Ledger

_LEFT: Final = "left"
"""Named text of the ledger: how many rows of the results are marked as not in the manifest."""

_MARKED: Final = "left_marked"
"""Named text of the ledger: those rows counted and summed up, once every part says it of them; else empty."""


def is_any_marked(ledger: LedgerQueries) -> bool:
    """Whether rows of the results are marked as not in the manifest.

    Raises:
        OutputError: The ledger cannot be read.
    """
    return ledger.meta(_LEFT) not in {None, "0"}


def rows_left(ledger: LedgerQueries, keys: RepeatFinder) -> tuple[bytes, ...]:
    """The digests of the rows that have an outcome and are not among keys, one after the other in pieces.

    Args:
        ledger: Has the outcomes.
        keys: Of the manifest, none of them twice.

    Raises:
        OutputError: The ledger cannot be read.
        OSError: The keys cannot be read.
    """
    following = (entries for entries in keys.in_order() if len(entries))
    entries = next(following, None)
    left = []
    for packed in ledger.packed_digests():
        digests = halves(packed)
        digests = digests[np.argsort(digests[:, 0])]
        gone = np.ones(len(digests), dtype=bool)
        while entries is not None:
            places = places_among(entries["high"], entries["low"], digests[:, 0], digests[:, 1])
            gone &= places < 0
            # Digests that begin alike are never in two pieces of the keys.
            if entries["high"][-1] >= digests[-1, 0]:
                break
            entries = next(following, None)
        left.append(digests[gone].astype(">u8").tobytes())
    return tuple(left)


async def mark_left(
    ledger: Ledger, folder: Path, generations: Generations, left: Sequence[bytes], *, several: bool
) -> None:
    """Mark which rows of the results are in tonight's manifest; parts that say it already stay as they are.

    Parts are exchanged as a whole, so a kill leaves what was said before, and the next run looks again. Rows
    that wait for their part say that they are there, which the next run corrects. Where the same rows are
    missing as the last time, and none waited then, no part is read.

    Args:
        ledger: The output's.
        folder: The output folder.
        generations: Exchanges parts.
        left: Rows with an outcome that the manifest does not have, as `rows_left` gives them.
        several: Keys have several columns.

    Raises:
        OutputError: A part cannot be read or written.
    """
    keys = reduce(Keys.added, left, Keys())
    if ledger.meta(_MARKED) == keys.as_text():
        return
    gone = DigestSet(left)
    await ledger.set_meta(_MARKED, "")
    waits = ledger.waiting().rows > 0 or generations.staged()
    wrong = await asyncio.to_thread(_wrong_parts, ledger, folder, gone)
    if wrong:
        change = Change(several, there=lambda keys: _not_among(gone, keys), now=datetime.now(UTC))
        await generations.change(wrong, change)
        logger().info("left_marked", left=len(gone), parts=len(wrong))
    await ledger.set_meta(_LEFT, str(len(gone)))
    if not waits:
        await ledger.set_meta(_MARKED, keys.as_text())


def _not_among(gone: DigestSet, keys: pa.ChunkedArray) -> pa.Array:
    return pa.array(~gone.among(digests_of(keys)), pa.bool_())


def _wrong_parts(ledger: Ledger, folder: Path, gone: DigestSet) -> list[str]:
    """Parts with a row that says otherwise."""
    found = []
    for part in ledger.parts():
        path = folder / RESULTS / part.name
        with reading(path):
            table = pq.read_table(arrow_readable(path), columns=[KEY, IN_MANIFEST])
        said = table[IN_MANIFEST].combine_chunks()
        if pc.any(pc.fill_null(pc.not_equal(said, _not_among(gone, table[KEY])), True)).as_py():
            found.append(part.name)
    return found
