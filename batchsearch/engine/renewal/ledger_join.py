"""A manifest's keys beside the ledger's rows, both in order of their digests: what is found row by row.

Rows whose outcome stands for certain are told in one piece; only those of which something differs are looked
at one by one. Memory holds some tens of thousands of either.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.engine.digest_set import places_among
from batchsearch.engine.renewal.renewal_rules import Source
from batchsearch.engine.renewal.row_source import NOT_THERE
from batchsearch.engine.renewal.row_table import Inspected
from batchsearch.storage.digest_sort import halves
from batchsearch.storage.ledger.digest_spans import Spans
from batchsearch.storage.ledger.queries import EXPIRED, FAILED, SOURCE_UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from batchsearch.engine.renewal.renewal_rules import Reason, RenewalRules
    from batchsearch.engine.renewal.row_table import RowTable
    from batchsearch.storage.ledger.digest_spans import Span
    from batchsearch.storage.ledger.queries import LedgerQueries, RowRecords

_RECORD: Final = np.dtype([("high", ">u8"), ("low", ">u8"), ("source_high", ">u8"), ("source_low", ">u8")])
_FLAGGED: Final = np.dtype([("high", ">u8"), ("low", ">u8"), ("flags", "u1")])
_ROWS_AT_ONCE: Final = 1 << 15
_ZERO: Final = ord("0")
_PAIR: Final = np.dtype([("high", ">u8"), ("low", ">u8")])


class LedgerJoin:
    """Finds what a ledger knows of a manifest's rows.

    Args:
        ledger: The ledger.
        rules: When a row is renewed.
        every_image: Rows whose images are known are looked at anew.
        table: Is told what becomes of each row.
    """

    def __init__(
        self, ledger: LedgerQueries, rules: RenewalRules, table: RowTable, *, every_image: bool
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._table = table
        self._every_image = every_image
        self._expired_before = -math.inf
        if rules.new_round and rules.expired_before is not None:
            self._expired_before = rules.expired_before
        self._any_marked = bool(ledger.renewals())
        self._of_failure: dict[tuple[str, str | None], Reason | None] = {}

    def batches(self, keys: Iterable[NDArray[Any]]) -> Iterator[Inspected]:
        """What is found, some rows at a time.

        Args:
            keys: As `RepeatFinder.in_order` gives them, with records of `BESIDE` where sources are known.

        Raises:
            OutputError: The ledger cannot be read.
        """
        spans = Spans(_ROWS_AT_ONCE)
        for entries in keys:
            if not len(entries):
                continue
            high = entries["high"]
            spans = spans.between(int(high[0]).to_bytes(8), int(high[-1]).to_bytes(8) + b"\xff" * 8)
            for span in spans:
                records = self._ledger.records(span, self._expired_before)
                spans.held(records.rows)
                if records.rows:
                    yield self._inspected(entries, records, span)

    def _inspected(self, entries: NDArray[Any], packed: RowRecords, span: Span) -> Inspected:
        """What is found of the keys that these records of the ledger are of."""
        records = np.frombuffer(packed.sources, dtype=_RECORD)
        high = records["high"].astype(np.uint64)
        if (high[1:] < high[:-1]).any():
            records = records[np.argsort(high)]
            high = records["high"].astype(np.uint64)
        low = records["low"].astype(np.uint64)
        flags = np.zeros(len(records), dtype=np.uint8)
        if packed.flagged:
            flagged = np.frombuffer(packed.flagged, dtype=_FLAGGED)
            places = places_among(
                high, low, flagged["high"].astype(np.uint64), flagged["low"].astype(np.uint64)
            )
            flags[places[places >= 0]] = flagged["flags"][places >= 0] - _ZERO
        begin = np.searchsorted(entries["high"], high[0], "left")
        end = np.searchsorted(entries["high"], high[-1], "right")
        wanted = entries[begin:end]
        places = places_among(high, low, wanted["high"], wanted["low"])
        there = places >= 0
        rows, known = wanted[there], places[there]
        found = Inspected(Counter(), {}, {})
        if len(rows):
            self._tell(rows, records[known], flags[known], span, found)
        return found

    def _tell(
        self,
        rows: NDArray[Any],
        known: NDArray[Any],
        flags: NDArray[Any],
        span: Span,
        found: Inspected,
    ) -> None:
        """Tell of rows that have an outcome, each with the ledger's record of it."""
        odd = self._odd(rows, known, flags, span)
        failed = (flags & FAILED) > 0
        plain = ~odd & ~failed
        self._table.stands(rows["row"][plain])
        found.codes[None] += int(plain.sum())
        unknown = (flags & SOURCE_UNKNOWN) > 0
        self._note_sources(rows, unknown, plain, found)
        if (failed & ~odd).any():
            odd |= self._failed(rows, failed & ~odd, unknown, span, found)
        if odd.any():
            self._one_by_one(rows[odd], found)

    def _odd(
        self, rows: NDArray[Any], known: NDArray[Any], flags: NDArray[Any], span: Span
    ) -> NDArray[np.bool_]:
        """Which rows are to be looked at one by one, whatever they ended as."""
        touched = self._rules.touched
        asked_all = not self._rules.only_asked_for
        if asked_all and (touched.every or touched.short or touched.look):
            return np.ones(len(rows), dtype=bool)
        odd = np.zeros(len(rows), dtype=bool)
        if self._any_marked:
            pairs = halves(b"".join(sorted(self._ledger.marked(*span))))
            odd |= places_among(pairs[:, 0], pairs[:, 1], rows["high"], rows["low"]) >= 0
        if not asked_all:
            return odd
        odd |= (flags & EXPIRED) > 0
        if "seen" in (rows.dtype.names or ()):
            differs = rows["source_high"] != known["source_high"]
            differs |= rows["source_low"] != known["source_low"]
            odd |= (differs & ((flags & SOURCE_UNKNOWN) == 0)) | self._every_image
        return odd

    def _note_sources(
        self, rows: NDArray[Any], unknown: NDArray[np.bool_], stand: NDArray[np.bool_], found: Inspected
    ) -> None:
        """Note what rows that stand come from, where nothing was noted."""
        if "seen" not in (rows.dtype.names or ()):
            return
        noted = rows[unknown & stand & (rows["seen"] != NOT_THERE)]
        found.unknown.update(zip(_digests(noted), _digests(noted, "source_"), strict=True))

    def _failed(
        self,
        rows: NDArray[Any],
        failed: NDArray[np.bool_],
        unknown: NDArray[np.bool_],
        span: Span,
        found: Inspected,
    ) -> NDArray[np.bool_]:
        """Tell of failed rows whose outcome stands; which of them are to be looked at one by one."""
        ended = {digest: (code, origin) for digest, code, origin in self._ledger.failures(*span)}
        odd = np.zeros(len(rows), dtype=bool)
        stand = np.zeros(len(rows), dtype=bool)
        for place, digest in zip(np.flatnonzero(failed).tolist(), _digests(rows[failed]), strict=True):
            # A row that has got another outcome meanwhile is looked at by itself.
            if digest not in ended or self._reason_of(*ended[digest]) is not None:
                odd[place] = True
            else:
                stand[place] = True
                found.codes[ended[digest][0]] += 1
        self._table.stands(rows["row"][stand])
        self._note_sources(rows, unknown, stand, found)
        return odd

    def _reason_of(self, code: str, origin: str | None) -> Reason | None:
        """Why rows that ended so are renewed, when nothing else is to be said of them."""
        ended = (code, origin)
        if ended not in self._of_failure:
            self._of_failure[ended] = self._rules.reason_for_failure(code, origin)
        return self._of_failure[ended]

    def _one_by_one(self, rows: NDArray[Any], found: Inspected) -> None:
        states = self._ledger.states(_digests(rows))
        has_source = "seen" in (rows.dtype.names or ())
        sources = _digests(rows, "source_") if has_source else [b""] * len(rows)
        missing = rows["seen"] == NOT_THERE if has_source else np.zeros(len(rows), dtype=bool)
        for row, digest, source_digest, is_missing in zip(
            rows["row"].tolist(), _digests(rows), sources, missing.tolist(), strict=True
        ):
            state = states.get(digest)
            if state is None:
                continue
            source = Source(source_digest, is_missing) if has_source else None
            reason = self._rules.reason_for(digest, state, source)
            if reason is None and self._every_image and source is not None:
                reason = "changed"
            found.add(digest, state, source, reason)
            self._table.tell(row, reason)


def _digests(rows: NDArray[Any], of: str = "") -> list[bytes]:
    """Digests from their halves."""
    pairs = np.empty(len(rows), dtype=_PAIR)
    pairs["high"], pairs["low"] = rows[f"{of}high"], rows[f"{of}low"]
    data = pairs.tobytes()
    return [data[start : start + 16] for start in range(0, len(data), 16)]
