"""What runs on a worker: a workshop like the one of a single process, kept open between bundles.

Nothing in here raises for an image: Dask writes the arguments of a call that failed into its logs, and
addresses may be secret.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter, OrderedDict
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch._version import __version__
from batchsearch.errors import BatchsearchError
from batchsearch.images.cluster.bundles import MOST_ANSWERED
from batchsearch.images.workshop import open_workshop
from batchsearch.kept_memory import keep_memory
from batchsearch.own_errors import told
from batchsearch.redaction import redacted

if TYPE_CHECKING:
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.workshop import ImageTask, LocalWorkshop
    from batchsearch.manifest.rows import ImageReference

TOGETHER_SECONDS: Final = 10.0
"""Images of a bundle that take longer are left for a bundle of their own: the others do not wait for them."""
_MOST_OPEN: Final = 4
"""Workshops that a worker keeps open: jobs that it worked for last."""


@dataclass(frozen=True, slots=True)
class Order:
    """For whom a worker works: what it opens a workshop with. No secret is in it.

    Attributes:
        name: Names it: equal orders have equal names.
        root: The images' folder, as the one who orders sees it.
        settings: How images are read; credentials and secret headers come from the worker's environment.
        patience: As for `LocalWorkshop`.
        seen: Some names in `root`, by which a worker knows that it sees the same folder.
        version: Of batchsearch.
    """

    name: str
    root: str = field(repr=False)
    settings: ImageSettings = field(repr=False)
    patience: float | None = None
    seen: tuple[str, ...] = field(default=(), repr=False)
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Bundle:
    """Images and what is to be made of each. Its text holds none of them.

    Attributes:
        images: Where each is, and its task.
        alone: Waited for however long it takes.
    """

    images: tuple[tuple[ImageReference, ImageTask[Any]], ...] = field(repr=False)
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """An image that was not made in this bundle: it took too long, or what was made is heavy enough."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a worker cannot work for an order at all."""

    message: str


def make_bundle(order: Order, bundle: Bundle) -> list[Any] | Unfit:
    """What is made of a bundle's images, in order; on a worker.

    Returns:
        For each what its task returns, `Rejected`, `Unreachable` or `Later`; or why nothing can be made here.
    """
    if order.version != __version__:
        return Unfit(f"it has batchsearch {__version__}, the run has {order.version}: install the same")
    try:
        found = _bench().make(order, bundle)
    except BatchsearchError as error:
        return Unfit(redacted(str(error)))
    except Exception as error:  # noqa: BLE001 - see above: it must not reach Dask's log
        return Unfit(redacted(told(error)))
    if isinstance(found, list):
        _count(found)
    return found


class _Bench:
    """A process's event loop for images, in a thread of its own, and the workshops that are open on it."""

    def __init__(self) -> None:
        # Dask starts workers with an allocator that gives all back at once: decoding takes a third longer.
        keep_memory(_KEPT)
        self._loop = asyncio.new_event_loop()
        self._open: OrderedDict[str, asyncio.Task[_Opened]] = OrderedDict()
        threading.Thread(target=self._loop.run_forever, name="images", daemon=True).start()

    def make(self, order: Order, bundle: Bundle) -> list[Any] | Unfit:
        return asyncio.run_coroutine_threadsafe(self._make(order, bundle), self._loop).result()

    async def _make(self, order: Order, bundle: Bundle) -> list[Any] | Unfit:
        opened = await self._workshop(order)
        if not opened.sees_root and any(_is_file(opened.workshop, each) for each, _ in bundle.images):
            return Unfit(
                f"it does not see the images' folder {order.root} as the run does: mount it there, or give "
                "images by their addresses"
            )
        answered = _Answered()
        making = [
            asyncio.create_task(answered.take(opened.workshop.make(reference, task)))
            for reference, task in bundle.images
        ]
        if not bundle.alone:
            await asyncio.wait(making, timeout=TOGETHER_SECONDS)
            for each in making:
                each.cancel()
        found: list[Any] = list(await asyncio.gather(*making, return_exceptions=True))
        broken = next((each for each in found if isinstance(each, Exception)), None)
        if broken is not None:
            raise broken
        return [Later() if isinstance(each, BaseException) else each for each in found]

    async def _workshop(self, order: Order) -> _Opened:
        opening = self._open.get(order.name)
        if opening is None or (opening.done() and opening.exception() is not None):
            opening = self._open[order.name] = asyncio.create_task(_Opened.of(order))
        self._open.move_to_end(order.name)
        while len(self._open) > _MOST_OPEN:
            _, oldest = self._open.popitem(last=False)
            with suppress(Exception):
                await (await oldest).stack.aclose()
        return await asyncio.shield(opening)


@dataclass(slots=True)
class _Answered:
    """Keeps the answer of one bundle within `MOST_ANSWERED` bytes."""

    weight: int = 0

    async def take(self, making: Any) -> Any:
        made = await making
        self.weight += weight_of(made)
        return Later() if self.weight > MOST_ANSWERED and self.weight > weight_of(made) else made


@dataclass(frozen=True, slots=True)
class _Opened:
    """A workshop that is open for an order."""

    workshop: LocalWorkshop
    stack: AsyncExitStack
    sees_root: bool

    @classmethod
    async def of(cls, order: Order) -> _Opened:
        settings = order.settings.model_copy(update={"threads": threads_here()})
        async with AsyncExitStack() as stack:
            workshop = await stack.enter_async_context(
                open_workshop(Path(order.root), settings, patience=order.patience)
            )
            sees = await asyncio.to_thread(_sees, Path(order.root), order.seen)
            return cls(workshop, stack.pop_all(), sees)
        raise AssertionError("unreachable")


def threads_here() -> int:
    """Threads that this worker is given; one core's worth where this is no worker."""
    from distributed import get_worker

    try:
        return int(get_worker().state.nthreads)
    except ValueError:
        return 1


def weight_of(made: object) -> int:
    """About how many bytes a thing that was made takes on its way."""
    parts = (getattr(made, name, None) for name in ("data", "features"))
    return _LEAST_WEIGHT + sum(len(part) for part in parts if isinstance(part, bytes))


def names_seen(root: Path) -> tuple[str, ...]:
    """Some names in a folder; none where it cannot be read."""
    try:
        with os.scandir(root) as entries:
            return tuple(entry.name for entry, _ in zip(entries, range(_NAMES), strict=False))
    except OSError:
        return ()


def _sees(root: Path, names: tuple[str, ...]) -> bool:
    return all(os.path.lexists(root / name) for name in names)


def _is_file(workshop: LocalWorkshop, reference: ImageReference) -> bool:
    return reference.path is not None and workshop.is_local(reference)


_LEAST_WEIGHT: Final = 512
_NAMES: Final = 3
_KEPT: Final = 64 * 1024 * 1024
"""Bytes of free memory that a worker keeps between images."""

_gate = threading.Lock()
_benches: dict[int, _Bench] = {}
_counts: Counter[str] = Counter()


def _bench() -> _Bench:
    # By process: a worker that was forked has no thread of its parent's.
    with _gate:
        pid = os.getpid()
        if pid not in _benches:
            _benches.clear()
            _benches[pid] = _Bench()
        return _benches[pid]


def _count(found: list[Any]) -> None:
    """Count images and codes; Dask's page of workers shows them beside its own numbers."""
    from distributed import get_worker

    with _gate:
        for made in found:
            if isinstance(made, Later):
                continue
            _counts["images"] += 1
            code = getattr(made, "code", None)
            if isinstance(code, str):
                _counts[code] += 1
    with suppress(ValueError):  # this is no worker
        metrics = get_worker().metrics
        for name in tuple(_counts):
            if name not in metrics:
                metrics[name] = _Shown(name)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A number of this process, as Dask asks for it."""

    name: str

    async def __call__(self, _worker: object) -> int:
        return _counts[self.name]
