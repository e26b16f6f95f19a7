"""Rows as small records, sorted into slices on disk: millions are compared a slice at a time.

A record is a row key's 16-byte digest and a few numbers, 41 bytes. Runs of records are sorted and written to
one temporary file; a slice is what all runs have for a 64th of all digests. A few megabytes of memory serve
for ten million rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from batchsearch.storage.digest_sort import SortedRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RESULTS: Final = 0
"""The row stands in a sealed part. `first`: its code, `second`: its `hit_count`."""
LEDGER: Final = 1
"""The ledger has the row's outcome. `first`: its code."""
PENDING: Final = 2
"""The row's outcome waits in the ledger for its part. `first`: its code."""
MANIFEST: Final = 3
"""The manifest has the row."""
HITS: Final = 4
"""The row has hits in a sealed part. `first`: how many, `second`: the sum of their marked ranks."""

SOURCES: Final = 5
RECORD: Final = np.dtype(
    [("high", "<u8"), ("low", "<u8"), ("place", "<u8"), ("first", "<u8"), ("second", "<u8"), ("source", "u1")]
)
_RUN_RECORDS: Final = 1 << 17


def records_of(
    source: int,
    digests: Sequence[bytes],
    places: NDArray[np.uint64] | int = 0,
    first: NDArray[np.uint64] | int = 0,
    second: NDArray[np.uint64] | int = 0,
) -> NDArray[Any]:
    """Records of rows met in one source; digests are 16 bytes each, the arrays as long as they."""
    records = np.empty(len(digests), RECORD)
    halves = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)
    records["high"], records["low"] = halves[:, 0], halves[:, 1]
    records["place"], records["first"], records["second"] = places, first, second
    records["source"] = source
    return records


def marked(ranks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers that stand for ranks so that a sum of them tells the ranks apart, whatever their order.

    The finishing step of SplitMix64: two different collections of ranks have one sum by a chance of 2⁻⁶⁴.
    """
    with np.errstate(over="ignore"):
        mixed = ranks * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


class SortedRecords:
    """Takes records in any order and gives them back slice by slice; a context manager.

    Raises:
        OSError: From every method: the temporary folder is full or not writable.
    """

    def __init__(self, *, run_records: int = _RUN_RECORDS) -> None:
        self._run_records = run_records
        self._held: list[NDArray[Any]] = []
        self._count = 0
        self._runs = SortedRuns(RECORD, "batchsearch-verify-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runs.__exit__()

    def add(self, records: NDArray[Any]) -> None:
        """Take some records."""
        self._held.append(records)
        self._count += len(records)
        if self._count >= self._run_records:
            self._write_run()

    def slices(self) -> Iterator[NDArray[Any]]:
        """All records, a 64th of the digests at a time, ordered by digest and source within each."""
        self._write_run()
        for records in self._runs.slices():
            yield records[np.lexsort((records["source"], records["low"], records["high"]))]

    def _write_run(self) -> None:
        if not self._count:
            return
        run = np.concatenate(self._held)
        self._held, self._count = [], 0
        self._runs.write(run[np.argsort(run["high"], kind="stable")])
