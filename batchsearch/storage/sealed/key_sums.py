"""Row keys counted and summed up, so that parts, ledger and manifest can be compared in no memory at all.

Sixteen bytes stand for each key; their sum tells two collections apart but for one chance in 2¹²⁸, whatever
the order. A key that stands twice, or one that a flipped bit has made another, shows in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputDamagedError
from batchsearch.storage.ledger.entries import digests_of_texts
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.storage.parts.part_files import RESULTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.sealed.inventory import Inventory

_ROWS_AT_ONCE: Final = 16_384
_MODULUS: Final = 1 << 128
_WORDS: Final = 4
"""A digest is so many numbers of 32 bits: millions of them add up in 64."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A collection of row keys.

    Attributes:
        count: How many.
        total: The sum of the numbers that stand for them.
    """

    count: int = 0
    total: int = 0

    def added(self, digests: bytes) -> Keys:
        """The collection with these keys more: their digests, one after the other."""
        words = np.frombuffer(digests, dtype="<u4").reshape(-1, _WORDS)
        sums = words.sum(axis=0, dtype=np.uint64).tolist()
        total = sum(part << 32 * place for place, part in enumerate(sums))
        return Keys(self.count + len(words), (self.total + total) % _MODULUS)

    def together(self, other: Keys) -> Keys:
        """Both collections as one."""
        return Keys(self.count + other.count, (self.total + other.total) % _MODULUS)

    def as_text(self) -> str:
        """As the ledger keeps it."""
        return f"{self.count}:{self.total:032x}"


def keys_of_ledger(ledger: LedgerQueries) -> Keys:
    """The rows that have their outcome, as the ledger has them.

    Raises:
        OutputError: It cannot be read.
    """
    keys = Keys()
    for digests in ledger.packed_digests():
        keys = keys.added(digests)
    return keys


def keys_of_parts(folder: Path, inventory: Inventory, known: Mapping[str, Keys]) -> dict[str, Keys]:
    """The rows in each of the parts that readers see, by the SHA-256 of its results.

    Args:
        folder: The output folder.
        inventory: What is sealed there.
        known: Those of parts that were read before: what has the same SHA-256 has the same rows.

    Raises:
        OutputDamagedError: A part cannot be read.
    """
    return {
        sealed.sha256: known.get(sealed.sha256) or _keys_of(inventory.where(folder, sealed))
        for sealed in inventory.seen(RESULTS)
    }


def _keys_of(path: Path) -> Keys:
    keys = Keys()
    try:
        with pq.ParquetFile(arrow_readable(path)) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["row_key"]):
                named = batch.column(0).cast(pa.binary()).to_pylist()
                keys = keys.added(b"".join(digests_of_texts(key or b"" for key in named)))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise OutputDamagedError(f"{path}: cannot be read: {reason_of(error)}") from error
    return keys


def keys_from(text: str) -> Keys:
    """What `as_text` has written."""
    count, _, total = text.partition(":")
    return Keys(int(count), int(total, 16))
