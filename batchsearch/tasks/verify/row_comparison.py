"""What does not agree about the rows of one slice (pure).

Every row's records, from whatever source, stand together; each rule is one line over all rows at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.verify.row_records import HITS, LEDGER, MANIFEST, RESULTS, SOURCES, marked

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_COUNT: Final = 0xFFFF_FFFF
"""`hit_count` of a row that has none."""

EARLIER_SHIFT: Final = np.uint64(32)
CODE: Final = np.uint64(0xFFFF_FFFF)
"""A row's first number in results and ledger: its code below, how many outcomes it had before above."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row that something is wrong with.

    Attributes:
        digest: Of its key.
        place: Where it stands in the results, or in the hits when it is not in the results.
        manifest_row: Its number in the manifest, None when it is not there or that is not known.
        first: See the rule.
        second: See the rule.
    """

    digest: bytes
    place: int | None
    manifest_row: int | None
    first: int = 0
    second: int = 0


@dataclass(slots=True)
class Compared:
    """What a comparison found: how many rows of each kind, and the first few of them."""

    counts: dict[str, int] = field(default_factory=dict)
    suspects: dict[str, list[Suspect]] = field(default_factory=dict)


class Comparison:
    """Compares slices one after the other.

    Args:
        has_manifest: The manifest's rows are among the records.
        listed: Rows of each kind to keep.
    """

    def __init__(self, *, has_manifest: bool, listed: int) -> None:
        self._has_manifest = has_manifest
        self._most = listed
        self.found = Compared()

    def slice(self, records: NDArray[Any]) -> None:
        """Compare a slice: records ordered by digest, all of a digest together."""
        if not len(records):
            return
        rows = _Rows(records)
        results, ledger, pending, manifest, hits = (rows.count[source] for source in range(SOURCES))
        once = results == 1
        settled = once & (pending == 0)
        written, noted = rows.sum("first", RESULTS), rows.sum("first", LEDGER)
        code, earlier = written & CODE, written >> EARLIER_SHIFT
        # A row may have several pieces of hits: where a file is read in batches, and where it stands twice.
        hit_rows = rows.sum("first", HITS)
        claimed = rows.sum("second", RESULTS)
        counted = np.where(claimed == NO_COUNT, 0, claimed)
        agreed = once & (hit_rows == counted)

        self._note(rows, "key_doubled", results > 1, results)
        self._note(rows, "row_lost", (ledger > 0) & (results == 0) & (pending == 0))
        self._note(rows, "row_unledgered", ((results > 0) | (pending > 0)) & (ledger == 0))
        self._note(
            rows,
            "code_differs",
            settled & (ledger > 0) & (code != noted & CODE),
            code,
            noted & CODE,
        )
        self._note(
            rows,
            "outcome_old",
            settled & (ledger > 0) & (earlier != noted >> EARLIER_SHIFT),
            earlier,
            noted >> EARLIER_SHIFT,
        )
        self._note(rows, "hit_without_row", (hits > 0) & (results == 0), hit_rows)
        self._note(rows, "hit_of_failed", once & (hits > 0) & (code != 0), hit_rows)
        self._note(rows, "hit_count", once & (code == 0) & (hit_rows != counted), counted, hit_rows)
        self._note(
            rows,
            "hit_ranks",
            agreed & (hits > 0) & (rows.sum("second", HITS) != _whole(np.where(agreed, counted, 0))),
        )
        if self._has_manifest:
            self._note(rows, "manifest_doubled", manifest > 1, manifest)
            self._note(rows, "row_missing", (manifest > 0) & (results == 0) & (pending == 0) & (ledger == 0))
            self._note(rows, "row_elsewhere", (manifest == 0) & ((results > 0) | (pending > 0)))

    def _note(
        self,
        rows: _Rows,
        kind: str,
        wrong: NDArray[np.bool_],
        first: NDArray[np.uint64] | None = None,
        second: NDArray[np.uint64] | None = None,
    ) -> None:
        places = np.flatnonzero(wrong)
        if not len(places):
            return
        self.found.counts[kind] = self.found.counts.get(kind, 0) + len(places)
        kept = self.found.suspects.setdefault(kind, [])
        for place in places[: self._most - len(kept)].tolist():
            kept.append(
                rows.suspect(
                    place,
                    0 if first is None else int(first[place]),
                    0 if second is None else int(second[place]),
                )
            )


class _Rows:
    """The records of a slice, row by row: a row is all records of one digest."""

    def __init__(self, records: NDArray[Any]) -> None:
        self._records = records
        high, low = records["high"], records["low"]
        new = np.ones(len(records), np.bool_)
        new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        self._starts = np.flatnonzero(new)
        self.count = [
            np.add.reduceat((records["source"] == source).astype(np.uint64), self._starts)
            for source in range(SOURCES)
        ]

    def sum(self, column: str, source: int) -> NDArray[np.uint64]:
        """The sum of a number over each row's records of one source, modulo 2⁶⁴."""
        values = np.where(self._records["source"] == source, self._records[column], np.uint64(0))
        summed: NDArray[np.uint64] = np.add.reduceat(values, self._starts)
        return summed

    def suspect(self, row: int, first: int, second: int) -> Suspect:
        start = int(self._starts[row])
        stop = int(self._starts[row + 1]) if row + 1 < len(self._starts) else len(self._records)
        places = {int(record["source"]): int(record["place"]) for record in self._records[start:stop][::-1]}
        head = self._records[start]
        digest = np.array([head["high"], head["low"]], "<u8").tobytes()
        return Suspect(digest, places.get(RESULTS, places.get(HITS)), places.get(MANIFEST), first, second)


def _whole(counts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What the marked ranks 1 to n add up to, for each n."""
    most = int(counts.max(initial=0))
    sums = np.zeros(most + 1, np.uint64)
    np.cumsum(marked(np.arange(1, most + 1, dtype=np.uint64)), out=sums[1:])
    whole: NDArray[np.uint64] = sums[counts.astype(np.int64)]
    return whole
