"""How far a check of pictures is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from batchsearch.reporting.logs import logger, on_live_terminal

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from batchsearch.reporting.check_page import CheckTally

LINE_SECONDS: Final = 30.0


class CheckProgress:
    """Shows a tally; a context manager. `update` is called often and costs little.

    Args:
        wanted: Whether anything is shown.
        every: Seconds between lines where stderr is no terminal.
    """

    def __init__(self, *, wanted: bool, every: float = LINE_SECONDS) -> None:
        self._wanted = wanted
        self._every = every
        self._next = time.monotonic() + every
        self._bar: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        if self._wanted and on_live_terminal():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("pictures checked"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(),
            )
            bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
            self._bar = bar, bar.add_task("", total=None)
            bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar[0].stop()

    def update(self, tally: CheckTally) -> None:
        """Shows these counts."""
        if self._bar is not None:
            bar, task = self._bar
            detail = f"{tally.unusable:,} rows unusable" if tally.unusable else ""
            bar.update(task, completed=tally.rows, total=tally.total or None, description=detail)
        elif self._wanted and time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every
            logger().info("check_progress", rows=tally.rows, total=tally.total, unusable=tally.unusable)
