"""What the journal of a load knows: lines of `increment.meta`, and batch tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskState = Literal["new", "asking", "running", "ended"]


@dataclass(frozen=True, slots=True)
class StagedLine:
    """A line of `increment.meta` that is to be.

    Attributes:
        product_id: The row's product.
        pic_name: The row's name of the image.
        name: Of the object, and so on the instance.
        sha256: Of the image; None where the line deletes.
        line: The line itself.
    """

    product_id: str
    pic_name: str
    name: str
    sha256: str | None
    line: str


@dataclass(frozen=True, slots=True)
class LineState:
    """How a line stands: `staged`, `asked`, `done` or `failed`, by which task, and why not."""

    state: str
    name: str
    task_id: str | None
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Task:
    """A batch task.

    Attributes:
        number: Of this journal, from 1.
        state: How far it is.
        lines: How many it has.
        known: Ids of the folder's tasks that were there before it was asked for.
        mark: What changes with the content of its list; None before that is written.
        task_id: The service's id; None before it is known.
    """

    number: int
    state: TaskState
    lines: int
    known: frozenset[str]
    mark: str | None
    task_id: str | None


@dataclass(frozen=True, slots=True)
class EndedTask:
    """A task that is over, for people.

    Attributes:
        number: Of this journal.
        task_id: The service's id.
        status: `SUCCESS` or `FAIL`.
        lines: How many it had.
        failed: How many of them failed.
        unread: Lines of its error file that say nothing of any image.
        code: Why it failed as a whole.
        message: The same in words.
        seconds: How long it took.
    """

    number: int
    task_id: str | None
    status: str | None
    lines: int
    failed: int
    unread: int
    code: str | None
    message: str | None
    seconds: float
