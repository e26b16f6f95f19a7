"""Taking images in from a bucket, line by line of `increment.meta`: the work of one task.

Lines are looked at side by side and take effect in their order, a few at a time: what they change, what
failed and how far the list is done are committed together. So a process that is killed goes on where it was,
and no line takes effect twice.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from batchsearch.emulator.arguments import Arguments
from batchsearch.emulator.batch.meta_lines import (
    META_NAME,
    MetaError,
    MetaLine,
    fields_of,
    folder_of,
    key_of,
    named_in,
    texts_of,
)
from batchsearch.emulator.batch.source_bucket import BucketError
from batchsearch.emulator.batch.task_records import FAIL, SUCCESS, Failure
from batchsearch.emulator.http.error_table import RefusedError, answer_of
from batchsearch.emulator.search.image_memory import shared_memory
from batchsearch.emulator.search.image_reading import ImageRefusedError
from batchsearch.emulator.search.item_changes import Change
from batchsearch.emulator.search.records import NewItem
from batchsearch.service.facts import MAX_IMAGE_BYTES, SERVICE_TYPES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from threading import Event

    from batchsearch.emulator.batch.source_bucket import SourceBucket, SourceObject
    from batchsearch.emulator.batch.task_records import BatchTask, TaskRecords
    from batchsearch.emulator.instance_options import InstanceOptions
    from batchsearch.emulator.search.catalogue import Catalogue
    from batchsearch.emulator.search.item_changes import Changed

TOGETHER: Final = 64
"""Lines that take effect together."""
_THREADS: Final = 4
_PIECE: Final = 1024 * 1024
_LONGEST_LINE: Final = 1024 * 1024


class StoppedError(Exception):
    """The process ends; the task goes on when it is started again."""


class _FailedError(Exception):
    """The task as a whole fails."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What becomes of a line: a change, or why there is none."""

    line: MetaLine
    product_id: str | None
    pic_name: str | None
    change: Change | None = None
    code: str | None = None

    def failure(self, code: str) -> Failure:
        """The line among those that failed."""
        return Failure(self.line.number, self.product_id, self.pic_name, code, answer_of(code, "AddImage")[1])


@dataclass(frozen=True, slots=True)
class IncrementWork:
    """Carries increments of one instance out.

    Attributes:
        instance: Its set-up.
        catalogue: Its items.
        records: Its tasks.
        buckets: Where lists and images are, by the buckets' names.
        stopping: Set when the process ends.
    """

    instance: InstanceOptions
    catalogue: Catalogue
    records: TaskRecords
    buckets: Mapping[str, SourceBucket]
    stopping: Event

    def carry_out(self, task: BatchTask) -> None:
        """Do a task, or what is left of it.

        Raises:
            StoppedError: The process ends.
        """
        try:
            self._carry_out(task)
        except _FailedError as error:
            self.records.end(task.id, FAIL, error.code, str(error))
        except MetaError as error:
            self.records.end(task.id, FAIL, "InvalidMetaItem", f"{META_NAME}: {error}")
        except BucketError as error:
            if self.stopping.is_set():
                # It is closed, no more.
                raise StoppedError from None
            self.records.end(task.id, FAIL, "InternalOssError", f"bucket {task.bucket}: {error}")

    def _carry_out(self, task: BatchTask) -> None:
        bucket = self.buckets.get(task.bucket or "")
        if bucket is None:
            raise _FailedError("NoSuchBucket", f"no bucket is called {task.bucket}")
        folder = folder_of(task.path or "")
        if folder is None:
            wrong = f"Path {task.path} is no folder: begin it with / and end it without one"
            raise _FailedError("InvalidPath", wrong)
        key = f"{folder}/{META_NAME}"
        found = bucket.find(key)
        if found is None:
            raise _FailedError("NoSuchKey", f"{key} is not in the bucket {task.bucket}")
        if task.tag is None:
            self._check(bucket, found)
            self.records.mark(task.id, found.tag)
        elif found.tag != task.tag:
            raise MetaError("it was replaced while the task was in progress")
        lines = self._lines(bucket, found, task.position, task.line)
        count, failed = task.line, task.failed
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="batch-task") as pool:
            while chunk := list(islice(lines, TOGETHER)):
                judged = list(pool.map(lambda line: self._judged(bucket, folder, line), chunk))
                failed += self._take_effect(task, judged)
                count = chunk[-1].number
        self.records.end(task.id, SUCCESS, None, f"lines: {count:,}, failed: {failed:,}")

    def _check(self, bucket: SourceBucket, found: SourceObject) -> None:
        """Judge the whole list before anything takes effect."""
        empty = True
        for line in self._lines(bucket, found, 0, 0):
            fields_of(line)
            empty = False
        if empty:
            raise _FailedError("EmptyMeta", f"{META_NAME} has no line")

    def _lines(
        self, bucket: SourceBucket, found: SourceObject, position: int, number: int
    ) -> Iterator[MetaLine]:
        """The lines of the list that are left; blank ones are passed over."""
        rest = b""
        place = end = position
        while place < found.size or rest:
            if self.stopping.is_set():
                raise StoppedError
            piece = bucket.read(found, place, min(place + _PIECE, found.size)) if place < found.size else b""
            place += len(piece)
            *whole, rest = (rest + piece).split(b"\n")
            if place >= found.size and rest:
                whole, rest = [*whole, rest], b""
            if max(map(len, (*whole, rest))) > _LONGEST_LINE:
                raise MetaError(f"a line after line {number} is longer than a megabyte")
            for text in whole:
                number += 1
                end = min(end + len(text) + 1, found.size)
                if text.strip():
                    yield MetaLine(number, end, text)

    def _judged(self, bucket: SourceBucket, folder: str, line: MetaLine) -> _Judged:
        if self.stopping.is_set():
            raise StoppedError
        fields = fields_of(line)
        names = named_in(fields, "ProductId"), named_in(fields, "PicName")
        try:
            return _Judged(line, *names, change=self._change(bucket, folder, fields))
        except RefusedError as error:
            return _Judged(line, *names, code=error.code)
        except ImageRefusedError as error:
            return _Judged(line, *names, code=error.code)

    def _change(self, bucket: SourceBucket, folder: str, fields: Mapping[str, Any]) -> Change:
        texts = texts_of(fields)
        # A name that is absent is missed as an empty one is: there is no gateway before a list.
        arguments = Arguments({"ProductId": "", **texts}, self.instance.longest_id)
        product_id = arguments.name_of("ProductId")
        operation = texts.get("OperationType")
        if operation == "DELETE":
            return Change(None, product_id, arguments.optional_name_of("PicName"))
        if operation != "ADD":
            raise RefusedError("InvalidMetaItem")
        arguments = Arguments({"PicName": "", **texts}, self.instance.longest_id)
        pic_name = arguments.name_of("PicName")
        kind = self.instance.service_type
        item = NewItem(
            product_id,
            pic_name,
            arguments.category(kind),
            **arguments.attributes(),  # type: ignore[arg-type]  # typed by name
        )
        image = shared_memory().image(_image(bucket, key_of(folder, pic_name)), kind)
        region = arguments.region(image) if SERVICE_TYPES[kind].subject else None
        return Change(self.catalogue.addition(item, image, crop=True, region=region))

    def _take_effect(self, task: BatchTask, judged: Sequence[_Judged]) -> int:
        """Commit what the lines change, what failed, and that they are done; returns how many failed."""
        effective = [one for one in judged if one.change is not None]
        failures = [one.failure(one.code) for one in judged if one.code is not None]

        def also(connection: sqlite3.Connection, made: Sequence[Changed]) -> None:
            failures.extend(
                one.failure("InstanceOverQuota")
                for one, done in zip(effective, made, strict=True)
                if done.full
            )
            last = judged[-1].line
            self.records.advance(connection, task.id, position=last.end, line=last.number, failures=failures)

        self.catalogue.change_all([one.change for one in effective if one.change is not None], also=also)
        return len(failures)


def _image(bucket: SourceBucket, key: str) -> bytes:
    """An image's bytes.

    Raises:
        RefusedError: The bucket does not have it, or it cannot be read.
        BucketError: The bucket cannot be read.
    """
    found = bucket.find(key)
    if found is None:
        raise RefusedError("PicNotExist")
    if found.size > MAX_IMAGE_BYTES:
        raise RefusedError("InvalidPicContent")
    try:
        return bucket.read(found, 0, found.size)
    except BucketError as error:
        if error.is_whole:
            raise
        raise RefusedError("PictureError") from None
