"""A workshop whose work is done by the workers of a Dask cluster; this process only hands out and takes in.

What a lost worker had is done again by another one: Dask sees to that, three times. A bundle that loses
more workers is handed out again in single images; one that still loses them, again and again, ends as
unreachable: it may be what kills them. When the scheduler is lost, nothing can be made any more, and the run
ends, resumable.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from distributed import CancelledError as LostError
from distributed import KilledWorker as KilledWorkersError
from distributed.comm import CommClosedError

from batchsearch.errors import ConfigError, MachineError
from batchsearch.images.cluster.bundles import MOST_INLINE, Flow
from batchsearch.images.cluster.cluster_connection import connected
from batchsearch.images.cluster.worker_side import (
    Bundle,
    Later,
    Order,
    Unfit,
    make_bundle,
    names_seen,
    weight_of,
)
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.cluster.cluster_connection import Cluster
    from batchsearch.images.workshop import ImageTask, LocalWorkshop
    from batchsearch.manifest.rows import ImageReference

_CLOSING_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 5.0
"""How often it is looked how many workers there are."""
KILLED: Final = "Transport.ImageWorkersLost"
MOST_LOST: Final = 3
"""How often an image that is handed out alone may use up its workers (four each time): who is only there when
others' images or the machine end a worker is not charged with it."""

Made = TypeVar("Made")
Kept = TypeVar("Kept")


@dataclass(eq=False, slots=True)
class _Wish:
    """An image that is to be made, and who waits for it."""

    reference: ImageReference
    task: ImageTask[Any]
    answer: asyncio.Future[Any]
    alone: bool = False
    lost: int = 0


class RemoteWorkshop:
    """Makes something of images on a cluster; opened by `open_remote_workshop`.

    Args:
        cluster: Where.
        here: Does what has to be done in this process.
        order: For whom the workers work.
        threads: How many threads each of them has.
    """

    def __init__(self, cluster: Cluster, here: LocalWorkshop, order: Order, threads: dict[str, int]) -> None:
        self._cluster = cluster
        self._here = here
        self._order = order
        self._flow = Flow(sum(threads.values()))
        self._workers = len(threads)
        self._waiting: deque[_Wish] = deque()
        self._wake = asyncio.Event()
        self._out: set[asyncio.Task[None]] = set()
        self._futures: set[Any] = set()
        self._lost: MachineError | None = None

    @property
    def size(self) -> int:
        """How many images keep the workers busy."""
        return self._flow.size

    @property
    def most_asked(self) -> int:
        """How many images may be asked of it at once: all that there are, for bundles of many."""
        return sys.maxsize

    def is_local(self, reference: ImageReference) -> bool:
        """Whether an image is had without asking a host or a store."""
        return self._here.is_local(reference)

    async def make(self, reference: ImageReference, task: ImageTask[Made]) -> Made | Rejected | Unreachable:
        """What a task makes of an image, on a worker; see `LocalWorkshop.make`."""
        if self._lost is not None:
            raise self._lost
        wish = _Wish(reference, task, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        self._wake.set()
        made: Made | Rejected | Unreachable = await wish.answer
        return made

    async def make_all(
        self,
        references: Sequence[ImageReference],
        task: ImageTask[Made],
        then: Callable[[list[Made | Rejected | Unreachable]], Kept],
        *,
        before: Callable[[], object] | None = None,
    ) -> Kept:
        """What is made of a few images, brought into one thing here; see `LocalWorkshop.make_all`."""
        if before is not None:
            await self.work(before)
        found = await asyncio.gather(*(self.make(reference, task) for reference in references))
        ended = next(
            (at for at, made in enumerate(found) if isinstance(made, Rejected | Unreachable)), len(found)
        )
        return await self.work(then, found[: ended + 1])

    async def work(self, function: Callable[..., Made], *args: object) -> Made:
        """What a function returns in a thread of this process."""
        return await self._here.work(function, *args)

    async def hand_out(self) -> None:
        """Send what waits, whenever there is room for it; until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while (bundle := self._next()) is not None:
                self._flow.sent(len(bundle))
                made = asyncio.create_task(self._made(bundle))
                self._out.add(made)
                made.add_done_callback(self._out.discard)

    async def watch(self) -> None:
        """See how many workers there are, and whether there is a scheduler; until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                threads = await asyncio.to_thread(self._cluster.threads)
            except (OSError, TimeoutError, CommClosedError) as error:
                self._end(self._lost_for(str(error)))
                return
            if len(threads) != self._workers:
                self._workers = len(threads)
                logger().info("cluster_workers", workers=len(threads), threads=sum(threads.values()))
            self._flow.threads = sum(threads.values())
            self._wake.set()

    async def close(self) -> None:
        """Wait for nothing that is out: it is called off."""
        if not self._out:
            return
        client = self._cluster.client
        with suppress(Exception):  # a scheduler that is gone has nothing to be told
            await asyncio.to_thread(client.cancel, list(self._futures), force=True)
        _, left = await asyncio.wait(self._out, timeout=_CLOSING_SECONDS)
        for each in left:
            each.cancel()

    def _next(self) -> list[_Wish] | None:
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        wished = self._flow.next_bundle(len(self._waiting))
        if not wished:
            return None
        if self._waiting[0].alone:
            return [self._waiting.popleft()]
        bundle: list[_Wish] = []
        inline = 0
        while self._waiting and len(bundle) < wished and inline < MOST_INLINE and not self._waiting[0].alone:
            wish = self._waiting.popleft()
            if not wish.answer.done():
                bundle.append(wish)
                inline += len(wish.reference.data or wish.reference.path or b"")
        return bundle or self._next()

    async def _made(self, wishes: list[_Wish]) -> None:
        """Have a bundle made, and tell those who wait."""
        bundle = Bundle(tuple((each.reference, each.task) for each in wishes), alone=wishes[0].alone)
        made: list[Any] = []
        try:
            found = await self._brought(bundle)
            if isinstance(found, _WorkersKilled):
                self._killed(wishes)
            elif isinstance(found, _SchedulerLost):
                self._end(self._lost_for(found.why), wishes)
            elif isinstance(found, Unfit):
                where = self._cluster.address
                self._end(MachineError(f"a worker of {where} cannot work: {found.message}"), wishes)
            else:
                made = self._answered(wishes, found)
        except Exception as error:  # noqa: BLE001 - raised where the image is waited for
            _refuse(wishes, error)
        finally:
            self._flow.back(len(wishes), sum(map(weight_of, made)), len(made))
            self._wake.set()

    def _answered(self, wishes: list[_Wish], found: list[Any]) -> list[Any]:
        """Tell those who wait; what was made of it all."""
        made = []
        for wish, each in zip(wishes, found, strict=True):
            if isinstance(each, Later):
                self._again(wish)
            else:
                made.append(each)
                _answer(wish, each)
        return made

    def _killed(self, wishes: list[_Wish]) -> None:
        """A bundle that several workers were lost with: in single images, and then no more."""
        for wish in wishes:
            wish.lost += wish.alone
            if wish.lost >= MOST_LOST:
                _answer(wish, Unreachable(KILLED, _KILLS, transient=True))
            else:
                self._again(wish)

    def _again(self, wish: _Wish) -> None:
        """Hand an image out once more, in a bundle of its own."""
        wish.alone = True
        self._waiting.append(wish)

    async def _brought(self, bundle: Bundle) -> list[Any] | Unfit | _WorkersKilled | _SchedulerLost:
        """What a worker makes of a bundle; its memory is given back at once."""
        client = self._cluster.client
        # Dask's pages show tasks by the word before the dash.
        key = f"{type(bundle.images[0][1]).__name__.lower()}-{uuid.uuid4().hex}"

        async def bring() -> list[Any] | Unfit | _WorkersKilled | _SchedulerLost:
            future = client.submit(make_bundle, self._order, bundle, key=key, pure=False)
            self._futures.add(future)
            try:
                found: list[Any] | Unfit = await client.gather(future, asynchronous=True, direct=True)
            except KilledWorkersError:
                return _WorkersKilled()
            except (LostError, CommClosedError, OSError) as error:
                return _SchedulerLost((str(error).splitlines() or [type(error).__name__])[0][:200])
            finally:
                if not future.done():
                    with suppress(Exception):  # a scheduler that is gone has nothing to be told
                        await client.cancel([future], asynchronous=True, force=True)
                self._futures.discard(future)
                future.release()
            return found

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(bring(), client.loop.asyncio_loop))

    def _lost_for(self, why: str) -> MachineError:
        return MachineError(
            f"the Dask scheduler at {self._cluster.address} was lost ({why}); run the same command again "
            "when it is back"
        )

    def _end(self, error: MachineError, wishes: Sequence[_Wish] = ()) -> None:
        """Nothing can be made any more: tell everybody who waits, and who will."""
        if self._lost is None:
            self._lost = error
        _refuse([*wishes, *self._waiting], self._lost)
        self._waiting.clear()


@dataclass(frozen=True, slots=True)
class _WorkersKilled:
    """Several workers were lost, each with this bundle."""


@dataclass(frozen=True, slots=True)
class _SchedulerLost:
    """There is nobody left to ask, and why."""

    why: str


def _refuse(wishes: Sequence[_Wish], error: Exception) -> None:
    for wish in wishes:
        if not wish.answer.done():
            wish.answer.set_exception(error)


_KILLS: Final = (
    "the workers that made this image ready were lost, each time: it may need more memory than they have"
)


def _answer(wish: _Wish, made: object) -> None:
    if not wish.answer.done():
        wish.answer.set_result(made)


@asynccontextmanager
async def open_remote_workshop(
    address: str, here: LocalWorkshop, root: Path, settings: ImageSettings, *, patience: float | None
) -> AsyncIterator[RemoteWorkshop]:
    """A workshop on the cluster at an address.

    Args:
        address: As `workers.dask` takes it.
        here: Does what has to be done in this process.
        root: The images' folder, which the workers have to see as well where images are files.
        settings: How images are read.
        patience: As for `LocalWorkshop`.

    Raises:
        MissingExtraError: Dask is not installed.
        ConfigError: The cluster cannot be used.
    """
    joining = connected(address)
    cluster = await asyncio.to_thread(joining.__enter__)
    try:
        threads = await asyncio.to_thread(cluster.threads)
        if not threads:
            raise ConfigError(f"workers.dask: the cluster at {cluster.address} has no workers")
        told = f"{root}\n{patience}\n{settings.model_dump()}"
        order = Order(
            hashlib.sha256(told.encode(errors="surrogatepass")).hexdigest()[:32],
            str(root),
            settings,
            patience,
            await asyncio.to_thread(names_seen, root),
        )
        workshop = RemoteWorkshop(cluster, here, order, threads)
        serving = [asyncio.create_task(workshop.hand_out()), asyncio.create_task(workshop.watch())]
        try:
            yield workshop
        finally:
            for each in serving:
                each.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
            with suppress(Exception):
                await workshop.close()
    finally:
        await asyncio.to_thread(joining.__exit__, None, None, None)
