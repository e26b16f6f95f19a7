"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, Self

from batchsearch.steps import heard_by
from batchsearch.telemetry.logs import logger, on_live_terminal
from batchsearch.telemetry.reading import reading_of
from batchsearch.telemetry.status_words import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from batchsearch.telemetry.stats import Stats

LINE_SECONDS: Final = 30.0
_MOST_CODES: Final = 5
_STARTING: Final = "starting"
_ROWS: Final = "rows"


class Progress(Protocol):
    """Shows how far a command is: its steps, and a run's counters; both calls must be cheap.

    A command enters it once for all that it does. A run enters it again for the time of its calls, in which
    the counters are shown; before and after, the steps.
    """

    def __enter__(self) -> Self:
        """Start showing; within that, show counters."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing; what follows on stderr starts on a clean line."""

    def update(self, stats: Stats) -> None:
        """Show these counters."""

    def step(self, what: str, done: int, total: int | None) -> None:
        """Show a step beside the calls; see `batchsearch.steps`. Called from any thread."""


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def update(self, stats: Stats) -> None:
        """Ignore them."""

    def step(self, what: str, done: int, total: int | None) -> None:
        """Ignore it."""


class BarProgress:
    """A live bar for a terminal, and below it pace, failures and the end; log lines appear above it.

    It is there from when it is entered, for whatever step is on, and leaves nothing behind. Colours follow
    `NO_COLOR`, the width follows the terminal: longer lines are cut, never wrapped.

    Args:
        console: Where to draw; stderr when absent.
        clock: The steady clock of the counters.
        wall: Wall clock, UTC.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._console = console
        self._clock = clock
        self._wall = wall
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._lines: list[str] = []
        self._depth = 0
        self._shown = ""
        self._moving = threading.Lock()

    def __enter__(self) -> Self:
        self._depth += 1
        if self._bar is None:
            self._bar = self._made()
            self._bar.start()
            self._show(_STARTING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        self._lines = []
        if self._bar is not None and self._depth == 0:
            self._bar.stop()
            self._bar = None

    def update(self, stats: Stats) -> None:
        """Move the bar and renew the lines."""
        if self._bar is None:
            return
        moment = self._wall()
        reading = reading_of(stats, self._clock(), moment)
        self._lines = lines_of(reading, moment)
        self._move(_ROWS, reading.done, reading.total or None)

    def step(self, what: str, done: int, total: int | None) -> None:
        """Move the bar of a step; a new one begins another bar."""
        if self._bar is not None:
            self._lines = []
            self._move(what, done, total or None)

    def _move(self, what: str, done: int, total: int | None) -> None:
        with self._moving:
            if self._bar is None:
                return
            if what != self._shown or self._task is None:
                self._show(what)
            if self._task is not None:
                self._bar.update(self._task, completed=done, total=total)

    def _show(self, what: str) -> None:
        """A bar of its own for another step: its time begins anew."""
        if self._bar is None:
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._shown = what
        self._task = self._bar.add_task(what, total=None)

    def _made(self) -> RichProgress:
        # rich takes a while to import: only a terminal pays for it.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
        from rich.text import Text

        def below() -> list[Text]:
            return [Text(f"  {line}", overflow="ellipsis", no_wrap=True) for line in self._lines]

        class Counted(ProgressColumn):
            """How much is done, as far as that says anything."""

            def render(self, task):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - rich's own types
                if task.total is None:
                    return Text(f"{task.completed:,.0f}" if task.completed else "")
                return Text(f"{task.completed:,.0f}/{task.total:,.0f} {task.percentage:3.0f}%")

        class BarAndLines(Progress):
            def get_renderables(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - rich's own type
                yield self.make_tasks_table(self.tasks)
                yield from below()

        return BarAndLines(
            TextColumn("{task.description}"),
            BarColumn(20),
            Counted(),
            TimeElapsedColumn(),
            console=self._console or Console(stderr=True),
            redirect_stdout=False,
            refresh_per_second=4,
            transient=True,
        )


class LineProgress:
    """A log event at a bounded pace, for output that is kept in a file.

    Args:
        every: Seconds between two of them.
        clock: The steady clock of the counters.
        wall: Wall clock, UTC.
    """

    def __init__(
        self,
        every: float = LINE_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._every = every
        self._clock = clock
        self._wall = wall
        self._next = clock() + every
        self._step = ""
        self._next_step = self._next

    def __enter__(self) -> Self:
        self._next = self._clock() + self._every
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def update(self, stats: Stats) -> None:
        """Log a line when the last one is old enough."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._every
        moment = self._wall()
        reading = reading_of(stats, now, moment)
        seen, silent = reading.as_dict(), reading.since_success(moment)
        logger().info(
            "progress",
            **{name: seen[name] for name in _SHOWN},
            codes=dict(list(seen["codes"].items())[:_MOST_CODES]),
            seconds_since_success=None if silent is None else round(silent, 1),
        )

    def step(self, what: str, done: int, total: int | None) -> None:
        """Log how far a step is when it has lasted as long as the interval, and again after as long."""
        now = self._clock()
        if what != self._step:
            self._step, self._next_step = what, now + self._every
        elif now >= self._next_step:
            self._next_step = now + self._every
            logger().info("step_progress", step=what, done=done, total=total)


_SHOWN: Final = (
    "done",
    "total",
    "ok",
    "failed",
    "calls",
    "rate",
    "mean_rate",
    "tier",
    "denied",
    "denied_share",
    "trouble",
    "in_flight",
    "ready",
    "preparing",
    "done_at",
    "ends",
    "left_at_end",
)
"""What of a reading stands in a `progress` event."""


@contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show all that a command does, its steps included, from now on."""
    with progress, heard_by(progress):
        yield


def progress_for(*, wanted: bool = True, as_events: bool = False) -> Progress:
    """The progress that suits where stderr goes; `as_events`: log events even on a terminal."""
    if not wanted:
        return NoProgress()
    return BarProgress() if on_live_terminal() and not as_events else LineProgress()
