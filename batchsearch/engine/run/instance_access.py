"""Where an instance is, who calls it, and at which rate: found before anything is spent."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.run import embedded
from batchsearch.engine.run.direct_calls import DirectClient, calls_at_once
from batchsearch.errors import ConfigError
from batchsearch.pacing.pacer import Pacer
from batchsearch.pacing.shared import SharedPacer
from batchsearch.pacing.shared_file import FileBoard, file_for
from batchsearch.pacing.unpaced import Unpaced
from batchsearch.proxies import proxies_of
from batchsearch.service.client import Client
from batchsearch.service.credentials import default_chain
from batchsearch.service.endpoint import Endpoint, parse_endpoint
from batchsearch.service.facts import endpoint_of
from batchsearch.service.http_exchange import Timeouts
from batchsearch.service.upload import OPEN_PLATFORM, Uploader
from batchsearch.steps import step
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    import aiohttp

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.emulator.server import Emulator
    from batchsearch.service.credentials import CredentialsProvider

REDIS_VARIABLE: Final = "BATCHSEARCH_REDIS_URL"


class Services:
    """Where a job's calls go and who makes them; found before anything is spent.

    Args:
        settings: The job.
        stack: Takes down what is started here.
    """

    def __init__(self, settings: JobSettings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._chain: CredentialsProvider | None = None
        self._emulator: Emulator | None = None

    @property
    def emulator(self) -> Emulator | None:
        """The embedded instances that were started here; None where the job has none."""
        return self._emulator

    async def of(self, instance: InstanceSettings) -> tuple[Endpoint, CredentialsProvider]:
        """Endpoint and credentials of an instance.

        Raises:
            ConfigError: There are no credentials, or the endpoint is unusable.
        """
        if instance.endpoint == EMULATOR:
            emulator = await self._embedded()
            await embedded.fill(self._settings, instance, emulator, logger())
            logger().info("instance_ready", endpoint=emulator.endpoint, instance=instance.name)
            return parse_endpoint(emulator.endpoint), embedded.credentials_of(emulator)
        if self._chain is None:
            self._chain = default_chain()
            await self._chain.get()
        host = instance.endpoint or endpoint_of(instance.region or "", vpc=instance.vpc)
        return parse_endpoint(host), self._chain

    def direct_to(self, instance: InstanceSettings) -> DirectClient | None:
        """Who calls an instance of this process without HTTP; None where HTTP is the way.

        Args:
            instance: One that `of` was asked for.
        """
        if self._emulator is None or not embedded.is_called_directly(self._settings, instance):
            return None
        threads = self._stack.enter_context(ThreadPoolExecutor(calls_at_once(), thread_name_prefix="direct"))
        return DirectClient(self._emulator.direct(), threads)

    async def _embedded(self) -> Emulator:
        if self._emulator is None:
            step("starting the embedded instance")
            self._emulator = await asyncio.to_thread(embedded.start, self._settings)
            self._stack.push_async_callback(asyncio.to_thread, self._emulator.stop)
        return self._emulator


def client_of(
    settings: JobSettings,
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    credentials: CredentialsProvider,
    *,
    heard: Callable[[int, bytes], None] | None = None,
) -> Client:
    """Who calls an instance over HTTP, as the job's `calls` section says.

    Args:
        settings: The job.
        session: Its connections.
        endpoint: Where the instance is.
        credentials: Who asks.
        heard: As for `Client`.

    Raises:
        ConfigError: A proxy is no usable address.
    """
    calls = settings.calls
    return Client(
        session,
        endpoint,
        credentials,
        timeouts=Timeouts(connect=calls.connect_timeout, total=calls.timeout),
        signature=calls.signing,
        proxies=proxies_of(calls.proxy, os.environ, where="calls.proxy"),
        heard=heard,
    )


def uploader_of(  # noqa: PLR0917 - an instance and who calls it
    settings: JobSettings,
    instance: InstanceSettings,
    endpoint: Endpoint,
    session: aiohttp.ClientSession,
    credentials: CredentialsProvider,
    client: Client,
) -> Uploader | None:
    """What puts images where the service can fetch them; None where they travel in the request.

    Raises:
        ConfigError: A proxy is no usable address.
    """
    calls = settings.calls
    if calls.upload != "url":
        return None
    return Uploader(
        session,
        instance.region or "",
        credentials,
        clock=client.service_time,
        platform=_open_platform(settings, instance, endpoint),
        timeouts=Timeouts(connect=calls.connect_timeout, total=calls.timeout),
        proxies=proxies_of(calls.proxy, os.environ, where="calls.proxy"),
    )


def _open_platform(settings: JobSettings, instance: InstanceSettings, endpoint: Endpoint) -> Endpoint:
    """Where permissions to upload are given; the embedded instance gives its own."""
    if settings.calls.open_platform is not None:
        return parse_endpoint(settings.calls.open_platform)
    return endpoint if instance.endpoint == EMULATOR else OPEN_PLATFORM


def pacer_for(
    instance: InstanceSettings,
    budget: str,
    authority: str,
    *,
    embedded: bool,
    environ: Mapping[str, str] = os.environ,
) -> Pacer | SharedPacer | Unpaced:
    """The pacer that a job's settings ask for; close it when the run is over.

    Args:
        instance: The job's instance.
        budget: Which of its separate rates the calls draw on (`service.operations.Budget`).
        authority: Host and port that are called: what is shared is the rate of an instance there.
        embedded: The instance is this process's own, so nobody can share it.
        environ: Where the Redis server's address may be, with its password.

    Raises:
        ConfigError: Redis is asked for, but not where.
        MissingExtraError: Redis is asked for without its package.
        SlotBoardError: The host's folder for shared rates cannot be used.
    """
    if instance.unlimited:
        return Unpaced()
    shared = instance.shared
    if shared == "auto":
        # A rate that nobody can buy is a local matter: a test, a benchmark, an emulator.
        shared = "none" if embedded or instance.custom_qps else "host"
    qps = instance.qps_of(budget)
    if shared == "none":
        return Pacer(qps, share=instance.share)
    what = (authority, instance.name, budget)
    if shared == "host":
        return SharedPacer(qps, FileBoard(file_for(*what)), share=instance.share)
    url = environ.get(REDIS_VARIABLE) or instance.redis
    if not url:
        raise ConfigError(f"instance.shared: redis needs a server: set `instance.redis` or {REDIS_VARIABLE}")
    from batchsearch.pacing.shared_redis import RedisBoard

    return SharedPacer(qps, RedisBoard(url, *what), share=instance.share)
