"""`batchsearch instance export`: everything that an instance holds, as one Parquet file.

An export is a batch task (`DumpMeta`): asked for, followed, and fetched from an address that is valid for two
hours. The form of its file is on no page (BATCH): the lines of `increment.meta` are expected, JSON a line.
What cannot be read is counted, and the file is kept.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.engine.run.instance_calls import instance_calls, refusal
from batchsearch.errors import OutputError, RunEndedError
from batchsearch.publish import made_folder, publishing
from batchsearch.service.facts import MAX_TASKS_A_PAGE, TASK_FAIL, TASK_SUCCESS
from batchsearch.service.line_files import lines_in
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.responses import TaskListResponse, TaskResponse
from batchsearch.service.signed_file import FetchError
from batchsearch.steps import step
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.engine.run.instance_calls import InstanceCalls
    from batchsearch.service.line_files import Line
    from batchsearch.service.responses import TaskFacts

_BUSY: Final = "Console.TaskAlreadyExist"
_POLL: Final = 2.0
_UNLISTED: Final = 20
_FETCHES: Final = 3
_AT_ONCE: Final = 20_000
_SHOWN: Final = 3

_WIRE: Final = {each.wire: each for each in OPERATIONS["AddImage"].parameters if each.key != "crop"}
"""What a line says of an image, by the vendor's names: what AddImage takes."""


def _type(kind: str) -> pa.DataType:
    return pa.int64() if kind in {"integer", "category"} else pa.string()


SCHEMA: Final = pa.schema([(each.key, _type(each.kind)) for each in _WIRE.values()])
"""Columns of an export: product_id, pic_name, category_id, region, custom_content and the attributes."""


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that is there.

    Attributes:
        instance: Its name.
        file: The Parquet file.
        images: Rows in it.
        unread: Lines that are none of an image; they are kept in `raw`.
        examples: The first of them.
        raw: The file as it came; None where every line of it was read.
        task_id: The service's id of the export.
        exported_at: When it was asked for, ISO 8601, UTC.
    """

    instance: str
    file: str
    images: int
    unread: int
    examples: tuple[str, ...]
    raw: str | None
    task_id: str
    exported_at: str

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self)


def unread_of(file: Path) -> Path:
    """Where an export is as it came, while some of its lines could not be read."""
    return file.with_name(f"{file.stem}.meta")


async def export_instance(
    settings: JobSettings, file: Path, *, instance: InstanceSettings | None = None, poll: float = _POLL
) -> Exported:
    """Export what an instance holds into a Parquet file.

    Args:
        settings: The job.
        file: Where it goes; an older one is replaced when the new one is whole.
        instance: Which of the job's instances; the first one when None.
        poll: Seconds between two looks at the export.

    Raises:
        ConfigError: There are no credentials, or the endpoint is unusable.
        RunEndedError: The service refused the export, or it failed.
        OutputError: The file cannot be written.
    """
    await asyncio.to_thread(made_folder, file.parent)
    raw = unread_of(file)
    async with instance_calls(settings, instance) as calls:
        name = calls.instance.name
        began = datetime.now(UTC)
        facts = await _followed(calls, await _begun(calls, poll), raw, poll)
    step("reading the export")
    try:
        counted = await asyncio.to_thread(_written, raw, file)
    except (OSError, pa.ArrowException) as error:
        raise OutputError(f"{file}: cannot be written: {error}") from error
    if not counted.unread:
        raw.unlink()
    logger().info("instance_exported", instance=name, images=counted.images, unread=counted.unread)
    return Exported(
        instance=name,
        file=str(file),
        images=counted.images,
        unread=counted.unread,
        examples=tuple(counted.examples),
        raw=str(raw) if counted.unread else None,
        task_id=facts.task_id or "",
        exported_at=began.isoformat(timespec="seconds"),
    )


async def _begun(calls: InstanceCalls, poll: float) -> str:
    """The id of the export that is asked for; one that runs already is waited for and another one made."""
    step("asking for an export")
    while True:
        answer = await calls.answer("DumpMeta")
        if answer.code is None and isinstance(answer.response, TaskResponse) and answer.response.task_id:
            return answer.response.task_id
        if answer.code != _BUSY:
            raise refusal("DumpMeta", answer)
        # It shows the instance as it was when it began; somebody who asks now wants it as it is.
        step("waiting for another export of the instance")
        await asyncio.sleep(poll)


async def _followed(calls: InstanceCalls, task_id: str, raw: Path, poll: float) -> TaskFacts:
    """The export when it is over, its file fetched."""
    following = step("the instance writes its export")
    missed = fetched = 0
    while True:
        answer = await calls.ask("DumpMetaList", TaskListResponse, id=task_id, page_size=MAX_TASKS_A_PAGE)
        facts = next((each for each in answer.tasks if each.task_id == task_id), None)
        following.advance(0)
        status = "" if facts is None else (facts.status or "").upper()
        if facts is None:
            missed += 1
            if missed >= _UNLISTED:
                raise RunEndedError("DumpMeta.Unlisted", f"DumpMetaList does not show the export {task_id}")
        elif status == TASK_FAIL:
            said = f"{facts.code or 'no code'}: {facts.message or 'no reason was given'}"
            raise RunEndedError("DumpMeta.Failed", f"the export {task_id} failed: {said}")
        elif status == TASK_SUCCESS and facts.file_url:
            step("fetching the export")
            try:
                await calls.fetch(facts.file_url, raw)
            except OSError as error:
                raise OutputError(f"{raw}: cannot be written: {error.strerror or error}") from error
            except FetchError as error:
                fetched += 1
                if fetched >= _FETCHES:
                    raise RunEndedError("DumpMeta.NotFetched", f"the export {task_id}: {error}") from None
            else:
                return facts
        await asyncio.sleep(poll)


class _Counted:
    """Counts what is read."""

    def __init__(self) -> None:
        self.images = self.unread = 0
        self.examples: list[str] = []

    def rows(self, lines: Iterable[Line]) -> Iterator[dict[str, Any]]:
        """One row for each line that is of an image."""
        for line in lines:
            row = None if line.content is None else _row(line.content)
            if row is None:
                self.unread += 1
                if len(self.examples) < _SHOWN:
                    self.examples.append(f"line {line.number}: {line.text[:120]}")
                continue
            self.images += 1
            yield row


def _written(raw: Path, file: Path) -> _Counted:
    counted = _Counted()
    rows = counted.rows(lines_in(raw))
    with publishing(file) as target, pq.ParquetWriter(target, SCHEMA, compression="zstd") as writer:
        while batch := list(itertools.islice(rows, _AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
    return counted


def _row(content: dict[str, Any]) -> dict[str, Any] | None:
    """The row of an image; None for what names none, or has a text where a whole number belongs."""
    row: dict[str, Any] = {}
    for wire, parameter in _WIRE.items():
        value = content.get(wire, content.get(parameter.key))
        if value is None or value == "":
            row[parameter.key] = None
        elif _type(parameter.kind) == pa.int64():
            row[parameter.key] = _whole(value)
            if row[parameter.key] is None:
                return None
        else:
            row[parameter.key] = str(value)
    if row["product_id"] is None or row["pic_name"] is None:
        return None
    return row


def _whole(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None
