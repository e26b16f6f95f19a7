"""Progress on a terminal: a live bar, and below it pace, failures and the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.progress import Task, TaskID

    from batchsearch.telemetry.progress import View

_BAR_COLUMNS: Final = 20


class TerminalBar:
    """A bar that is drawn again in its place; log lines appear above it, and it leaves nothing behind.

    Colours follow `NO_COLOR`, the width follows the terminal: longer lines are cut, never wrapped.

    Args:
        console: Where to draw; stderr when absent.
    """

    every = 0.0
    at_once = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: _BarAndLines | None = None
        self._task: TaskID | None = None
        self._shown = ""
        self._drawing = threading.Lock()

    def begin(self) -> None:
        """Put the bar up."""
        self._bar = _BarAndLines(
            TextColumn("{task.description}"),
            BarColumn(_BAR_COLUMNS),
            _Counted(),
            TimeElapsedColumn(),
            console=self._console or Console(stderr=True),
            redirect_stdout=False,
            refresh_per_second=4,
            transient=True,
        )
        self._bar.start()

    def show(self, view: View) -> None:
        """Move the bar; another step has a bar of its own, whose time begins anew."""
        with self._drawing:
            if self._bar is None:
                return
            self._bar.lines = view.lines
            if view.what != self._shown or self._task is None:
                if self._task is not None:
                    self._bar.remove_task(self._task)
                self._shown, self._task = view.what, self._bar.add_task(view.what, total=None)
            self._bar.update(self._task, completed=view.done, total=view.total)

    def end(self) -> None:
        """Take it away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar, self._task = None, None


class _BarAndLines(RichProgress):
    """A bar, and lines below it."""

    lines: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for line in self.lines:
            yield Text(f"  {line}", overflow="ellipsis", no_wrap=True)


class _Counted(ProgressColumn):
    """How much is done, as far as that says anything."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{task.completed:,.0f}" if task.completed else "")
        return Text(f"{task.completed:,.0f}/{task.total:,.0f} {task.percentage:3.0f}%")
