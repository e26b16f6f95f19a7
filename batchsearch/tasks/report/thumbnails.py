"""Small copies of images, bounded in number, size and bytes; images are hostile until they are copies.

An image goes the way that it goes before a call: read under its root, looked at by structure, decoded where
the job's settings say (rare formats in a process of their own), written anew as a plain JPEG. Nothing of the
original file reaches the page.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from batchsearch.config.sections.image_settings import StoresSettings
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.errors import ManifestError
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.prepare import Preparing
from batchsearch.images.regions import read_region
from batchsearch.images.rules import rules_for_copies
from batchsearch.images.workshop import open_workshop_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping

    from batchsearch.images.outcome import Prepared
    from batchsearch.images.rules import Rules
    from batchsearch.images.workshop import Workshop
    from batchsearch.manifest.rows import ImageReference
    from batchsearch.tasks.report.references import ImageKey, Source

QUALITY: Final = 74
MOST_BYTES: Final = 24 * 1024
"""Most bytes of one thumbnail."""
MOST_CLOSE_BYTES: Final = 64 * 1024
"""Most bytes of one that is kept for a close look."""
CLOSE_SIDE: Final = 480
"""Longest side of those, pixels."""
_MOST_REGIONS: Final = 8
_AT_ONCE: Final = 32
_TOLD_EVERY: Final = 32
_MEGABYTE: Final = 1_000_000
NOT_FETCHED: Final = "not fetched"
NOT_FOUND: Final = "not found"
OVER_BUDGET: Final = "over the page's bound"

Box = tuple[int, int, int, int]
"""Left, top, width and height, pixels of the thumbnail."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy.

    Attributes:
        data: A JPEG file.
        width: Its sides, pixels.
        height: Likewise.
        boxes: Subjects found in the image, the main one first.
    """

    data: bytes
    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """No copy could be made, and why: a code, or a few words."""

    why: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """An image that a thumbnail is wanted of; `reference` when it is known already, `close` for a larger."""

    source: Source
    key: ImageKey
    reference: ImageReference | None
    regions: tuple[str, ...]
    close: bool


class Thumbnails:
    """Collects wishes, most important first, and makes the thumbnails.

    Args:
        most: Most thumbnails.
        side: Their longest side, pixels.
        megabytes: Most megabytes of them all.
        fetch: Images are fetched from addresses too.
        close_ups: Of them, most that are kept larger, for a close look.
        workers: Where they are made; in this process when None.
    """

    def __init__(
        self,
        *,
        most: int,
        side: int,
        megabytes: int,
        fetch: bool = False,
        close_ups: int = 0,
        workers: WorkerSettings | None = None,
    ) -> None:
        self._workers = workers or WorkerSettings()
        self.close_ups = self.close_ups_left = close_ups
        self._most = most
        self._side = side
        self._bytes_left = megabytes * _MEGABYTE
        self._fetch = fetch
        self._wishes: list[_Wish] = []
        self._indices: dict[tuple[int, ImageKey], int] = {}
        self._made: list[Thumbnail | Missing] = []
        self._left_out: set[tuple[int, ImageKey]] = set()

    def want(
        self,
        source: Source | None,
        key: ImageKey,
        *,
        reference: ImageReference | None = None,
        regions: tuple[str, ...] = (),
        close: bool = False,
    ) -> int:
        """Ask for a thumbnail; each image gets one, however often it is asked for.

        Args:
            source: Where the image is looked up when `reference` is None; None: it cannot be shown.
            key: Names it there.
            reference: Where it is.
            regions: Subjects, `x1,x2,y1,y2` in the source's pixels.
            close: It is worth a close look, as far as there are any left.

        Returns:
            Its index among `made`; -1 for none, because the bound is reached or nobody knows where it is.
        """
        if source is None or self._most == 0:
            return -1
        known = self._indices.get((id(source), key))
        if known is not None:
            wish = self._wishes[known]
            if close and not wish.close and self._take_close_up():
                self._wishes[known] = replace(wish, close=True)
            return known
        if len(self._wishes) >= self._most:
            self._left_out.add((id(source), key))
            return -1
        self._indices[id(source), key] = len(self._wishes)
        close = close and self._take_close_up()
        self._wishes.append(_Wish(source, key, reference, regions[:_MOST_REGIONS], close))
        return len(self._wishes) - 1

    def _take_close_up(self) -> bool:
        taken = self.close_ups_left > 0
        self.close_ups_left -= taken
        return taken

    @property
    def left_out(self) -> int:
        """How many images have no thumbnail because a bound was reached."""
        return len(self._left_out) + sum(each == Missing(OVER_BUDGET) for each in self._made)

    @property
    def made(self) -> list[Thumbnail | Missing]:
        """What became of each wish, in their order; filled by `make`."""
        return self._made

    def missing(self) -> list[tuple[str, int]]:
        """Why images are not shown, and how many each, the most frequent first."""
        return Counter(each.why for each in self._made if isinstance(each, Missing)).most_common()

    def make(self, *, progress: Callable[[int, int], None] | None = None) -> None:
        """Make all thumbnails; what cannot be made is `Missing`, never an error.

        Args:
            progress: Told how many of how many are done.
        """
        self._made = [Missing(NOT_FOUND)] * len(self._wishes)
        if not self._wishes:
            return
        # In a thread of its own: a notebook or a scheduler may have an event loop in this one.
        with ThreadPoolExecutor(1, thread_name_prefix="thumbnails") as loop:
            loop.submit(lambda: asyncio.run(self._make(progress or (lambda _done, _total: None)))).result()

    async def _make(self, progress: Callable[[int, int], None]) -> None:
        threads = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="thumbnail")
        done = 0
        async with AsyncExitStack() as stack:
            stack.callback(threads.shutdown, cancel_futures=True)
            sources = {id(wish.source): wish.source for wish in self._wishes}
            for source in sources.values():
                wishes = {place: wish for place, wish in enumerate(self._wishes) if wish.source is source}
                settings = source.settings
                if not self._fetch:
                    settings = settings.model_copy(update={"stores": StoresSettings(), "headers": {}})
                workshop = await stack.enter_async_context(
                    open_workshop_at(self._workers, source.root, settings, executor=threads, patience=None)
                )
                close = rules_for_copies(
                    max(self._side, CLOSE_SIDE), settings, most_bytes=MOST_CLOSE_BYTES, quality=QUALITY
                )
                small = rules_for_copies(self._side, settings, most_bytes=MOST_BYTES, quality=QUALITY)
                one = _Maker(workshop, small, close, self._fetch)
                async with aclosing(one.made_in_turn(_located(wishes, self._made), wishes)) as found:
                    async for place, made in found:
                        self._made[place] = self._afforded(made)
                        one.goes_on = self._bytes_left > 0
                        done += 1
                        if done % _TOLD_EVERY == 0:
                            progress(done, len(self._wishes))
        progress(done, len(self._wishes))

    def _afforded(self, made: Thumbnail | Missing) -> Thumbnail | Missing:
        if isinstance(made, Missing):
            return made
        if len(made.data) > self._bytes_left:
            self._bytes_left = 0
            return Missing(OVER_BUDGET)
        self._bytes_left -= len(made.data)
        return made


def _located(
    wishes: dict[int, _Wish], made: list[Thumbnail | Missing]
) -> Iterator[tuple[int, ImageReference]]:
    """Where each image is: those known first, then those that their source finds."""
    unknown: dict[ImageKey, int] = {}
    source: Source | None = None
    for place, wish in wishes.items():
        if wish.reference is not None:
            yield place, wish.reference
        else:
            source = wish.source
            unknown[wish.key] = place
    if source is None:
        return
    try:
        for key, reference in source.stream(unknown):
            yield unknown[key], reference
    except ManifestError:
        for place in unknown.values():
            if made[place] == Missing(NOT_FOUND):
                made[place] = Missing("the manifest cannot be read any more")


@dataclass(slots=True)
class _Maker:
    """Makes the thumbnails of one source; what is asked for repeatedly, once.

    Attributes:
        workshop: Where images are worked on.
        rules: How small copies are made.
        close_rules: How larger ones are.
        fetch: Images on hosts are fetched.
        goes_on: Whether more are wanted.
    """

    workshop: Workshop
    rules: Rules
    close_rules: Rules
    fetch: bool
    goes_on: bool = True
    _shared: dict[tuple[str, bool], asyncio.Task[Prepared | Missing]] = field(default_factory=dict)

    async def made_in_turn(
        self, located: Iterable[tuple[int, ImageReference]], wishes: Mapping[int, _Wish]
    ) -> AsyncGenerator[tuple[int, Thumbnail | Missing], None]:
        """Thumbnails in the order in which images are located, some of them at work at once."""
        waiting: deque[tuple[int, asyncio.Task[Prepared | Missing] | None]] = deque()
        try:
            for place, reference in located:
                waiting.append((place, self._begun(reference, wishes[place]) if self.goes_on else None))
                if len(waiting) >= max(_AT_ONCE, self.workshop.size):
                    yield await self._next(waiting, wishes)
            while waiting:
                yield await self._next(waiting, wishes)
        finally:
            for _, task in waiting:
                if task is not None:
                    task.cancel()

    async def _next(
        self, waiting: deque[tuple[int, asyncio.Task[Prepared | Missing] | None]], wishes: Mapping[int, _Wish]
    ) -> tuple[int, Thumbnail | Missing]:
        place, task = waiting.popleft()
        if task is None or not self.goes_on:
            if task is not None:
                task.cancel()
            return place, Missing(OVER_BUDGET)
        prepared = await task
        if isinstance(prepared, Missing):
            return place, prepared
        sent, regions = prepared.sent, wishes[place].regions
        boxes = tuple(box for region in regions if (box := _box(region, prepared)) is not None)
        return place, Thumbnail(prepared.data, sent.width, sent.height, boxes)

    def _begun(self, reference: ImageReference, wish: _Wish) -> asyncio.Task[Prepared | Missing]:
        where = reference.path or reference.url
        if where is None:
            return asyncio.create_task(self._copied(reference, close=wish.close))
        task = self._shared.get((where, wish.close))
        if task is None:
            task = asyncio.create_task(self._copied(reference, close=wish.close))
            self._shared[where, wish.close] = task
        return task

    async def _copied(self, reference: ImageReference, *, close: bool) -> Prepared | Missing:
        """One small copy, or why there is none."""
        if not self.fetch and not self.workshop.is_local(reference):
            return Missing(NOT_FETCHED)
        prepared = await self.workshop.make(reference, Preparing(self.close_rules if close else self.rules))
        return Missing(prepared.code) if isinstance(prepared, Rejected | Unreachable) else prepared


def _box(region: str, prepared: Prepared) -> Box | None:
    """A region of the source in the thumbnail; None for what is no region of it."""
    try:
        across, down = read_region(prepared.geometry.to_sent(region))
    except ValueError:
        return None
    return across[0], down[0], across[1] - across[0], down[1] - down[0]
