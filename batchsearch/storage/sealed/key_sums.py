"""Row keys counted and summed up, so that parts, ledger and manifest can be compared in no memory at all.

Sixteen bytes stand for each key; their sum tells two collections apart but for one chance in 2¹²⁸, whatever
the order. A key that stands twice, or one that a flipped bit has made another, shows in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputDamagedError
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.parts.parquet_table import reason_of
from batchsearch.storage.parts.part_files import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries
    from batchsearch.storage.sealed.inventory import Inventory

_ROWS_AT_ONCE: Final = 16_384
_MODULUS: Final = 1 << 128


@dataclass(frozen=True, slots=True)
class Keys:
    """A collection of row keys.

    Attributes:
        count: How many.
        total: The sum of the numbers that stand for them.
    """

    count: int = 0
    total: int = 0

    def added(self, digests: Iterable[bytes]) -> Keys:
        """The collection with these keys more."""
        numbers = [int.from_bytes(digest, "little") for digest in digests]
        return Keys(self.count + len(numbers), (self.total + sum(numbers)) % _MODULUS)

    def as_text(self) -> str:
        """As the ledger keeps it."""
        return f"{self.count}:{self.total:032x}"


def keys_of_ledger(ledger: LedgerQueries) -> Keys:
    """The rows that have their outcome, as the ledger has them.

    Raises:
        OutputError: It cannot be read.
    """
    keys = Keys()
    for digests in ledger.digests():
        keys = keys.added(digests)
    return keys


def keys_of_parts(folder: Path, inventory: Inventory) -> Keys:
    """The rows in the parts that readers see.

    Raises:
        OutputDamagedError: A part cannot be read.
    """
    keys = Keys()
    for sealed in inventory.seen(RESULTS):
        path = inventory.where(folder, sealed)
        try:
            with pq.ParquetFile(arrow_readable(path)) as file:
                for batch in file.iter_batches(_ROWS_AT_ONCE, columns=["row_key"]):
                    keys = keys.added(digest_of(key or "") for key in batch.column(0).to_pylist())
        except (OSError, ValueError, pa.ArrowException) as error:
            raise OutputDamagedError(f"{path}: cannot be read: {reason_of(error)}") from error
    return keys
