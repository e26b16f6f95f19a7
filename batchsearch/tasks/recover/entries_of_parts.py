"""What a ledger notes, read back from the parts: which rows are done, which requests are answered."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from batchsearch.service.codes.lookup import action_of, code_for
from batchsearch.service.operations import ASKING, OPERATIONS
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.ledger.rebuilt import Contents
from batchsearch.storage.parts.part_files import RESULTS, part_number
from batchsearch.storage.sealed.key_sums import Keys
from batchsearch.storage.sealed_part import HISTORY
from batchsearch.tasks.recover.finding import facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from batchsearch.storage.ledger.salvage import Salvage
    from batchsearch.storage.sealed_part import SealedPart

_KEY_BYTES: Final = 32
_SAME_MOMENT: Final = 2e-3
"""Seconds that a part's microseconds and a ledger's float may differ by for one outcome."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How much a ledger was given.

    Attributes:
        waiting: Outcomes that an earlier ledger had and no part.
        answers: Requests that need no call any more.
    """

    waiting: int
    answers: int


@dataclass(frozen=True, slots=True)
class _Done:
    """What a ledger has of a row, in the order of its columns but for the digest."""

    code: str | None
    origin: str | None
    finished_at: float
    outcomes: int
    request: bytes | None
    source: bytes | None
    seq: int


class _Entries:
    def __init__(self, earlier: Salvage) -> None:
        self._earlier = earlier
        self.rows: dict[bytes, _Done] = {}
        self.answers: dict[bytes, tuple[int, float]] = {}
        self.usage: Counter[tuple[str, str, str, str]] = Counter()
        self.instances: set[str] = set()
        self.operations: set[str] = set()
        self.seq = 0

    def add(self, path: Path, part: SealedPart) -> SealedPart:
        """Note the rows of a part; the part with the numbers of its outcomes."""
        first = self.seq + 1
        for columns in facts(path):
            for values in zip(*columns.values(), strict=True):
                row = dict(zip(columns, values, strict=True))
                self.seq += 1
                self._note(row, self.seq)
                self._count(row)
        if not part.rows:
            return part
        return replace(part, first_seq=first, last_seq=self.seq)

    def add_history(self, path: Path) -> None:
        """Count what replaced outcomes have cost."""
        for columns in facts(path):
            for values in zip(*columns.values(), strict=True):
                self._count(dict(zip(columns, values, strict=True)))

    def wait(self, values: dict[str, Any]) -> tuple[int, bool]:
        """Note an outcome that no part holds yet; its number, and whether it replaces one."""
        digest = digest_of(values["row_key"])
        replaces = digest in self.rows
        self.seq += 1
        row = values | {"finished_at": _moment(values.get("finished_at"))}
        row["answered_at"] = _moment(values.get("answered_at"))
        self._note(row, self.seq)
        self._count(row)
        return self.seq, replaces

    def _note(self, row: dict[str, Any], seq: int) -> None:
        digest = digest_of(row["row_key"])
        finished = row.get("finished_at")
        finished_at = finished.timestamp() if finished is not None else datetime.now(UTC).timestamp()
        key = _request_key(row.get("request_key"))
        before = self._earlier.rows.get(digest)
        source = None
        if before is not None and abs(before[2] - finished_at) < _SAME_MOMENT:
            finished_at, source = before[2], before[5]
        outcomes = (row.get("earlier_outcomes") or 0) + 1
        request = None if key is None else key[:16]
        code, origin = row.get("error_code"), row.get("error_origin")
        self.rows[digest] = _Done(code, origin, finished_at, outcomes, request, source, seq)
        answered = row.get("answered_at")
        if key is None or answered is None or row.get("coalesced_from") is not None:
            return
        if _is_lasting(row) and answered.timestamp() >= self.answers.get(key, (0, 0.0))[1]:
            self.answers[key] = (seq, answered.timestamp())

    def _count(self, row: dict[str, Any]) -> None:
        operation, instance = row.get("operation"), row.get("instance")
        finished = row.get("finished_at")
        if operation is None or instance is None or finished is None:
            return
        self.operations.add(operation)
        self.instances.add(instance)
        counted = {
            "rows_ok" if row.get("error_code") is None else "rows_failed": 1,
            "calls": row.get("attempts") or 0,
            "denied": row.get("denied") or 0,
            "rejected": int(row.get("error_origin") == "local"),
            "coalesced": int(row.get("coalesced_from") is not None),
        }
        day = finished.astimezone(UTC).date().isoformat()
        for counter, amount in counted.items():
            if amount:
                self.usage[day, instance, operation, counter] += amount


def waiting_in(earlier: Salvage) -> set[bytes]:
    """Digests of the rows whose outcomes an earlier ledger still holds itself."""
    return {digest_of(values["row_key"]) for values, _ in _waiting(earlier)}


def contents_of(
    folder: Path,
    parts: Sequence[SealedPart],
    histories: Sequence[SealedPart],
    earlier: Salvage,
    last_part: int,
) -> tuple[Contents, Counted]:
    """What a new ledger is to hold.

    Args:
        folder: The output folder.
        parts: The parts that readers see, in their order.
        histories: The parts of replaced outcomes.
        earlier: What an earlier ledger says.
        last_part: Highest number that any part has had.

    Raises:
        OSError: A part cannot be read.
    """
    entries = _Entries(earlier)
    sealed = [entries.add(folder / RESULTS / part.name, part) for part in parts]
    for part in histories:
        entries.add_history(folder / HISTORY / part.name)
        sealed.append(part)
    pending = []
    for values, (result, hits, carried) in _latest(_waiting(earlier)):
        digest = digest_of(values["row_key"])
        there, outcomes = entries.rows.get(digest), (values.get("earlier_outcomes") or 0) + 1
        finished = _moment(values.get("finished_at"))
        if there is not None and (outcomes, 0.0 if finished is None else finished.timestamp()) <= (
            there.outcomes,
            there.finished_at + _SAME_MOMENT,
        ):
            continue
        seq, replaces = entries.wait(values)
        pending.append((seq, int(replaces), result, hits, carried))
    rows = [
        (digest, row.code, row.origin, row.finished_at, row.outcomes, row.request, row.source, row.seq)
        for digest, row in entries.rows.items()
    ]
    contents = Contents(
        named=_named(entries, earlier),
        parts=[(part_number(part.name) or 0, part) for part in sealed],
        rows=rows,
        answers=[(key, seq, at) for key, (seq, at) in entries.answers.items()],
        pending=pending,
        attempts=[row for row in earlier.attempts if row[0] not in entries.rows],
        pages=[row for row in earlier.pages if row[0] not in entries.rows],
        usage=_usage(entries, earlier),
        runs=[row for row in earlier.runs if row[0] and row[1]],
        last_part=last_part,
        last_seq=entries.seq,
    )
    return contents, Counted(len(pending), len(entries.answers))


def _named(entries: _Entries, earlier: Salvage) -> dict[str, str]:
    recovered = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "operations": sorted(entries.operations),
        "instances": sorted(entries.instances),
    }
    named = {
        name: text
        for name, text in earlier.named.items()
        if name in {"total", "round_began"} or _is_json(text)
    }
    return named | {
        "round": "open",
        "recovered": json.dumps(recovered),
        "keys": Keys().added(b"".join(entries.rows)).as_text(),
    }


def _usage(entries: _Entries, earlier: Salvage) -> list[tuple[Any, ...]]:
    """The counters of an earlier ledger, and at least what the parts say was spent."""
    found: dict[tuple[Any, ...], int] = {}
    for *key, amount in earlier.usage:
        if isinstance(amount, int) and all(isinstance(text, str) for text in key):
            found[tuple(key)] = amount
    for counter, amount in entries.usage.items():
        found[counter] = max(amount, found.get(counter, 0))
    return [(*key, amount) for key, amount in found.items()]


def _waiting(earlier: Salvage) -> Iterator[tuple[dict[str, Any], tuple[bytes, bytes, bytes]]]:
    for record in earlier.pending:
        try:
            values = json.loads(record[0])
        except ValueError:
            continue
        if isinstance(values, dict) and isinstance(values.get("row_key"), str):
            yield values, record


def _latest(
    waiting: Iterator[tuple[dict[str, Any], tuple[bytes, bytes, bytes]]],
) -> list[tuple[dict[str, Any], tuple[bytes, bytes, bytes]]]:
    """The last one of each row."""
    return list({values["row_key"]: (values, record) for values, record in waiting}.values())


def _is_lasting(row: dict[str, Any]) -> bool:
    """Whether every equal request would be answered in the same way."""
    operation = OPERATIONS.get(row.get("operation") or "")
    if operation is None or operation.response not in ASKING:
        return False
    code = row.get("error_code")
    if code is None:
        return True
    return row.get("error_origin") == "api" and action_of(code_for(code, None), {}) == "fail_row"


def _request_key(text: Any) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except (TypeError, ValueError):
        return None
    return key if len(key) == _KEY_BYTES else None


def _moment(text: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
