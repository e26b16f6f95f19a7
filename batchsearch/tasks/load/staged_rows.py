"""Outcomes of a load: what the staging made of each row, and what the batch task said of its line."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from batchsearch.engine.rows.pending_row import Failure
from batchsearch.engine.rows.preparer import check_row
from batchsearch.images.outcome import ImageFacts, Prepared
from batchsearch.images.regions import Geometry
from batchsearch.service.client import Answer
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.form import Call
from batchsearch.service.responses import BatchOutcome
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.sealed.sealed_reading import sealed_files
from batchsearch.tasks.load.staging import HELD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batchsearch.engine.rows.held_items import HeldItems
    from batchsearch.engine.rows.pending_row import JobFacts, PendingRow
    from batchsearch.engine.run.stand_in import RowPreparer
    from batchsearch.tasks.load.journal import Journal
    from batchsearch.tasks.load.journal_records import LineState

NOT_STAGED: Final = "Local.NotStaged"
_ROW: Final = ("error_code", "error_origin", "error_owner", "error_message", "request_key", "prepare_ms")
_SIDES: Final = ("source", "sent")
_FACTS: Final = ("format", "width", "height", "bytes", "sha256")
_IMAGE: Final = (*(f"{side}_{fact}" for side in _SIDES for fact in _FACTS), "transforms")


def staged_rows(folder: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """What a staging made of each row, by the digest of its key.

    Args:
        folder: Output folder of the staging.

    Raises:
        OutputError: Its results cannot be read.
    """
    for path in sealed_files(folder / "results"):
        with pq.ParquetFile(path) as file:
            there = [name for name in (*_ROW, *_IMAGE) if name in file.schema_arrow.names]
            for batch in file.iter_batches(columns=["row_key", *there]):
                for row in batch.to_pylist():
                    key = row.pop("row_key")
                    yield digest_of(key), {name: value for name, value in row.items() if value is not None}


class OnlyNewRows:
    """Readies rows for the staging, but for those that calls have added already: nothing is put for them.

    Args:
        usual: Readies all others.
        operation: What the job calls.
        is_done: Whether a row, by its digest and what it comes from, has an outcome that went well and holds.
    """

    def __init__(
        self, usual: RowPreparer, operation: str, is_done: Callable[[bytes, bytes | None], bool]
    ) -> None:
        self._usual = usual
        self._operation = operation
        self._is_done = is_done

    async def prepare(self, pending: PendingRow) -> Failure | None:
        """Ready a row; one that is done is answered without anything being put."""
        self._usual.note_source(pending)
        source = None if pending.source is None else pending.source.digest
        if pending.renewal is not None or not self._is_done(pending.digest, source):
            return await self._usual.prepare(pending)
        pending.request_key = sha256(pending.digest).hexdigest()
        pending.call = Call(self._operation, HELD, b"", "")
        return None

    async def build(self, pending: PendingRow) -> Failure | None:
        """As usual."""
        return await self._usual.build(pending)

    def look_again(self, pending: PendingRow) -> None:
        """As usual."""
        self._usual.look_again(pending)

    def note_source(self, pending: PendingRow) -> None:
        """As usual."""
        self._usual.note_source(pending)


class LoadedRows:
    """Readies rows for their outcomes: nothing is read anew, the staging has seen it all.

    Args:
        facts: What holds for every row.
        journal: Knows what the staging made of them.
        held: Knows what the instance holds already.
    """

    def __init__(self, facts: JobFacts, journal: Journal, held: HeldItems | None = None) -> None:
        self._facts = facts
        self._journal = journal
        self._held = held

    async def prepare(self, pending: PendingRow) -> Failure | None:
        """Take over what the staging made of a row; its call names the line."""
        failure = check_row(self._facts, pending)
        if failure is not None:
            return failure
        if self._held is not None and self._held.take(pending):
            return None
        record = self._journal.row(pending.digest)
        if record is None:
            return Failure(NOT_STAGED, "local", "program", code_for(NOT_STAGED, None).meaning)
        pending.prepare_seconds += record.get("prepare_ms", 0.0) / 1000
        source = _facts(record, "source")
        pending.sources = (source,) if source is not None else ()
        if "error_code" in record:
            said = (record.get(f"error_{name}") or "" for name in ("origin", "owner", "message"))
            return Failure(record["error_code"], *said)
        sent = _facts(record, "sent")
        if source is not None and sent is not None:
            whole = Geometry(sent.width, sent.height, 1, sent.width, sent.height)
            pending.images = (Prepared(b"", source, sent, tuple(record.get("transforms") or ()), whole),)
        pending.request_key = record.get("request_key")
        return await self.build(pending)

    async def build(self, pending: PendingRow) -> Failure | None:
        """Name the line of a row in its call."""
        named = tuple((key, str(pending.values[key])) for key in ("product_id", "pic_name"))
        pending.call = Call(self._facts.operation, named, b"", "")
        return None

    def look_again(self, pending: PendingRow) -> None:
        """There is nothing to look for: each line is asked of the journal itself."""

    def note_source(self, pending: PendingRow) -> None:
        """The staging has noted it."""


class LineClient:
    """Stands in for an instance: answers with what the batch task made of a line.

    Args:
        journal: Knows.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def address(self) -> str:
        """The journal."""
        return "the journal of the load"

    async def send(self, call: Call) -> Answer:
        """How the line of a call ended."""
        sent_at, began = datetime.now(UTC), time.perf_counter()
        named = dict(call.query)
        line = self._journal.line(named["product_id"], named["pic_name"])
        code, message = _ended(line)
        task = None if line is None else line.task_id
        name = None if line is None else line.name
        return Answer(
            http_status=None,
            code=code,
            origin=None if code is None else "api",
            message=message,
            request_id=None,
            retry_after=None,
            response=BatchOutcome(None, None, message, None, task, name),
            sent_at=sent_at,
            latency=time.perf_counter() - began,
        )

    async def refresh_credentials(self) -> None:
        """Nothing is signed here."""


def _ended(line: LineState | None) -> tuple[str | None, str | None]:
    """The code and the message of a line; no code where it went well."""
    if line is None or line.state in {"staged", "asked"}:
        return NOT_STAGED, code_for(NOT_STAGED, None).meaning
    return (None, None) if line.state == "done" else (line.code or "Increment.LineFailed", line.message)


def _facts(record: dict[str, Any], side: str) -> ImageFacts | None:
    found = [record.get(f"{side}_{fact}") for fact in _FACTS]
    if found[0] is None:
        return None
    return ImageFacts(found[0], found[1] or 0, found[2] or 0, found[3] or 0, found[4] or "")
