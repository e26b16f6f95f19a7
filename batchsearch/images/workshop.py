"""The one way from a reference to what is made of its image: fetch, read, prepare.

What runs, plans, checks, fingerprints and thumbnails make of an image differs only in the task that they
hand in. Where the work is done is the workshop's affair: in threads of this process (`LocalWorkshop`), or by
the workers of a cluster (`cluster.remote_workshop`), each of which has a local one of its own.

In a local workshop whatever comes over a network is fetched on the event loop; everything that takes the
processor (reading a file, checking, decoding, encoding) happens in one hop to the executor. A small file
that came over a network and needs no decoder is done with on the event loop, where a task knows how: the hop
takes as long as the work. How many images are in memory at once is bounded.
"""

from __future__ import annotations

import asyncio
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar

from batchsearch.descriptors import PATIENCE
from batchsearch.images.decoding.isolate import Decoders
from batchsearch.images.fetching.fetch import Fetcher
from batchsearch.images.fetching.patience import fetch_patiently, made_patiently, read_here
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.config.sections.worker_settings import WorkerSettings
    from batchsearch.images.cluster.remote_workshop import RemoteWorkshop
    from batchsearch.images.outcome import Prepared
    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules
    from batchsearch.manifest.rows import ImageReference

    Workshop: TypeAlias = "LocalWorkshop | RemoteWorkshop"
    """Makes something of images, somewhere."""

FETCHES_BESIDE: Final = 16
"""Images that may be on their way beside those that the executor works on."""
AT_ONCE_BYTES: Final = 256 * 1024
"""Files up to this size may be looked through on the event loop."""

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)
Kept = TypeVar("Kept")


class ImageTask(Protocol[Made_co]):
    """What is made of an image. It may be carried to another process: its values are plain ones."""

    def __call__(self, data: bytes, repair: Repairer, /) -> Made_co:
        """What is made of the whole file; may be called again.

        Args:
            data: The file.
            repair: Makes an image fit that does not.
        """


class QuickTask(ImageTask[Made_co], Protocol[Made_co]):
    """A task that does without a thread where there is little to be done."""

    def at_once(self, data: bytes, /) -> Made_co | None:
        """What is made of a small file where that takes no longer than reading it; None where it does.

        Args:
            data: The file.
        """


class LocalWorkshop:
    """Makes something of images in this process; opened by `open_workshop`.

    Args:
        fetcher: Brings the bytes of images.
        repair: Makes an image fit that does not.
        executor: Where the processor's work is done.
        size: How many images it works on at once; more may be asked of it to some use (`most_asked`).
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
        self.most_asked = size + FETCHES_BESIDE
        self._room = asyncio.Semaphore(self.most_asked)

    @property
    def repair(self) -> Repairer:
        """Makes an image fit that does not; for the executor's threads."""
        return self._repair

    def is_local(self, reference: ImageReference) -> bool:
        """Whether an image is had without asking a host or a store."""
        return self.fetcher.is_local(reference)

    async def make(self, reference: ImageReference, task: ImageTask[Made]) -> Made | Rejected | Unreachable:
        """What a task makes of an image, in the executor, or why its bytes cannot be had.

        Raises:
            MachineError: This machine or the cluster lacked for long what is needed to read any image.
        """
        async with self._room:
            found = await self.fetch(reference)
            if isinstance(found, Rejected | Unreachable):
                return found
            if isinstance(found, bytes) and len(found) <= AT_ONCE_BYTES:
                made = _at_once(task, found)
                if made is not None:
                    return made
            return await self.work(self._made, found, task)

    async def make_all(
        self,
        references: Sequence[ImageReference],
        task: ImageTask[Made],
        then: Callable[[list[Made | Rejected | Unreachable]], Kept],
        *,
        before: Callable[[], object] | None = None,
    ) -> Kept:
        """What is made of a few images that belong together, all in one hop to the executor.

        Args:
            references: Where they are.
            task: As for `make`.
            then: Given what was made, in order, up to the first whose bytes cannot be had; in a thread of
                this process.
            before: Called there first, before any file is read.

        Raises:
            MachineError: As for `make`.
        """
        found: list[ImageReference | bytes | Rejected | Unreachable] = []
        for reference in references:
            found.append(await self.fetch(reference))
            if isinstance(found[-1], Rejected | Unreachable):
                break
        return await self.work(self._made_all, found, task, then, before)

    def _made(
        self, found: ImageReference | bytes | Rejected | Unreachable, task: ImageTask[Made]
    ) -> Made | Rejected | Unreachable:
        data = found if isinstance(found, Rejected | Unreachable) else self.read(found)
        return task(data, self._repair) if isinstance(data, bytes) else data

    def _made_all(
        self,
        found: list[ImageReference | bytes | Rejected | Unreachable],
        task: ImageTask[Made],
        then: Callable[[list[Made | Rejected | Unreachable]], Kept],
        before: Callable[[], object] | None,
    ) -> Kept:
        if before is not None:
            before()
        made: list[Made | Rejected | Unreachable] = []
        for each in found:
            made.append(self._made(each, task))
            if isinstance(made[-1], Rejected | Unreachable):
                break
        return then(made)

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


def _at_once(task: ImageTask[Made], data: bytes) -> Made | None:
    """What a task makes of a small file without a thread; None where it cannot."""
    quick: Callable[[bytes], Made | None] | None = getattr(task, "at_once", None)
    return None if quick is None else quick(data)


@asynccontextmanager
async def open_workshop(
    root: Path,
    settings: ImageSettings,
    *,
    executor: Executor | None = None,
    patience: float | None = PATIENCE,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[LocalWorkshop]:
    """A workshop in this process and all that it needs, closed at the end.

    Args:
        root: The images' folder.
        settings: How images are read.
        executor: Where the processor's work is done; threads of its own when None.
        patience: As for `LocalWorkshop`.
        jitter: As for `LocalWorkshop`.

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
        yield LocalWorkshop(fetcher, decoders.repair, executor, size=size, patience=patience, jitter=jitter)


@contextmanager
def workers_held(workers: WorkerSettings) -> Iterator[None]:
    """Keep the connection to a job's cluster, if it names one, between workshops. Blocks until it is there.

    Raises:
        MissingExtraError: Dask is not installed.
        ConfigError: The cluster cannot be used.
    """
    if workers.dask is None:
        yield
        return
    from batchsearch.images.cluster.cluster_connection import connected

    with connected(workers.dask):
        yield


@asynccontextmanager
async def open_workshop_at(
    workers: WorkerSettings,
    root: Path,
    settings: ImageSettings,
    *,
    executor: Executor | None = None,
    patience: float | None = PATIENCE,
    jitter: Callable[[], float] = random.random,
) -> AsyncIterator[Workshop]:
    """A workshop where a job says that images are made ready: here, or on a cluster.

    Args:
        workers: Where.
        root: As for `open_workshop`, and so are the others.
        settings: How images are read.
        executor: Where this process's part of the work is done.
        patience: As for `LocalWorkshop`.
        jitter: As for `LocalWorkshop`.

    Raises:
        MissingExtraError: As `open_workshop`, or Dask is not installed.
        ConfigError: As `open_workshop`, or the cluster cannot be used.
    """
    async with open_workshop(root, settings, executor=executor, patience=patience, jitter=jitter) as here:
        if workers.dask is None:
            yield here
            return
        # Dask is imported by those who ask for it.
        from batchsearch.images.cluster.remote_workshop import open_remote_workshop

        async with open_remote_workshop(workers.dask, here, root, settings, patience=patience) as there:
            yield there
