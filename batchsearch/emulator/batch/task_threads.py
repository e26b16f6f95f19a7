"""An instance's batch tasks while it runs: begun by calls, done in threads, taken up at the next start."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from batchsearch.emulator.batch.increment_work import IncrementWork, StoppedError
from batchsearch.emulator.batch.meta_lines import line_of
from batchsearch.emulator.batch.task_records import FAIL, SUCCESS, TaskRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from batchsearch.emulator.batch.source_bucket import SourceBucket
    from batchsearch.emulator.batch.task_records import BatchTask
    from batchsearch.emulator.instance_options import InstanceOptions
    from batchsearch.emulator.search.catalogue import Catalogue

FAILURES_FILE: Final = "failures.jsonl"
DUMP_FILE: Final = "dump.meta"
_ROWS: Final = 1_000
_PIECE: Final = 1024 * 1024

_log = structlog.get_logger("batchsearch.emulator")


class BatchTasks:
    """Runs the tasks of one instance: one increment and one dump at a time.

    Attributes:
        records: The tasks on disk.

    Args:
        instance: The instance's set-up.
        catalogue: Its items.
        buckets: Where images are taken in from, by the buckets' names; closed with this.
        now: Clock, seconds since 1970.
    """

    def __init__(
        self,
        instance: InstanceOptions,
        catalogue: Catalogue,
        buckets: Mapping[str, SourceBucket],
        now: Callable[[], float],
    ) -> None:
        self.records = TaskRecords(catalogue.store, now)
        self._buckets = buckets
        self._stopping = threading.Event()
        self._increments = IncrementWork(instance, catalogue, self.records, buckets, self._stopping)
        self._store = catalogue.store
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        for task in self.records.unfinished():
            self._start(task)

    def increase(self, bucket: str, path: str, callback: str | None) -> BatchTask:
        """Begin an increment.

        Raises:
            TaskRunsError: One is in progress.
        """
        return self._start(self.records.begin("increment", bucket=bucket, path=path, callback=callback))

    def dump(self) -> BatchTask:
        """Begin a dump.

        Raises:
            TaskRunsError: One is in progress.
        """
        return self._start(self.records.begin("dump"))

    def _start(self, task: BatchTask) -> BatchTask:
        thread = threading.Thread(
            target=self._work, args=(task,), name=f"batch-{task.kind}-{task.id}", daemon=True
        )
        with self._lock:
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            if not self._stopping.is_set():
                thread.start()
        return task

    def _work(self, task: BatchTask) -> None:
        try:
            if task.kind == "dump":
                self._write_out(task)
            else:
                self._increments.carry_out(task)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever went wrong, who waits for the task must hear of it
            # Neither the message nor the traceback's values: they could hold an image.
            _log.error("emulator_task_failed", error=type(error).__name__, task=task.id, kind=task.kind)
            self.records.end(task.id, FAIL, "Console.InternalError", "an error of the emulator's own")

    def _write_out(self, task: BatchTask) -> None:
        """Do a dump from its beginning: each item as it is when its line is written.

        Items that are added meanwhile are left out.

        Raises:
            StoppedError: The process ends.
        """
        self.records.begin_dump(task.id)
        last = self._store.last_id()
        place = lines = number = 0
        piece = bytearray()
        while place < last:
            if self._stopping.is_set():
                raise StoppedError
            chunk = [one for one in self._store.after(place, _ROWS) if one.identity <= last]
            for one in chunk:
                piece += line_of(one.item, one.regions)
            lines += len(chunk)
            place = chunk[-1].identity if chunk else last
            if len(piece) >= _PIECE or place >= last:
                self.records.keep(task.id, number, bytes(piece), line=lines)
                number += 1
                piece.clear()
        self.records.end(task.id, SUCCESS, None, f"lines: {lines:,}")

    def file_of(self, task: BatchTask) -> str | None:
        """Name of the file that a task has left behind, None where there is none."""
        if task.kind == "increment":
            return FAILURES_FILE if task.failed and task.status != "PROCESSING" else None
        return DUMP_FILE if task.status == SUCCESS and self.records.has_dumped(task.id) else None

    def content(self, task_id: int, name: str) -> bytes | None:
        """What the file of a task holds, None where there is no such file."""
        kind = "dump" if name == DUMP_FILE else "increment"
        found, _ = self.records.listed(kind, id=task_id)  # type: ignore[arg-type]  # one of two
        if not found or self.file_of(found[0]) != name:
            return None
        return self.records.dumped(task_id) if kind == "dump" else self.records.failures(task_id)

    def close(self) -> None:
        """Have the tasks stop where they are; they go on at the next start."""
        with self._lock:
            self._stopping.set()
            threads, self._threads = self._threads, []
        for bucket in self._buckets.values():
            bucket.close()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
