"""How far a long look at the rows has come: in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, Self, TextIO

from batchsearch.reporting.durations import duration
from batchsearch.reporting.logs import DUMB_TERMINALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LINE_SECONDS: Final = 15.0
_REDRAW_SECONDS: Final = 0.25
_CLEAR_LINE: Final = "\r\x1b[K"


class RowCounter:
    """Shows a count of rows; a context manager that leaves stderr on a clean line.

    Nothing is shown of what ends within the first interval. `update` is cheap enough for every row.

    Args:
        stream: Where to show it; stderr when absent.
        clock: Steady seconds.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._in_place = self._stream.isatty() and os.environ.get("TERM") not in DUMB_TERMINALS
        self._every = _REDRAW_SECONDS if self._in_place else LINE_SECONDS
        self._began = self._next = 0.0
        self._drawn = False
        self.begin()

    def begin(self) -> None:
        """Start another count."""
        self._began = self._clock()
        self._next = self._began + self._every

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._drawn:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
            self._drawn = False

    def update(self, what: str, done: int, total: int | None) -> None:
        """Say how many rows are done, when it is time to.

        Args:
            what: What happens to the rows, such as `looked at`.
            done: Rows so far.
            total: Rows in all; None when that is not known.
        """
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._every
        rate = done / (now - self._began)
        text = f"{what} {done:,} rows, {rate:,.0f} a second"
        if total is not None:
            left = (total - done) / rate if rate else 0.0
            text = f"{what} {done:,} of {total:,} rows, {rate:,.0f} a second, {duration(left)} left"
        if self._in_place:
            self._stream.write(_CLEAR_LINE + text)
            self._drawn = True
        else:
            self._stream.write(text + "\n")
        self._stream.flush()
