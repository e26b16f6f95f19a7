"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from batchsearch.engine.stats import Stats

LINE_SECONDS: Final = 30.0


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
    """A live bar for a terminal; log lines appear above it."""

    def __init__(self, tier: float) -> None:
        self._tier = tier
        self._progress: RichProgress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
        )
        self._progress.__enter__()
        self._task = self._progress.add_task("rows", total=None, detail="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.__exit__(kind, error, traceback)

    def update(self, stats: Stats) -> None:
        """Move the bar."""
        if self._progress is None or self._task is None:
            return
        self._progress.update(
            self._task, completed=stats.done, total=stats.total or None, detail=_detail(stats, self._tier)
        )


class LineProgress:
    """A log event at a bounded pace, for output that is kept in a file."""

    def __init__(self, tier: float, every: float = LINE_SECONDS) -> None:
        self._tier = tier
        self._every = every
        self._next = time.monotonic() + every

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def update(self, stats: Stats) -> None:
        """Log a line when the last one is old enough."""
        now = time.monotonic()
        if now < self._next:
            return
        from batchsearch.reporting.logs import logger

        self._next = now + self._every
        rate = stats.rate(now)
        row_rate = stats.row_rate(now)
        logger().info(
            "progress",
            done=stats.done,
            total=stats.total,
            ok=stats.ok,
            failed=stats.failed,
            calls_per_second=round(rate, 2),
            tier=self._tier,
            denied=stats.denied,
            in_flight=stats.in_flight,
            minutes_left=round((stats.total - stats.done) / row_rate / 60, 1) if row_rate else None,
        )


def _detail(stats: Stats, tier: float) -> str:
    parts = [f"{stats.rate(time.monotonic()):.1f}/{tier:g} calls/s", f"{stats.in_flight} in flight"]
    if stats.failed:
        parts.append(f"{stats.failed} failed")
    if stats.denied:
        parts.append(f"{stats.denied} denied")
    return ", ".join(parts)


def progress_for(tier: float, *, wanted: bool = True, as_events: bool = False) -> Progress:
    """The progress that suits where stderr goes; `as_events`: log events even on a terminal."""
    if not wanted:
        return NoProgress()
    return BarProgress(tier) if sys.stderr.isatty() and not as_events else LineProgress(tier)
