"""Writing out all that an instance holds, as lines of `increment.meta`: the work of one task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.emulator.batch.increment_work import StoppedError
from batchsearch.emulator.batch.meta_lines import line_of
from batchsearch.emulator.batch.task_records import SUCCESS

if TYPE_CHECKING:
    from threading import Event

    from batchsearch.emulator.batch.task_records import BatchTask, TaskRecords
    from batchsearch.emulator.search.items import ItemStore

_ROWS: Final = 1_000
_PIECE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DumpWork:
    """Carries dumps of one instance out.

    Attributes:
        store: Its items.
        records: Its tasks.
        stopping: Set when the process ends.
    """

    store: ItemStore
    records: TaskRecords
    stopping: Event

    def carry_out(self, task: BatchTask) -> None:
        """Do a task from its beginning: each item as it is when its line is written.

        Items that are added meanwhile are left out.

        Raises:
            StoppedError: The process ends.
        """
        self.records.begin_dump(task.id)
        last = self.store.last_id()
        place = lines = number = 0
        piece = bytearray()
        while place < last:
            if self.stopping.is_set():
                raise StoppedError
            chunk = [one for one in self.store.after(place, _ROWS) if one.identity <= last]
            for one in chunk:
                piece += line_of(one.item, one.regions)
            lines += len(chunk)
            place = chunk[-1].identity if chunk else last
            if len(piece) >= _PIECE or place >= last:
                self.records.keep(task.id, number, bytes(piece), line=lines)
                number += 1
                piece.clear()
        self.records.end(task.id, SUCCESS, None, f"lines: {lines:,}")
