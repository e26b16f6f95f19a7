"""The way to an embedded instance without the detour over HTTP: calls are handed over, in threads.

No more of them than the cores can work on are under way, so that none waits for others long enough to be
given up, and none is ever repeated.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.service.client import Answer
from batchsearch.service.parse import parse_content

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from batchsearch.emulator.direct import Direct
    from batchsearch.service.form import Call
    from batchsearch.service.parse import Parsed

_A_CORE: Final = 2
"""Calls to a core: while one is worked on, the other's outcome is written to disk."""


def cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def calls_at_once() -> int:
    """Calls to an embedded instance that may be under way."""
    return _A_CORE * cores()


class DirectClient:
    """Takes the place of a `Client` for an instance of this process.

    Attributes:
        address: What stands for host and port, where there are none.

    Args:
        instance: Answers.
        threads: Where it does.
        clock: Wall clock, UTC.
        steady: Steady seconds.
    """

    def __init__(
        self,
        instance: Direct,
        threads: Executor,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        steady: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.address = "the embedded instance"
        self._instance = instance
        self._threads = threads
        self._clock = clock
        self._steady = steady

    async def send(self, call: Call) -> Answer:
        """Have the call answered, once."""
        sent_at, began = self._clock(), self._steady()
        status, parsed = await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, call)
        return Answer(
            http_status=status,
            code=parsed.code,
            origin=parsed.origin,
            message=parsed.message,
            request_id=parsed.request_id,
            retry_after=None,
            response=parsed.response,
            sent_at=sent_at,
            latency=self._steady() - began,
            field_problems=parsed.field_problems,
            denial=parsed.denial,
        )

    async def refresh_credentials(self) -> None:
        """There are none."""

    def _answer(self, call: Call) -> tuple[int, Parsed]:
        handed = self._instance.answer(call.operation, call.query, call.body, dict(call.handed))
        return handed.status, parse_content(call.operation, handed.status, handed.content)
