"""How a run is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from batchsearch.engine.runner import Runner


class StopSignals:
    """SIGTERM and SIGINT: the first stops the run in good order, a second one ends the process at once."""

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self._main = asyncio.current_task()
        self._count = 0

    def install(self) -> None:
        """Listen for them in the running event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received, number)

    def _received(self, number: int) -> None:
        self._count += 1
        if self._count > 1:
            os._exit(int(ExitCode.INCOMPLETE))
        if self.runner is not None:
            self.runner.stop(signal.Signals(number).name)
        elif self._main is not None:
            self._main.cancel()
