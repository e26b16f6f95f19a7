"""Batch tasks, one after another: the list written, the task asked for, followed to its end, its lines noted.

An instance runs one task at a time. A task that was asked for when a run was killed is found again by the
folder it reads: it is followed, not doubled.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch import crash_points
from batchsearch.engine.run.instance_calls import UnansweredError, refusal
from batchsearch.errors import RunEndedError
from batchsearch.publish import disk_errors
from batchsearch.redaction import redacted
from batchsearch.service.facts import MAX_TASKS_A_PAGE, TASK_FAIL, TASK_PROCESSING, TASK_SUCCESS
from batchsearch.service.line_files import lines_in
from batchsearch.service.responses import TaskListResponse, TaskResponse
from batchsearch.service.signed_file import FetchError
from batchsearch.steps import step
from batchsearch.tasks.load.lines import META
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from batchsearch.engine.run.instance_calls import InstanceCalls
    from batchsearch.service.line_files import Line
    from batchsearch.service.responses import TaskFacts
    from batchsearch.tasks.load.bucket import Bucket, Place
    from batchsearch.tasks.load.journal import Journal
    from batchsearch.tasks.load.journal_records import Task

UNKNOWN_LINE: Final = "Increment.LineFailed"
_PRODUCT: Final = ("ProductId", "productId", "product_id")
_NAME: Final = ("PicName", "picName", "pic_name")
_CODE: Final = ("Code", "code", "ErrorCode", "errorCode", "error_code")
_MESSAGE: Final = ("Message", "message", "Msg", "msg", "ErrorMessage", "errorMessage", "Reason", "reason")
_INSIDE: Final = ("Meta", "meta", "Item", "item", "Data", "data")
_LONGEST: Final = 2_000
_LONGEST_CODE: Final = 128


class ErrorLines:
    """Reads the file behind `ErrorUrl`: which lines of a task failed, and why.

    Its form is on no page (BATCH). Read is JSON a line that names the image, under any of the usual names;
    any other line is counted, and the file is kept.

    Attributes:
        unread: How many of them say nothing of any image.
    """

    def __init__(self) -> None:
        self.unread = 0

    def read(self, lines: Iterable[Line]) -> Iterator[tuple[str | None, str, str, str | None]]:
        """Product (None where it is not said), image name, code and message of each line that names one."""
        for line in lines:
            found = _of(line.content) if line.content is not None else None
            if found is None:
                self.unread += 1
            else:
                yield found


def _of(content: Mapping[str, Any]) -> tuple[str | None, str, str, str | None] | None:
    inner: dict[str, Any] = next(
        (content[name] for name in _INSIDE if isinstance(content.get(name), dict)), {}
    )
    both = {**inner, **content}
    name = _first(both, _NAME)
    if name is None:
        return None
    code = _first(both, _CODE) or UNKNOWN_LINE
    message = _first(both, _MESSAGE)
    said = None if message is None else redacted(message[:_LONGEST])
    return _first(both, _PRODUCT), name, code[:_LONGEST_CODE], said


def _first(content: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = content.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


FAILED: Final = "Increment.Failed"
REPLACED: Final = "Increment.ListReplaced"
_BUSY: Final = frozenset({"Console.TaskAlreadyExist", "Console.IncrementStatusError"})
"""Answers to who asks for a task while another one runs."""
_MOST_PAGES: Final = 100
_CALM: Final = 2
"""So often nothing runs, in looks one after the other, before the folder of somebody else's task is used."""
_UNLISTED: Final = 20
"""Times that a task may be missing in the list before it is given up."""
_FETCHES: Final = 5


@dataclass(eq=False)
class Importer:
    """Brings the lines that wait to the instance.

    Attributes:
        calls: Asks the instance.
        bucket: Where the list is put.
        place: The same, as the service is told.
        journal: Knows the lines and the tasks.
        folder: Where the files of failed lines are kept.
        most: Lines of one task.
        poll: Seconds between two looks at a task.
        patience: Seconds that a service or network that fails is waited for.
        sleep: Waits so many seconds.
        clock: Steady seconds.
    """

    calls: InstanceCalls
    bucket: Bucket
    place: Place
    journal: Journal
    _: KW_ONLY
    folder: Path
    most: int
    poll: float
    patience: float
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    async def run(self) -> None:
        """Work until no line waits and no task runs.

        Raises:
            RunEndedError: The service refused a task, or does not list it.
            UnansweredError: It could not be asked for long.
            OutputError: The bucket, the journal or the disk refuses.
        """
        while True:
            task = await asyncio.to_thread(self.journal.task_under_way)
            if task is None:
                task = await asyncio.to_thread(self.journal.begin_task, self.most)
            if task is None:
                return
            crash_points.reached("task_taken")
            task_id = task.task_id or await self._found_again(task) or await self._begun(task)
            await self._followed(task, task_id)

    # -- asking for a task ---------------------------------------------------------------------------

    async def _begun(self, task: Task) -> str:
        """Write the list of a task and ask for it; the service's id.

        The list is written when no task runs: one that does may be reading the list that is there. It is
        written again after each wait, since somebody else may have used the folder meanwhile.
        """
        while True:
            await self._alone(task)
            step(f"task {task.number}: writing the list")
            mark = await asyncio.to_thread(self._write_list, task)
            crash_points.reached("task_listed")
            if mark is None:
                # Somebody else has put his list there since.
                await self.sleep(self.poll)
                continue
            known = {each.task_id for each in await self._listed() if each.task_id}
            await asyncio.to_thread(self.journal.asking, task.number, known, mark)
            crash_points.reached("task_asking")
            answer = await self.calls.answer(
                "IncreaseInstance", once=True, bucket_name=self.place.bucket, path=self.place.path
            )
            crash_points.reached("task_asked")
            response = answer.response
            if answer.code is None and isinstance(response, TaskResponse) and response.task_id:
                return await self._noted(task, response.task_id)
            if answer.code in _BUSY:
                logger().info("task_waits", task=task.number, code=answer.code)
                await self.sleep(self.poll)
                continue
            # Where the answer was lost, the task may have begun all the same.
            found = self._new(await self._listed(), known) if answer.origin == "transport" else None
            if found is None:
                raise refusal("IncreaseInstance", answer)
            return await self._noted(task, found)

    async def _alone(self, task: Task) -> None:
        """Wait until no task of the instance runs.

        Whose task has just ended looks at its list first: else two loads that look in step would replace each
        other's for ever.
        """
        told = False
        calm = 0
        while True:
            listed = await self.calls.ask("IncreaseList", TaskListResponse, page_size=MAX_TASKS_A_PAGE)
            running = [each for each in listed.tasks if (each.status or "").upper() == TASK_PROCESSING]
            if not running and (not told or calm >= _CALM):
                return
            calm = 0 if running else calm + 1
            if not told:
                logger().info("task_waits", task=task.number, id=running[0].task_id)
                step(f"task {task.number}: waiting for another task of the instance")
                told = True
            await self.sleep(self.poll)

    async def _found_again(self, task: Task) -> str | None:
        """The id of a task that may have been asked for when an earlier run ended; None when it was not."""
        if task.state != "asking":
            return None
        found = self._new(await self._listed(), task.known)
        return None if found is None else await self._noted(task, found)

    async def _noted(self, task: Task, task_id: str) -> str:
        await asyncio.to_thread(self.journal.running, task.number, task_id)
        crash_points.reached("task_noted")
        logger().info("task_running", task=task.number, id=task_id, lines=task.lines)
        return task_id

    @staticmethod
    def _new(listed: list[TaskFacts], known: set[str] | frozenset[str]) -> str | None:
        """The task of this folder that was not there before."""
        return next((each.task_id for each in listed if each.task_id and each.task_id not in known), None)

    async def _listed(self, task_id: str | None = None) -> list[TaskFacts]:
        """The tasks of this folder that the service lists; those of an id where one is given."""
        asked = {"id": task_id} if task_id else {"bucket_name": self.place.bucket, "path": self.place.path}
        found: list[TaskFacts] = []
        for page in range(1, _MOST_PAGES + 1):
            answer = await self.calls.ask(
                "IncreaseList", TaskListResponse, page_number=page, page_size=MAX_TASKS_A_PAGE, **asked
            )
            found += answer.tasks
            if len(answer.tasks) < MAX_TASKS_A_PAGE or (answer.total_count or 0) <= len(found):
                break
        # Whether the filters work as they are written is only for the service to say.
        return [
            each
            for each in found
            if (task_id in {None, each.task_id})
            and (each.bucket_name or self.place.bucket) == self.place.bucket
            and (each.path or self.place.path).rstrip("/") == self.place.path
        ]

    def _write_list(self, task: Task) -> str | None:
        """Put the list of a task into the folder; its mark, None where another one is there already."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.folder, prefix=".list-") as file:
            for line in self.journal.lines_of(task.number):
                file.write(line + "\n")
            file.flush()
            return self.bucket.put_file(META, Path(file.name))

    # -- following it --------------------------------------------------------------------------------

    async def _followed(self, task: Task, task_id: str) -> None:
        """Look at a task until it is over, then note what became of its lines."""
        following = step(f"task {task.number} of {task.lines:,} lines: the instance is reading them")
        missed = fetched = 0
        silent_since: float | None = None
        while True:
            try:
                facts = next(iter(await self._listed(task_id)), None)
            except UnansweredError:
                # The task goes on by itself: an outage is waited out as a run waits it out.
                silent_since = silent_since or self.clock()
                if self.clock() - silent_since >= self.patience:
                    raise
                await self.sleep(self.poll)
                continue
            silent_since = None
            following.advance(0)
            if facts is None:
                missed += 1
                if missed >= _UNLISTED:
                    raise RunEndedError(
                        "Increment.Unlisted",
                        f"IncreaseList does not show task {task_id} any more; run the same command later",
                    )
            elif (status := (facts.status or "").upper()) in {TASK_SUCCESS, TASK_FAIL}:
                try:
                    await self._end(task, facts, status)
                except FetchError as error:
                    # The address expires: the next look brings another one.
                    fetched += 1
                    if fetched >= _FETCHES:
                        raise RunEndedError("Increment.NoErrorFile", f"task {task_id}: {error}") from None
                else:
                    return
            else:
                missed = 0
            await self.sleep(self.poll)

    async def _end(self, task: Task, facts: TaskFacts, status: str) -> None:
        path = self.folder / f"failed-lines-{task.number}.jsonl"
        if facts.file_url:
            with disk_errors(path, "cannot be written"):
                await self.calls.fetch(facts.file_url, path)
        # From the journal: this run or an earlier one has written the list.
        asked = await asyncio.to_thread(self.journal.task_under_way)
        if asked is None or await asyncio.to_thread(self.bucket.mark, META) != asked.mark:
            # Somebody else has put another list into the folder: which one was read, nobody can say.
            said = "the list was replaced while the task ran; its lines are brought again"
            await asyncio.to_thread(self.journal.give_back, task.number, status, REPLACED, said)
            logger().warning("task_list_replaced", task=task.number, id=facts.task_id, place=str(self.place))
            return
        code = None
        if status == TASK_FAIL:
            code = facts.code or FAILED
        message = None if facts.message is None else redacted(facts.message)
        await asyncio.to_thread(self._note_end, task, status, path if facts.file_url else None, code, message)
        crash_points.reached("task_ended")
        ended = self.journal.ended_tasks(task.number - 1)[0]
        logger().info(
            "task_ended",
            task=task.number,
            id=facts.task_id,
            status=status,
            lines=ended.lines,
            failed=ended.failed,
            code=code,
        )

    def _note_end(
        self, task: Task, status: str, path: Path | None, code: str | None, message: str | None
    ) -> None:
        errors = ErrorLines()
        failures = errors.read(lines_in(path)) if path is not None else iter(())
        self.journal.end_task(
            task.number, status, failures, code=code, message=message, unread=lambda: errors.unread
        )
