"""What a load ends with: a page for people, a line of JSON for schedulers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchsearch.exit_codes import ExitCode
from batchsearch.pages.next_steps import NextStep, named_from_here, next_steps
from batchsearch.telemetry.summary import page_line

if TYPE_CHECKING:
    from batchsearch.tasks.load.journal_records import EndedTask
    from batchsearch.telemetry.summary import Summary


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """A load, as it ended.

    Attributes:
        folder: Output folder.
        place: The bucket and the folder in it, for people.
        staging: How the staging ended.
        outcomes: How the run over the outcomes ended; None where it was not begun.
        put: Images put into the bucket by this run.
        put_bytes: Their bytes.
        objects: Objects that are known to be in the bucket.
        object_bytes: Their bytes.
        tasks: The batch tasks that ended in this run.
        errors: Folder with the files of failed lines.
    """

    folder: str
    place: str
    staging: Summary
    outcomes: Summary | None
    put: int
    put_bytes: int
    objects: int
    object_bytes: int
    tasks: tuple[EndedTask, ...]
    errors: str

    @property
    def exit_code(self) -> int:
        """What the process exits with: as the run over the outcomes, or as the staging that did not end."""
        return (self.outcomes or self.staging).exit_code

    @property
    def unread(self) -> int:
        """Lines of error files that say nothing of any image."""
        return sum(task.unread for task in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        ended = (self.outcomes or self.staging).as_dict()
        return {
            **ended,
            "folder": self.folder,
            "bucket": self.place,
            "put": self.put,
            "put_bytes": self.put_bytes,
            "objects": self.objects,
            "object_bytes": self.object_bytes,
            "tasks": [asdict(task) for task in self.tasks],
            "unread_error_lines": self.unread,
            "staging": self.staging.as_dict(),
        }

    def as_text(self) -> str:
        """A page for people."""
        if self.outcomes is None:
            why = f": {self.staging.message}" if self.staging.message else ""
            head = f"load: not all images are in the bucket yet{why}; run the same command again to go on"
        else:
            head = f"load: {self.outcomes.ok:,} of {self.outcomes.rows:,} rows are loaded"
            if self.outcomes.failed:
                head += f", {self.outcomes.failed:,} failed"
        lines = [
            ("bucket", f"{self.objects:,} objects, {self.object_bytes / 1e6:,.1f} MB, in {self.place}"),
            ("put", f"{self.put:,} images, {self.put_bytes / 1e6:,.1f} MB, in this run"),
        ]
        for task in self.tasks:
            said = f"{task.lines:,} lines, {task.failed:,} failed, {task.seconds:,.0f} s, id {task.task_id}"
            if task.code is not None:
                said += f"; {task.code}: {task.message or 'no reason was given'}"
            lines.append((f"task {task.number}", said))
        if not self.tasks:
            lines.append(("tasks", "none was needed: nothing waits"))
        if self.unread:
            named = named_from_here(Path(self.errors))
            what = f"{self.unread:,} lines of the error files name no image; they are kept in {named}"
            lines.append(("mind", what))
        if self.outcomes is not None:
            lines += [(code, f"{count:,} rows") for code, count in self.outcomes.codes.items()]
        return "\n".join([head, *map(page_line, lines), ""])

    def next_steps(self) -> list[NextStep]:
        """Commands that come next."""
        if self.exit_code == ExitCode.INCOMPLETE:
            return []
        return next_steps(self.exit_code, Path(self.folder), looks=self.outcomes is not None)
