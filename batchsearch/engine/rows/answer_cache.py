"""Answers that are there already: an equal request, whoever's row it was, needs no call.

An answer is found in the ledger while its outcome waits for its part, and in the sealed part afterwards.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.rows.bloom_filter import BloomFilter
from batchsearch.engine.rows.pending_row import Failure
from batchsearch.quick_record import quick_record
from batchsearch.storage.parts.part_files import HITS, RESULTS
from batchsearch.storage.parts.results_and_hits import ANSWER_COLUMNS, OF_THE_ROW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.queries import LedgerQueries

_REMEMBERED: Final = 256
_FEW_ROWS: Final = 5_000
"""So many looks into a ledger cost less than to go through all of a large one's answers."""
_SAME_MOMENT: Final = 1e-3
"""Seconds that Parquet's microseconds and the ledger's float may differ by for one answer."""


@quick_record
class CachedAnswer:
    """What an equal request was answered.

    Attributes:
        row_key: The row that was called for it; empty where none was.
        answered_at: When, UTC.
        fields: Columns of `results` that equal requests have in common, by name.
        hits: Rows of `hits` but for their row key, in order.
        failure: What it was refused with; None for success.
    """

    row_key: str
    answered_at: datetime
    fields: Mapping[str, Any]
    hits: tuple[Mapping[str, Any], ...]
    failure: Failure | None


def from_record(result: bytes, hits: bytes) -> CachedAnswer:
    """The answer in an outcome as the ledger keeps it."""
    lines = tuple(json.loads(line) for line in hits.splitlines() if line)
    return _answer(json.loads(result), lines)


class AnswerCache:
    """Finds answers by the request that they answered; may be used from several threads.

    Args:
        ledger: Knows which requests are answered.
        folder: The output folder that holds the parts.
        round_began: When this round of runs began, seconds since 1970: its own answers are never too old.
        max_age: How old answers of earlier runs may be, seconds.
        others: Find answers in other output folders, asked in this order where there is none here.
        rows: How many are going to ask; None where nobody knows. For few the ledger itself is asked, where it
            has any answer.
    """

    def __init__(
        self,
        ledger: LedgerQueries,
        folder: Path,
        *,
        round_began: float,
        max_age: float,
        others: Sequence[AnswerCache] = (),
        rows: int | None = None,
    ) -> None:
        self._others = tuple(others)
        self._ledger = ledger
        self._folder = folder
        self._round_began = round_began
        self._oldest = min(round_began, time.time() - max_age)
        self._answered: BloomFilter | None = None
        if rows is None or rows > _FEW_ROWS or not ledger.has_answers():
            self._answered = BloomFilter()
            for request_keys in ledger.answered_requests():
                self._answered.add_all(request_keys)
        self._remembered: OrderedDict[str, CachedAnswer] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, request_key: str) -> None:
        """An answer to this request is in the ledger from now on."""
        if self._answered is not None:
            self._answered.add(bytes.fromhex(request_key))
        with self._lock:
            self._remembered.pop(request_key, None)

    def may_hold(self, request_key: str) -> bool:
        """Whether there may be an answer to this request, here or in another folder; False is certain."""
        if self._answered is None or self._answered.may_hold(bytes.fromhex(request_key)):
            return True
        return any(other.may_hold(request_key) for other in self._others)

    def find(self, request_key: str, *, of_this_round: bool = False) -> CachedAnswer | None:
        """The answer to this request, None when a call is needed.

        Args:
            request_key: Names the request, SHA-256 in hexadecimal.
            of_this_round: Earlier rounds' answers do not count.

        Raises:
            OutputError: The ledger cannot be read.
        """
        found = self._find(request_key, of_this_round=of_this_round)
        if found is None and not of_this_round:
            found = next(filter(None, (other.find(request_key) for other in self._others)), None)
        return found

    def _find(self, request_key: str, *, of_this_round: bool) -> CachedAnswer | None:
        if self._answered is not None and not self._answered.may_hold(bytes.fromhex(request_key)):
            return None
        with self._lock:
            remembered = self._remembered.get(request_key)
        oldest = self._round_began if of_this_round else self._oldest
        if remembered is not None and remembered.answered_at.timestamp() >= oldest:
            return remembered
        known = self._ledger.answer(bytes.fromhex(request_key))
        if known is None or known.answered_at < oldest:
            return None
        if known.result is not None:
            found = from_record(known.result, known.hits or b"")
        else:
            reads = (self._read(under, part, request_key, known.answered_at) for under, part in known.parts)
            read = next((answer for answer in reads if answer is not None), None)
            if read is None:
                return None
            found = read
        with self._lock:
            self._remembered[request_key] = found
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def _read(self, under: str, part: str, request_key: str, answered_at: float) -> CachedAnswer | None:
        path = self._folder / under / RESULTS / part
        try:
            there = set(pq.read_schema(arrow_readable(path)).names)
            wanted = (*ANSWER_COLUMNS, "row_key", "answered_at", "coalesced_from")
            columns = [name for name in wanted if name in there]
            rows = pq.read_table(
                arrow_readable(path), columns=columns, filters=[("request_key", "==", request_key)]
            ).to_pylist()
            # Rows with the same request may have ended otherwise before it was answered for good.
            rows = [
                row
                for row in rows
                if row["coalesced_from"] is None
                and abs(row["answered_at"].timestamp() - answered_at) < _SAME_MOMENT
            ]
            if not rows:
                return None
            of_row = [("row_key", "==", rows[0]["row_key"])]
            path = self._folder / under / HITS / part
            hits = pq.read_table(arrow_readable(path), filters=of_row).to_pylist()
        except (OSError, ValueError):
            # A part that somebody took away: the answer is gone, a call brings it back.
            return None
        hits.sort(key=lambda hit: hit["rank"])
        return _answer(rows[0], tuple(hits))


def _answer(result: Mapping[str, Any], hits: tuple[Mapping[str, Any], ...]) -> CachedAnswer:
    fields = {name: value for name in ANSWER_COLUMNS if (value := result.get(name)) is not None}
    code = fields.get("error_code")
    failure = None
    if code is not None:
        failure = Failure(
            code,
            fields.get("error_origin") or "api",
            fields.get("error_owner") or "service",
            fields.get("error_message") or "",
        )
    answered_at = result.get("answered_at") or result["finished_at"]
    if isinstance(answered_at, str):
        answered_at = datetime.fromisoformat(answered_at)
    return CachedAnswer(
        row_key=result["row_key"],
        answered_at=answered_at.astimezone(UTC),
        fields=fields,
        hits=tuple({name: value for name, value in hit.items() if name not in OF_THE_ROW} for hit in hits),
        failure=failure,
    )
