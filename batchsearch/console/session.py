"""What one console holds: the job's instances and who calls them, its images, its answers, its counts.

One call is under way at a time, through the pacers that runs share, so that a night on the same machine is
never made to exceed its rate. What is not ready yet says so; pages are there from the first moment.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.console.asked import Asked
from batchsearch.console.console_options import with_copies
from batchsearch.console.desk import CONNECTIONS, desk_of
from batchsearch.console.history import History
from batchsearch.console.image_shelf import THUMBNAIL_SIDE, ImageShelf
from batchsearch.console.known_images import KnownImages, ShownImages, known_images
from batchsearch.console.meter import CallLimitError, Meter, MeteredPacer
from batchsearch.console.output_look import LOOK_SECONDS, looked_at
from batchsearch.console.wording import say
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.job.request_facts import rules_of
from batchsearch.engine.retry.asking import asked as answered
from batchsearch.engine.retry.asking import rules_for_one
from batchsearch.engine.run.places import image_root
from batchsearch.errors import BatchsearchError
from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.images.workshop import open_workshop
from batchsearch.redaction import redacted
from batchsearch.service.credentials import Credentials, StaticCredentials
from batchsearch.service.endpoint import parse_endpoint
from batchsearch.service.facts import endpoint_of
from batchsearch.service.form import build_call
from batchsearch.service.parameters import ParameterProblem
from batchsearch.steps import heard_by
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Self

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.console.console_options import ConsoleOptions
    from batchsearch.console.desk import Desk
    from batchsearch.console.image_shelf import ShelvedImage
    from batchsearch.console.output_look import Look
    from batchsearch.emulator.search.catalogue import Catalogue
    from batchsearch.emulator.server import Emulator
    from batchsearch.images.rules import Rules
    from batchsearch.service.operations import Operation

_FIRST_PAGE_SECONDS: Final = 2.0


class NotAskedError(Exception):
    """The instance is not called; the message says why."""


def _what_calls() -> tuple[ModuleType, ModuleType]:
    from batchsearch.engine.run import assembly
    from batchsearch.service import http_exchange

    return assembly, http_exchange


class _Steps:
    """Hears what is done before the instance is ready, and tells the session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def step(self, what: str, done: int, total: int | None) -> None:
        """A step is so far."""
        self._session.step = what if total is None else say("session.step", what=what, done=done, total=total)


class Session:
    """Everything behind the pages; opened by `async with`.

    Attributes:
        settings: The job.
        options: How the console is used.
        meter: Counts its calls.
        history: Its answers.
        known: Where the images of items are.
        categories: The categories of the last answer that had any, by instance.
        current: Name of the instance that pages are about; None for the job's first one.
        thumbnails: Small copies of items' images that were shown; None where there is none to be had.
        step: What is going on before the instance is ready; empty afterwards.
        looked_at: Somebody has been sent a page.
        opened: The instance is ready, or in trouble, and the job's table was read.
        trouble: Why the instance cannot be called; empty when it can.

    Args:
        settings: The job.
        options: How the console is used.
        emulator: An embedded instance that runs already; else the job's own is started.
    """

    def __init__(
        self, settings: JobSettings, options: ConsoleOptions, *, emulator: Emulator | None = None
    ) -> None:
        self.settings = settings
        self.options = options
        self.meter = Meter(options.max_calls)
        self.history = History(options.history)
        self.known = KnownImages()
        self.categories: dict[str, tuple[tuple[int, str], ...]] = {}
        self.current: str | None = None
        self.thumbnails: dict[tuple[str, str], bytes | None] = {}
        self.step = say("session.starting")
        self.trouble = ""
        self.emulator = emulator
        self._running = emulator
        self._desks: dict[str, Desk] = {}
        self._stack = AsyncExitStack()
        self._asking: asyncio.Task[Any] | None = None
        self._opening: asyncio.Task[None] | None = None
        self.looked_at = asyncio.Event()
        self.opened = asyncio.Event()
        self._shelf: ImageShelf | None = None
        self._known_shelf: ImageShelf | None = None
        self._look: Look | None = None

    async def __aenter__(self) -> Self:
        workshop = await self._stack.enter_async_context(
            open_workshop(image_root(self.settings), self.settings.images, patience=None)
        )
        self._shelf = ImageShelf(workshop, self.settings.images)
        self._opening = asyncio.create_task(self._open())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._opening, self._asking):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._stack.aclose()

    async def _open(self) -> None:
        # The first page first: what an instance needs to start would hold it up.
        with suppress(TimeoutError):
            await asyncio.wait_for(self.looked_at.wait(), _FIRST_PAGE_SECONDS)
        try:
            with heard_by(_Steps(self)):
                await self._connect()
        except BatchsearchError as error:
            self.trouble = redacted(str(error))
        except Exception as error:  # noqa: BLE001 - the pages say what went wrong, whatever it was
            self.trouble = redacted(say("session.not_opened", error=f"{type(error).__name__}: {error}"))
        self.step = ""
        try:
            await self._read_table()
        finally:
            self.opened.set()

    async def _read_table(self) -> None:
        try:
            known = await asyncio.to_thread(known_images, self.settings)
        except Exception as error:  # noqa: BLE001 - pages go without images of items
            logger().warning("console_table_unread", error=redacted(f"{type(error).__name__}: {error}"))
            return
        if known.root not in {None, image_root(self.settings).absolute()}:
            # A catalogue's images may be in a folder of their own, out of which nothing else is read.
            workshop = open_workshop(known.root, self.settings.images.of_folder(), patience=None)
            self._known_shelf = ImageShelf(
                await self._stack.enter_async_context(workshop), self.settings.images
            )
        self.known = known

    async def _connect(self) -> None:
        # What calls is imported beside the pages, once somebody has seen the first one.
        assembly, http_exchange = await asyncio.to_thread(_what_calls)
        services = assembly.Services(with_copies(self.settings), self._stack)
        for worker in workers_of(self.settings):
            instance = worker.instance
            if self._running is not None:
                endpoint = parse_endpoint(self._running.endpoint)
                key = Credentials(
                    self._running.access_key_id, self._running.access_key_secret, self._running.security_token
                )
                credentials: Any = StaticCredentials(key)
            else:
                endpoint, credentials = await services.of(instance)
                self.emulator = services.emulator
            embedded = self.is_embedded(instance)
            session = await self._stack.enter_async_context(
                http_exchange.new_session(connections=CONNECTIONS)
            )
            desk = desk_of(self.settings, instance, session, endpoint, credentials, embedded=embedded)
            self._stack.push_async_callback(desk.close)
            self._desks[instance.name] = desk

    # -- what there is ---------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the instance can be called."""
        return bool(self._desks) and not self.step and not self.trouble

    @property
    def instances(self) -> tuple[InstanceSettings, ...]:
        """The job's instances."""
        return tuple(worker.instance for worker in workers_of(self.settings))

    def instance(self, name: str | None) -> InstanceSettings:
        """The instance of a name; the first one for none, and for one that the job does not have."""
        return next((each for each in self.instances if each.name == name), self.instances[0])

    def is_embedded(self, instance: InstanceSettings) -> bool:
        """Whether an instance is this process's own."""
        return instance.endpoint == EMULATOR or self._running is not None

    def address(self, instance: InstanceSettings) -> str:
        """`https://host` that an instance is called at."""
        if self.is_embedded(instance) and self.emulator is not None:
            return self.emulator.endpoint
        host = instance.endpoint if instance.endpoint not in {None, EMULATOR} else None
        return host or endpoint_of(instance.region or "", vpc=instance.vpc)

    def may_change(self, instance: InstanceSettings) -> bool:
        """Whether something at the instance may be changed from here."""
        if self.options.read_only:
            return False
        return self.is_embedded(instance) or self.options.allow_changes

    def catalogue(self, instance: InstanceSettings) -> Catalogue | None:
        """The items of an embedded instance; None of a purchased one."""
        if self.emulator is None or not self.is_embedded(instance):
            return None
        return self.emulator.catalogue(instance.name)

    def rules(self, instance: InstanceSettings, operation: Operation) -> Rules:
        """What an image must be that goes to an instance."""
        return rules_of(self.settings, operation, instance)

    def rate(self, instance: InstanceSettings, budget: str = "query") -> float:
        """Calls per second; infinite without a limit."""
        return math.inf if instance.unlimited else instance.qps_of(budget) * instance.share

    @property
    def shelf(self) -> ImageShelf:
        """The images that somebody has put on the page."""
        if self._shelf is None:
            raise RuntimeError("the session is not open: use `async with`")
        return self._shelf

    async def item_image(
        self, product_id: str, pic_name: str, rules: Rules
    ) -> ShelvedImage | Rejected | Unreachable | None:
        """The image of an item, put on the page; None where nobody knows where it is."""
        place = self.known.places.get((product_id, pic_name))
        if place is None:
            return None
        shelf = self._known_shelf or self.shelf
        found = await shelf.put_fetched(place, pic_name or product_id, rules)
        if shelf is self.shelf or isinstance(found, Rejected | Unreachable):
            return found
        return await self.shelf.put(found.data, found.name, rules)

    def shown(self, instance: InstanceSettings) -> ShownImages:
        """Which items of an instance can be shown."""
        return ShownImages(self.known, self.catalogue(instance))

    async def item_copy(self, product_id: str, pic_name: str) -> bytes | None:
        """A small JPEG of an item's image; None where a table of the job leads to none on this machine."""
        place = self.known.places.get((product_id, pic_name))
        shelf = self._known_shelf or self.shelf
        # What is elsewhere stays there: looking at a page fetches nothing.
        if place is None or not shelf.is_local(place):
            return None
        made = await shelf.copy(place, THUMBNAIL_SIDE)
        return None if made is None else made.data

    def look(self) -> Look:
        """How the job's own output stands, no older than a few seconds."""
        if self._look is None or time.monotonic() - self._look.at > LOOK_SECONDS:
            self._look = looked_at(Path(self.settings.output.dir))
        return self._look

    # -- asking ----------------------------------------------------------------------------------------

    async def ask(
        self,
        operation: Operation,
        instance: InstanceSettings,
        values: Mapping[str, Any],
        entered: Mapping[str, str],
        images: Sequence[ShelvedImage] = (),
    ) -> Asked:
        """Make a call, repeated by the job's own rules, and keep what came.

        Args:
            operation: The operation.
            instance: Which instance.
            values: Its parameters, checked.
            entered: The same as they were entered.
            images: Its images, all of them ready to be sent.

        Raises:
            NotAskedError: A call is under way, this one was given up before it left, or the instance cannot
                be called.
            CallLimitError: The session has made as many calls as it may.
            ConfigError: There are no credentials to sign with.
        """
        if self._asking is not None and not self._asking.done():
            raise NotAskedError(say("script.busy"))
        desk = self._desks.get(instance.name)
        if desk is None or not self.is_ready:
            raise NotAskedError(self.trouble or say("session.not_ready", step=self.step))
        if self.meter.is_full:
            raise CallLimitError(say("session.calls_made", limit=self.meter.limit))
        task = asyncio.create_task(self._ask(operation, desk, values, entered, images))
        self._asking = task
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise NotAskedError(say("search.given_up")) from None
            raise

    def cancel(self) -> bool:
        """Give up the call that waits for its slot; whether there was one. What has left is waited for."""
        if self._asking is None or self._asking.done() or self.meter.state != "waiting":
            return False
        return self._asking.cancel()

    async def _ask(
        self,
        operation: Operation,
        desk: Desk,
        values: Mapping[str, Any],
        entered: Mapping[str, str],
        images: Sequence[ShelvedImage],
    ) -> Asked:
        began = datetime.now(UTC)
        loop = asyncio.get_running_loop()
        started = loop.time()
        prepared = [image.verdict for image in images if isinstance(image.verdict, Prepared)]
        call = build_call(operation.name, desk.instance.name, values, [image.data for image in prepared])
        if isinstance(call, ParameterProblem):
            raise NotAskedError(str(call))
        desk.heard.clear()
        pacer = MeteredPacer(desk.pacer(operation.budget), self.meter)
        try:
            answer, calls = await answered(
                desk.client,
                call,
                pacer,
                rules_for_one(self.settings),
            )
        finally:
            self.meter.enter("idle")
        status, body = desk.heard[-1] if desk.heard else (answer.http_status, b"")
        told = Asked(
            id=f"{began:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}",
            at=began,
            instance=desk.instance.name,
            operation=operation.name,
            values=dict(values),
            entered=dict(entered),
            images=tuple(image.as_asked() for image in images),
            calls=calls,
            latency=round(answer.latency, 3),
            waited=round(loop.time() - started, 3),
            status=status,
            code=answer.code,
            origin=answer.origin,
            message=answer.message,
            request_id=answer.request_id,
            body=redacted(body.decode("utf-8", "replace")),
        )
        copied = await self.shelf.copy_of(prepared[0].data, THUMBNAIL_SIDE) if prepared else None
        thumbnail = None if copied is None else copied.data
        self.history.add(told, thumbnail)
        # The disk may take its time; pages go on.
        await asyncio.to_thread(self.history.write, told, thumbnail)
        return told
