"""How a run is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from batchsearch.errors import ExitCode
from batchsearch.interrupts import listen_to

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


_SAME_WISH_SECONDS: Final = 1.0

T = TypeVar("T")


class StopSignals:
    """SIGTERM, SIGINT, SIGHUP: the first stops the run in good order, a second ends the process at once.

    Attributes:
        running: Stops in good order what runs, given why; None while nothing does that has to be.
    """

    def __init__(self) -> None:
        self.running: Callable[[str], object] | None = None
        self._main = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        self._first_at: float | None = None
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Listen for them, in the main thread; until `remove`."""
        self._before = listen_to(self._received)

    def remove(self) -> None:
        """Let the signals do what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _received(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._first_at is not None:
            # `timeout` and process managers signal a process and its group: that is one wish, told twice.
            if now - self._first_at > _SAME_WISH_SECONDS:
                os._exit(int(ExitCode.INCOMPLETE))
            return
        self._first_at = now
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
            self._loop.call_soon_threadsafe(self.stop, signal.Signals(number).name)

    def stop(self, why: str) -> None:
        """Stop what runs; in the loop's own thread."""
        if self.running is not None:
            self.running(why)
        elif self._main is not None:
            self._main.cancel()


def run_stoppable(main: Callable[[StopSignals], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine that signals stop in good order; only for the main thread.

    Args:
        main: Is given what it may tell which runner to stop.

    Raises:
        asyncio.CancelledError: It was stopped while no runner could be told.
    """
    installed: list[StopSignals] = []

    async def listening() -> T:
        signals = StopSignals()
        signals.install()
        installed.append(signals)
        return await main(signals)

    try:
        return asyncio.run(listening())
    finally:
        for signals in installed:
            signals.remove()
