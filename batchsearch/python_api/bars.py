"""The bar of a run in a notebook, and which bar suits a program.

In a notebook it is plain HTML that its output shows: no widgets are needed, and nothing is printed.
"""

from __future__ import annotations

import html
import importlib
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.telemetry.progress import NoProgress, progress_for
from batchsearch.telemetry.reading import reading_of
from batchsearch.telemetry.status_words import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from batchsearch.telemetry.progress import Progress
    from batchsearch.telemetry.stats import Stats

_EVERY: Final = 0.5


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel; IPython on a terminal is none."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return hasattr(shell, "kernel")


def bar_for(*, wanted: bool | None) -> Progress:
    """The bar that suits where a program runs.

    Args:
        wanted: True for one anywhere, False for none, None for one in a notebook.
    """
    if wanted is False or (wanted is None and not in_notebook()):
        return NoProgress()
    return NotebookProgress(_display) if in_notebook() else progress_for()


def _notebook() -> Any:
    """What shows things in a notebook: a part of the kernel, and no dependency."""
    return importlib.import_module("IPython.display")


def show_html(page: str) -> None:
    """Show HTML in a notebook's output."""
    shown = _notebook()
    shown.display(shown.HTML(page))


def _display(page: str) -> Callable[[str], object]:
    """Show HTML in a notebook's output; what shows another in its place."""
    shown = _notebook()
    handle = shown.display(shown.HTML(page), display_id=True)
    return lambda other: handle.update(shown.HTML(other))


class NotebookProgress:
    """A bar of plain HTML, renewed in its place about twice a second; when it is over it goes away.

    Args:
        display: Shows a page; what shows another in its place.
        clock: The steady clock of the counters.
    """

    def __init__(
        self,
        display: Callable[[str], Callable[[str], object]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._display = display
        self._clock = clock
        self._show: Callable[[str], object] | None = None
        self._depth = 0
        self._next = 0.0
        self._shown = ""

    def __enter__(self) -> Self:
        self._depth += 1
        if self._show is None:
            self._show = self._display(_page("starting", 0, None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._show is not None:
            self._show("")
            self._show = None

    def update(self, stats: Stats) -> None:
        """Show the counters, when it is time to."""
        if self._is_time("rows"):
            moment = datetime.now(UTC)
            reading = reading_of(stats, self._clock(), moment)
            self._renew(_page("rows", reading.done, reading.total, lines_of(reading, moment)))

    def step(self, what: str, done: int, total: int | None) -> None:
        """Show a step, when it is time to, and at once where it is another one."""
        if self._is_time(what):
            self._renew(_page(what, done, total))

    def _is_time(self, what: str) -> bool:
        now = self._clock()
        if what == self._shown and now < self._next:
            return False
        self._shown, self._next = what, now + _EVERY
        return True

    def _renew(self, page: str) -> None:
        if self._show is not None:
            self._show(page)


def _page(what: str, done: int, total: int | None, lines: list[str] | None = None) -> str:
    size = f' value="{done}" max="{total}"' if total else ""
    count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
    below = "".join(f"<br><small>{html.escape(line)}</small>" for line in lines or ())
    return f"<div>{html.escape(what)} <progress{size}></progress> {count}{below}</div>"
