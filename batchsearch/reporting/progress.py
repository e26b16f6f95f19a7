"""Progress on stderr: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, Self

from batchsearch.reporting.logs import logger, on_live_terminal
from batchsearch.reporting.reading import reading_of
from batchsearch.reporting.reading_words import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from batchsearch.engine.stats import Stats

LINE_SECONDS: Final = 30.0
_MOST_CODES: Final = 5


class Progress(Protocol):
    """Shows a run's counters; `update` is called a few times a second and must be cheap."""

    def __enter__(self) -> Self:
        """Start showing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop showing; what follows on stderr starts on a clean line."""

    def update(self, stats: Stats) -> None:
        """Show these counters."""


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


class BarProgress:
    """A live bar for a terminal, and below it pace, failures and the end; log lines appear above it.

    Colours follow `NO_COLOR`, the width follows the terminal: longer lines are cut, never wrapped.

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

    def __enter__(self) -> Self:
        self._bar = self._made()
        self._task = self._bar.add_task("rows", total=None)
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, stats: Stats) -> None:
        """Move the bar and renew the lines."""
        if self._bar is None or self._task is None:
            return
        moment = self._wall()
        reading = reading_of(stats, self._clock(), moment)
        self._lines = lines_of(reading, moment)
        self._bar.update(self._task, completed=reading.done, total=reading.total or None)

    def _made(self) -> RichProgress:
        # rich takes a while to import: only a terminal pays for it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.text import Text

        def below() -> list[Text]:
            return [Text(f"  {line}", overflow="ellipsis", no_wrap=True) for line in self._lines]

        class BarAndLines(Progress):
            def get_renderables(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - rich's own type
                yield self.make_tasks_table(self.tasks)
                yield from below()

        return BarAndLines(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self._console or Console(stderr=True),
            redirect_stdout=False,
            refresh_per_second=4,
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
    "in_flight",
    "ready",
    "preparing",
    "done_at",
    "ends",
    "left_at_end",
)
"""What of a reading stands in a `progress` event."""


def progress_for(*, wanted: bool = True, as_events: bool = False) -> Progress:
    """The progress that suits where stderr goes; `as_events`: log events even on a terminal."""
    if not wanted:
        return NoProgress()
    return BarProgress() if on_live_terminal() and not as_events else LineProgress()
