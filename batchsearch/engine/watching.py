"""Who else wants to know of a running run: its heartbeat, and its metrics."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from batchsearch.engine.heartbeat import BEAT_SECONDS, Beat, Owner, write_beat
from batchsearch.errors import BatchsearchError, ExitCode
from batchsearch.metrics.publisher import Publisher
from batchsearch.redaction import redacted
from batchsearch.reporting.reading import reading_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from batchsearch.config.metrics_settings import MetricsSettings
    from batchsearch.engine.stats import Stats

_UPDATE_SECONDS: Final = 1.0
_DEFECT: Final = 1
"""What Python exits with when an exception of nobody's ends it."""


class Watch:
    """How a watched run ended; to be told by whoever knows."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.why = ""

    def ended(self, exit_code: int, why: str = "") -> None:
        """The run is over."""
        self.exit_code, self.why = exit_code, redacted(why)


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

    def beat() -> Beat:
        reading = reading_of(stats, time.monotonic(), datetime.now(UTC))
        return Beat(owner, reading, watch.exit_code is not None, watch.exit_code, watch.why)

    async def keep_up() -> None:
        next_beat = 0.0
        while True:
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + BEAT_SECONDS
                await asyncio.to_thread(write_beat, folder, beat())
            await publisher.update()
            await asyncio.sleep(_UPDATE_SECONDS)

    keeping = asyncio.create_task(keep_up())
    try:
        yield watch
    except BaseException as error:
        watch.ended(exit_code_of(error), str(error) if isinstance(error, BatchsearchError) else "")
        raise
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await publisher.close(_DEFECT if watch.exit_code is None else watch.exit_code)
        write_beat(folder, beat())


def exit_code_of(error: BaseException) -> int:
    """What the process exits with when this error ends a run."""
    if isinstance(error, BatchsearchError):
        return int(error.exit_code)
    return int(ExitCode.INCOMPLETE) if isinstance(error, asyncio.CancelledError) else _DEFECT
