"""How a run is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from batchsearch.engine.lanes import Lanes


_SAME_WISH_SECONDS: Final = 1.0


class StopSignals:
    """SIGTERM and SIGINT: the first stops the run in good order, a second one ends the process at once."""

    def __init__(self) -> None:
        self.running: Lanes | None = None
        self._main = asyncio.current_task()
        self._first_at: float | None = None

    def install(self) -> None:
        """Listen for them in the running event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: int) -> None:
        now = time.monotonic()
        if self._first_at is not None:
            # `timeout` and process managers signal a process and its group: that is one wish, told twice.
            if now - self._first_at > _SAME_WISH_SECONDS:
                os._exit(int(ExitCode.INCOMPLETE))
            return
        self._first_at = now
        if self.running is not None:
            self.running.stop(signal.Signals(number).name)
        elif self._main is not None:
            self._main.cancel()
