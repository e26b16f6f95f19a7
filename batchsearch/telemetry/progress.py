"""How far a command is, shown in one way or several: a bar on a terminal, lines in a log, a notebook's page.

What is shown, and how often, is decided here; a `Surface` only draws it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, Self

from batchsearch.steps import heard_by
from batchsearch.telemetry.logs import logger, on_live_terminal
from batchsearch.telemetry.reading import reading_of
from batchsearch.telemetry.status_words import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from batchsearch.telemetry.reading import Reading
    from batchsearch.telemetry.stats import Stats

LINE_SECONDS: Final = 30.0
ROWS: Final = "rows"
"""What is shown while calls are made."""

_STARTING: Final = "starting"
_MOST_CODES: Final = 5


@dataclass(frozen=True, slots=True)
class View:
    """What is shown at one moment.

    Attributes:
        what: What happens: `rows`, or a step beside the calls.
        done: How much of it is done.
        total: How much there is; None where nobody knows.
        reading: The run's counters; None for a step.
        lines: What they say, in words.
    """

    what: str
    done: int = 0
    total: int | None = None
    reading: Reading | None = None
    lines: tuple[str, ...] = ()


class Surface(Protocol):
    """Draws how far a command is.

    Attributes:
        every: Seconds between two views of one thing; 0 where each is shown.
        at_once: Whether the first view of a thing is shown, or only what lasts longer than `every`.
    """

    every: float
    at_once: bool

    def begin(self) -> None:
        """There is something to show from now on."""

    def show(self, view: View) -> None:
        """Show this; called from any thread."""

    def end(self) -> None:
        """There is nothing more to show; what follows starts on a clean line."""


class _Pace:
    """When a surface is to show a thing again."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._what = ""
        self._next = 0.0

    def is_due(self, what: str, now: float) -> bool:
        """Whether it is time; if so, the next time is later."""
        is_new = what != self._what
        if not is_new and now < self._next:
            return False
        self._what, self._next = what, now + self._surface.every
        return self._surface.at_once or not is_new


class Progress:
    """Shows how far a command is: its steps, and a run's counters; both calls are cheap.

    A command enters it once for all that it does. A run enters it again for the time of its calls, in which
    the counters are shown; before and after, the steps.

    Args:
        surfaces: Where it is shown; nowhere when there are none.
        clock: The steady clock of the counters.
        wall: Wall clock, UTC.
    """

    def __init__(
        self,
        *surfaces: Surface,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.surfaces = surfaces
        self._clock = clock
        self._wall = wall
        self._depth = 0
        self._of_rows = [_Pace(surface) for surface in surfaces]
        self._of_steps = [_Pace(surface) for surface in surfaces]
        self._last = View(_STARTING)

    def __enter__(self) -> Self:
        """Start showing; within that, show counters."""
        self._depth += 1
        self._of_rows = [_Pace(surface) for surface in self.surfaces]
        if self._depth == 1:
            for surface in self.surfaces:
                surface.begin()
            self._show_step(View(_STARTING))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop showing; within that, show steps again."""
        self._depth -= 1
        if self._depth == 0:
            for surface in self.surfaces:
                surface.end()
        else:
            for surface in self.surfaces:
                if surface.at_once:
                    surface.show(View(self._last.what, self._last.done, self._last.total))

    def update(self, stats: Stats) -> None:
        """Show these counters."""
        now = self._clock()
        due = self._due(self._of_rows, ROWS, now)
        if due:
            moment = self._wall()
            reading = reading_of(stats, now, moment)
            lines = tuple(lines_of(reading, moment))
            self._show(View(ROWS, reading.done, reading.total or None, reading, lines), due)

    def step(self, what: str, done: int, total: int | None) -> None:
        """Show a step beside the calls; see `batchsearch.steps`. Called from any thread."""
        self._show_step(View(what, done, total or None))

    def _show_step(self, view: View) -> None:
        self._show(view, self._due(self._of_steps, view.what, self._clock()))

    def _due(self, paces: list[_Pace], what: str, now: float) -> list[Surface]:
        if not self._depth:
            return []
        return [surface for surface, pace in zip(self.surfaces, paces, strict=True) if pace.is_due(what, now)]

    def _show(self, view: View, surfaces: list[Surface]) -> None:
        self._last = view
        for surface in surfaces:
            surface.show(view)


class EventLines:
    """A log event at a bounded pace, for output that is kept in a file.

    Args:
        every: Seconds between two of them.
    """

    at_once = False

    def __init__(self, every: float = LINE_SECONDS) -> None:
        self.every = every

    def begin(self) -> None:
        """Nothing has lasted long yet."""

    def show(self, view: View) -> None:
        """Log a line."""
        if view.reading is None:
            logger().info("step_progress", step=view.what, done=view.done, total=view.total)
            return
        shown, silent = view.reading.as_dict(), view.reading.since_success(view.reading.moment)
        logger().info(
            "progress",
            **{name: shown[name] for name in _IN_EVENTS},
            codes=dict(list(shown["codes"].items())[:_MOST_CODES]),
            seconds_since_success=None if silent is None else round(silent, 1),
        )

    def end(self) -> None:
        """Lines stay."""


_IN_EVENTS: Final = (
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
    return Progress(*surfaces_for(as_events=as_events)) if wanted else Progress()


def surfaces_for(*, as_events: bool = False) -> list[Surface]:
    """Where progress is shown: on a terminal a bar, elsewhere lines."""
    if as_events or not on_live_terminal():
        return [EventLines()]
    from batchsearch.telemetry.terminal_bar import TerminalBar

    return [TerminalBar()]
