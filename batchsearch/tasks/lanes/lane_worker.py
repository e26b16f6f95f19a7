"""A lane on a worker: the ordinary run, in a thread of the worker's process, asked after by its client.

It stops in good order when its client says so, when nobody has asked after it for a while (the client is
gone, or the cluster's scheduler), and when the worker is closing. Killed with its worker it is what any
killed run is: resumable.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.job.stop_signals import StopSignals
from batchsearch.engine.run.job import run_job
from batchsearch.errors import BatchsearchError
from batchsearch.tasks.lanes.lane_order import LaneEnd, LaneReading
from batchsearch.telemetry.logs import configure
from batchsearch.telemetry.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.tasks.lanes.lane_order import LaneOrder
    from batchsearch.telemetry.stats import Stats
    from batchsearch.telemetry.summary import Summary

_LOOK_SECONDS: Final = 0.25
_CLOSING: Final = frozenset({"closing", "closing_gracefully", "closed", "failed", "stopping"})
"""States of a Dask worker that takes no more work, or loses what it has."""


class _Lane(Progress):
    """A lane that this process works on.

    Args:
        order: What it is.
        worker: Dask's worker that it is on.
    """

    def __init__(self, order: LaneOrder, worker: Any) -> None:
        super().__init__()
        self._order = order
        self._worker = worker
        self._heard = time.monotonic()
        self._stats: Stats | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals: StopSignals | None = None
        self._moves = False

    # -- shown to the run as its progress

    def update(self, stats: Stats) -> None:
        """Keep the counters, which the client asks for."""
        self._stats = stats

    # -- from other threads

    def heard(self) -> LaneReading | None:
        """Somebody asks after it; None while it has not begun to call."""
        self._heard = time.monotonic()
        return None if self._stats is None else LaneReading.of(self._stats, time.monotonic())

    def stop(self, why: str) -> None:
        """Stop it in good order."""
        loop, signals = self._loop, self._signals
        if loop is not None and signals is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(signals.stop, why)

    # -- in its own thread

    async def run(self) -> LaneEnd:
        """Work on it to its end."""
        self._loop = asyncio.get_running_loop()
        working = asyncio.create_task(self._work())
        watching = asyncio.create_task(self._watch())
        try:
            summary = await working
        except asyncio.CancelledError:
            return LaneEnd(self._order.token, moves=self._moves)
        except BatchsearchError as error:
            return LaneEnd(self._order.token, error=(int(error.exit_code), str(error)), moves=self._moves)
        finally:
            watching.cancel()
        return LaneEnd(self._order.token, summary.as_dict(), moves=self._moves)

    async def _work(self) -> Summary:
        order = self._order
        self._signals = StopSignals()
        options = replace(order.options, progress=self, signals=self._signals, tells=False)
        return await run_job(order.settings(), options)

    async def _watch(self) -> None:
        """Stop it when it has nobody to work for, or nowhere to work."""
        while True:
            why = self._why_to_stop()
            if why and self._signals is not None:
                self._moves = True
                self._signals.stop(why)
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _why_to_stop(self) -> str:
        silent = time.monotonic() - self._heard
        if silent > self._order.silence:
            return f"nobody has asked after it for {silent:.0f} s: its client is gone, or the scheduler"
        state = getattr(self._worker.status, "name", str(self._worker.status))
        return "the Dask worker that it is on is closing" if state in _CLOSING else ""


_here: dict[str, _Lane] = {}
"""The lanes of this process by the tokens of their orders."""

_configuring: Final = threading.Lock()


def work(order: LaneOrder) -> LaneEnd:
    """Work on a lane to its end; a Dask task, which takes up no thread of its worker."""
    from distributed import get_worker, secede

    worker = get_worker()
    secede()  # type: ignore[no-untyped-call, unused-ignore]
    with _configuring:
        configure("json", order.log_level)
    lane = _here[order.token] = _Lane(order, worker)
    try:
        return asyncio.run(lane.run())
    finally:
        _here.pop(order.token, None)


def ask(tokens: Sequence[str]) -> dict[str, LaneReading | None]:
    """The readings of those of these lanes that are in this process; lanes that are asked after go on."""
    lanes = {token: _here.get(token) for token in tokens}
    return {token: lane.heard() for token, lane in lanes.items() if lane is not None}


def stop(tokens: Sequence[str], why: str) -> None:
    """Stop those of these lanes that are in this process, in good order."""
    for token in tokens:
        lane = _here.get(token)
        if lane is not None:
            lane.stop(why)


def this_machine() -> str:
    """What tells this machine from another one."""
    import socket
    from pathlib import Path

    boot = Path("/proc/sys/kernel/random/boot_id")
    known = boot.read_text(encoding="ascii").strip() if boot.exists() else ""
    return f"{socket.gethostname()} {known}"
