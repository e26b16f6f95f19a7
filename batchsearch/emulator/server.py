"""An emulator as an object: `with Emulator() as emulator:` and it answers at `emulator.endpoint`.

It runs in a thread of its own with an event loop of its own, so that a program, or a test, of any style can
use it beside its own loop.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from aiohttp import web

from batchsearch.emulator.caller import Caller
from batchsearch.emulator.direct import Direct
from batchsearch.emulator.faults import FaultPlan, Faults
from batchsearch.emulator.http.app import Front
from batchsearch.emulator.http.connections import Server, tls_context
from batchsearch.emulator.http.gateway import Gateway
from batchsearch.emulator.http.request_log import RequestLog
from batchsearch.emulator.http.upload_place import place_of
from batchsearch.emulator.instance_options import EmulatorOptions, random_key
from batchsearch.interrupts import listen_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from typing import Self

    from batchsearch.emulator.http.signatures import AccessKey
    from batchsearch.emulator.search.catalogue import Catalogue

MAX_HEAD: Final = 16_384
"""Longest request line, and longest header, bytes."""
_SHUTDOWN_SECONDS: Final = 2.0
_START_SECONDS: Final = 60.0

# aiohttp writes parts of malformed requests into its log; they could hold anything. The client gets its 400.
_HTTP_LOG: Final = logging.Logger("batchsearch.emulator.http")  # noqa: LOG001 - apart from every other logger
_HTTP_LOG.addHandler(logging.NullHandler())


class Emulator:
    """An Image Search service on this machine.

    Attributes:
        options: How it was set up.
        log: Every request, as it was judged and answered.
    """

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        """Set an emulator up; nothing listens before `start`.

        Args:
            options: The set-up; one in-memory instance named `demo` with a random key pair when absent.

        Raises:
            BatchsearchError: an instance's items cannot be opened, or onnxruntime is not installed.
            OSError: the log file cannot be written.
        """
        self.options = options or EmulatorOptions()
        self._keys = self.options.keys or (random_key(),)
        self.log = RequestLog(size=self.options.log_size, path=self.options.log_path)
        try:
            self._gateway = Gateway(self.options, self._keys, wall=self.options.clock)
        except BaseException:
            self.log.close()
            raise
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._port: int | None = None
        self._tls_port: int | None = None
        self._closed = False

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._port is None:
            raise RuntimeError("the emulator is not started: call start() or use it in a with statement")
        return self._port

    @property
    def endpoint(self) -> str:
        """Its address, `http://HOST:PORT`."""
        return f"http://{_in_address(self.options.host)}:{self.port}"

    @property
    def tls_endpoint(self) -> str | None:
        """Its address over TLS, `https://HOST:PORT`; None where it has no certificate or is not started."""
        if self._tls_port is None:
            return None
        return f"https://{_in_address(self.options.host)}:{self._tls_port}"

    @property
    def access_key_id(self) -> str:
        """Public half of the first key pair."""
        return self._keys[0].access_key_id

    @property
    def access_key_secret(self) -> str:
        """Secret half of the first key pair."""
        return self._keys[0].access_key_secret

    @property
    def security_token(self) -> str | None:
        """Token of the first key pair, if it has one."""
        return self._keys[0].security_token

    def catalogue(self, instance: str | None = None) -> Catalogue:
        """The items of an instance, the first one when not named: to fill and look into without any call."""
        name = instance or self.options.instances[0].name
        return self._gateway.instances[name].catalogue

    def caller(self) -> Caller:
        """A plain signed caller with the first key pair, to try an operation out."""
        return Caller(self.endpoint, self._keys[0])

    def direct(self) -> Direct:
        """Answers calls of this process without HTTP, whether the emulator is started or not."""
        return Direct(self._gateway, self.log)

    def lead_to(self, console: str | None) -> None:
        """Have `/console` lead to a console that is served elsewhere, by its address without a token."""
        self._gateway.console = console

    def set_faults(self, plan: FaultPlan) -> None:
        """Go by this plan from the next request on; counts start anew."""
        self._gateway.faults = Faults(plan)

    def set_keys(self, keys: Iterable[AccessKey]) -> None:
        """Accept these key pairs from the next request on, and no others."""
        self._keys = tuple(keys)
        self._gateway.set_keys(self._keys)

    def start(self) -> Self:
        """Listen; returns once requests are answered.

        Raises:
            OSError: the address is taken or not this machine's.
            RuntimeError: it was started before; make a new one instead.
        """
        if self._thread is not None or self._closed:
            raise RuntimeError("an emulator starts once: make a new one")
        self._thread = threading.Thread(target=self._run, name="batchsearch-emulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TimeoutError(f"the emulator did not start within {_START_SECONDS:g} s")
        if self._failed is not None:
            self.stop()
            raise self._failed
        return self

    def stop(self) -> None:
        """Answer what is being worked on, stop listening, close the catalogues; twice does no harm."""
        thread, self._thread = self._thread, None
        if thread is not None:
            loop, stop = self._loop, self._stop
            if loop is not None and stop is not None and not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)
            thread.join()
        self._port = self._tls_port = None
        if not self._closed:
            self._closed = True
            self._gateway.close()
            self.log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that called start()
            self._failed = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        options = self.options
        with ThreadPoolExecutor(options.threads, thread_name_prefix="batchsearch-emulator") as executor:
            front = Front(self._gateway, options, self.log, executor)
            server = Server(
                front,
                access_log=None,
                logger=_HTTP_LOG,
                # The body is signed as it was sent.
                auto_decompress=False,
                keepalive_timeout=options.idle_seconds,
                # How long the rest of a refused body is read, so that the client sees the answer.
                lingering_time=min(options.transfer_seconds, _SHUTDOWN_SECONDS),
                max_field_size=MAX_HEAD,
                max_line_size=MAX_HEAD,
            )
            runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
            await runner.setup()
            try:
                await self._listen(runner)
                self._ready.set()
                await self._stop.wait()
            finally:
                front.stopping.set()
                left = [one.transport for one in server.connections]
                await runner.cleanup()
                for transport in left:
                    # TLS would wait for the other side to say goodbye.
                    if transport is not None:
                        transport.abort()

    async def _listen(self, runner: web.ServerRunner) -> None:
        options = self.options
        site = web.TCPSite(runner, options.host, options.port)
        await site.start()
        self._port = int(runner.addresses[0][1])
        self._gateway.address = self.endpoint
        upload_port = self._port
        if options.tls is not None:
            context = tls_context(*options.tls)
            await web.TCPSite(runner, options.host, options.tls_port, ssl_context=context).start()
            upload_port = self._tls_port = int(runner.addresses[-1][1])
        if "." in options.host:
            self._gateway.place = place_of(options.host, upload_port, tls=options.tls is not None)


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def serve_forever(
    options: EmulatorOptions,
    *,
    ready: Callable[[Emulator], None] | None = None,
    beside: Callable[[Emulator], AbstractContextManager[object]] | None = None,
) -> None:
    """Run an emulator until SIGTERM, SIGINT or SIGHUP, then stop in good order; for the main thread.

    Args:
        options: The set-up.
        ready: Called once it listens, to tell people its endpoint.
        beside: What else is there while it listens.

    Raises:
        OSError: the address is taken or not this machine's.
    """
    ended = threading.Event()
    before = listen_to(lambda _number, _frame: ended.set())
    try:
        with Emulator(options) as emulator:
            if ready is not None:
                ready(emulator)
            with nullcontext() if beside is None else beside(emulator):
                ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
