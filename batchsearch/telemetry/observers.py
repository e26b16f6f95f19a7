"""Who else wants to know of a running run: its heartbeat, and its metrics."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.errors import BatchsearchError, ExitCode
from batchsearch.redaction import redacted
from batchsearch.telemetry.heartbeat import BEAT_SECONDS, Beat, Owner, write_beat
from batchsearch.telemetry.metrics.publisher import Publisher
from batchsearch.telemetry.reading import reading_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from batchsearch.config.sections.metrics_settings import MetricsSettings
    from batchsearch.telemetry.stats import Stats

_UPDATE_SECONDS: Final = 1.0


class Watch:
    """How a watched run ended; to be told by whoever knows."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.why = ""

    def ended(self, exit_code: int, why: str = "") -> None:
        """The run is over."""
        self.exit_code, self.why = exit_code, redacted(why)


class _Beats:
    """Writes beats one at a time; one that comes late, after a newer one, is not written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._newest = 0
        self._writing = threading.Lock()

    async def write(self, beat: Beat) -> None:
        await asyncio.to_thread(self._write, next(self._numbers), beat)

    def _write(self, number: int, beat: Beat) -> None:
        with self._writing:
            if number > self._newest:
                self._newest = number
                write_beat(self._folder, beat)


@asynccontextmanager
async def watching(
    folder: Path, owner: Owner, stats: Stats, metrics: MetricsSettings
) -> AsyncIterator[Watch]:
    """Keeps heartbeat and metrics of a run up to date, from here to its end.

    Args:
        folder: The ledger's.
        owner: Whose run it is.
        stats: Its counters.
        metrics: Where its metrics go.

    Raises:
        ConfigError: The metrics cannot go where they are to go.
    """
    publisher = Publisher(metrics, stats, instance=owner.instance, operation=owner.operation)
    watch = Watch()
    beats = _Beats(folder)

    async def beat() -> None:
        # Counters are read here, in the thread that writes them; only the file is written in another.
        reading = reading_of(stats, time.monotonic(), datetime.now(UTC))
        ended = watch.exit_code is not None
        await beats.write(Beat(owner, reading, ended, watch.exit_code, watch.why))

    async def keep_beating() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await beat()

    async def keep_publishing() -> None:
        while True:
            await publisher.update()
            await asyncio.sleep(_UPDATE_SECONDS)

    await beat()
    keeping = [asyncio.create_task(keep_beating()), asyncio.create_task(keep_publishing())]
    try:
        yield watch
    except BaseException as error:
        watch.ended(exit_code_of(error), str(error) if isinstance(error, BatchsearchError) else "")
        raise
    finally:
        for task in keeping:
            task.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        if watch.exit_code is None:
            watch.ended(int(ExitCode.DEFECT))
        await publisher.close(watch.exit_code or 0)
        await beat()


def exit_code_of(error: BaseException) -> int:
    """What the process exits with when this error ends a run."""
    if isinstance(error, BatchsearchError):
        return int(error.exit_code)
    return int(ExitCode.INCOMPLETE if isinstance(error, asyncio.CancelledError) else ExitCode.DEFECT)
