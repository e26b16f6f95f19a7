"""What a worker on this machine does first: it leaves Ctrl-C to the process that started it."""

from __future__ import annotations

import signal


async def dask_setup(_worker: object) -> None:
    """Called by Dask in each worker process, before it works.

    A terminal sends Ctrl-C to all processes that were started from it. The process of the run stops in good
    order, and then its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
