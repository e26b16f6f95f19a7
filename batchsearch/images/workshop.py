"""The one way from a reference to what is made of its image: fetch, read, prepare.

Whatever comes over a network is fetched on the event loop; everything that takes the processor (reading a
file, checking, decoding, encoding) happens in one hop to the executor. How many images are in memory at once
is bounded. What runs, plans, checks, searches, fingerprints and thumbnails make of an image differs only in
the rules and in the task that they hand in.
"""

from __future__ import annotations

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from batchsearch.descriptors import PATIENCE
from batchsearch.images.decoding.isolate import Decoders
from batchsearch.images.fetching.fetch import Fetcher
from batchsearch.images.fetching.patience import fetch_patiently, made_patiently, read_here
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.outcome import Prepared
    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules
    from batchsearch.manifest.rows import ImageReference

FETCHES_BESIDE: Final = 16
"""Images that may be on their way beside those that the executor works on."""

Made = TypeVar("Made")


class Workshop:
    """Makes something of images; opened by `open_workshop`.

    Args:
        fetcher: Brings the bytes of images.
        repair: Makes an image fit that does not.
        executor: Where the processor's work is done.
        size: How many images it works on at once.
        patience: Seconds that a want of this machine (file descriptors, the images' folder) is waited out;
            None waits for nothing and asks once: such a want is how the image ends.
        jitter: Random numbers in [0, 1), for the waits between attempts to fetch.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        repair: Repairer,
        executor: Executor,
        *,
        size: int,
        patience: float | None,
        jitter: Callable[[], float],
    ) -> None:
        self.fetcher = fetcher
        self.size = size
        self._repair = repair
        self._executor = executor
        self._patience = patience
        self._jitter = jitter
        self._room = asyncio.Semaphore(size + FETCHES_BESIDE)

    @property
    def repair(self) -> Repairer:
        """Makes an image fit that does not; for the executor's threads."""
        return self._repair

    async def make(
        self, reference: ImageReference, task: Callable[[bytes], Made]
    ) -> Made | Rejected | Unreachable:
        """What a task makes of an image, or why its bytes cannot be had.

        Args:
            reference: Where the image is.
            task: Given the whole file, in the executor; may be called again.

        Raises:
            MachineError: This machine lacked for long what is needed to read any image.
        """
        async with self._room:
            found = await self.fetch(reference)
            if isinstance(found, Rejected | Unreachable):
                return found
            return await self.work(self._task, found, task)

    def _task(
        self, found: ImageReference | bytes, task: Callable[[bytes], Made]
    ) -> Made | Rejected | Unreachable:
        data = self.read(found)
        return task(data) if isinstance(data, bytes) else data

    async def fetch(self, reference: ImageReference) -> ImageReference | bytes | Rejected | Unreachable:
        """The bytes of an image on a network; any other as it is, for `read`."""
        if self.fetcher.is_local(reference):
            return reference
        if self._patience is None:
            return await self.fetcher.fetch(reference)
        return await fetch_patiently(self.fetcher, reference, self._jitter, patience=self._patience)

    async def work(self, function: Callable[..., Made], *args: object) -> Made:
        """What a function returns in the executor; called again after this machine lacked something."""
        loop = asyncio.get_running_loop()
        if self._patience is None:
            return await loop.run_in_executor(self._executor, function, *args)
        return await made_patiently(
            lambda: loop.run_in_executor(self._executor, function, *args), patience=self._patience
        )

    def read(self, found: ImageReference | bytes) -> bytes | Rejected | Unreachable:
        """The bytes of what `fetch` returned; for the executor."""
        if isinstance(found, bytes):
            return found
        return self.fetcher.read(found) if self._patience is None else read_here(self.fetcher, found)

    def prepare(self, data: bytes, rules: Rules) -> Prepared | Rejected:
        """An image made ready to be sent; for the executor."""
        return prepare(data, rules, repair=self._repair)


@asynccontextmanager
async def open_workshop(
    root: Path,
    settings: ImageSettings,
    *,
    executor: Executor | None = None,
    patience: float | None = PATIENCE,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[Workshop]:
    """A workshop and all that it needs, closed at the end.

    Args:
        root: The images' folder.
        settings: How images are read.
        executor: Where the processor's work is done; threads of its own when None.
        patience: As for `Workshop`.
        jitter: As for `Workshop`.

    Raises:
        MissingExtraError: The job reads from an object store whose package is not installed.
        ConfigError: A variable that `images.headers` names is missing.
    """
    size = settings.threads or os.cpu_count() or 1
    async with AsyncExitStack() as stack:
        if executor is None:
            executor = stack.enter_context(ThreadPoolExecutor(size, thread_name_prefix="prepare"))
        fetcher = await stack.enter_async_context(Fetcher(root, settings))
        # Closed first: what a thread waits for then ends.
        decoders = stack.enter_context(Decoders(settings))
        yield Workshop(fetcher, decoders.repair, executor, size=size, patience=patience, jitter=jitter)
