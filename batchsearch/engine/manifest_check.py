"""The check of a manifest beside the loop, which a signal ends soon however large the manifest is."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchsearch.manifest.source import Manifest


async def checked(manifest: Manifest) -> int:
    """The number of a manifest's rows, once all of them are known to be good.

    Raises:
        ManifestError: They are not.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(manifest.check, stop)
    except asyncio.CancelledError:
        # The process would wait for the thread to its end.
        stop.set()
        raise
