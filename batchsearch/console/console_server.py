"""The console's server: listens on this machine alone, tells its address, and ends when it is told to."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from batchsearch.console.gate import Entrance, Gate
from batchsearch.console.routes import LAST_SEEN, application
from batchsearch.console.session import Session
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchsearch.config.model import JobSettings
    from batchsearch.console.console_options import ConsoleOptions
    from batchsearch.emulator.server import Emulator

LOOPBACK: Final = "127.0.0.1"
_SHUTDOWN_SECONDS: Final = 2.0
_LOOKS: Final = 30.0


class Console:
    """A console that listens.

    Attributes:
        session: What it shows.
        gate: Who may talk to it.

    Args:
        session: What it shows.
        gate: Who may talk to it.
        entrance: The token of its address.
        app: What answers.
        host: What it listens on.
    """

    def __init__(
        self, session: Session, gate: Gate, entrance: Entrance, app: web.Application, host: str
    ) -> None:
        self.session = session
        self.gate = gate
        self._entrance = entrance
        self._app = app
        self._host = host

    @property
    def address(self) -> str:
        """Where a browser is let in, once."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.gate.port}/?t={self._entrance.token}"

    @property
    def idle_seconds(self) -> float:
        """How long nobody has asked for anything."""
        return time.monotonic() - float(self._app[LAST_SEEN][0])

    async def wait_until_idle(self, seconds: float) -> None:
        """Returns when nobody has asked for anything for so long."""
        while (left := seconds - self.idle_seconds) > 0:  # noqa: ASYNC110 - requests only note when they came
            await asyncio.sleep(min(_LOOKS, left))


@asynccontextmanager
async def open_console(
    settings: JobSettings,
    options: ConsoleOptions,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    emulator: Emulator | None = None,
    told: Callable[[str], object] = lambda _address: None,
) -> AsyncIterator[Console]:
    """A console that answers at its `address`, closed at the end.

    Args:
        settings: The job whose instances it is about.
        options: How it is used.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        emulator: An embedded instance that runs already.
        told: Told the address, and each new one.

    Raises:
        ConfigError: The port is taken, or the host is not this machine's.
    """
    async with Session(settings, options, emulator=emulator) as session:
        entrance = Entrance(secrets.token_urlsafe(32))
        # The port is known once it is taken, and the guard goes by it.
        socket_port = _free_port(host, port)
        gate = Gate(socket_port, secrets.token_urlsafe(32), secrets.token_urlsafe(32), host)
        consoles: list[Console] = []
        app = application(session, gate, entrance, lambda: told(consoles[0].address))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await _listen(runner, host, socket_port)
            consoles.append(Console(session, gate, entrance, app, host))
            told(consoles[0].address)
            yield consoles[0]
        finally:
            await runner.cleanup()


def _free_port(host: str, port: int) -> int:
    import socket

    if port:
        return port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.bind((host, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigError(f"--host {host}: cannot be listened on: {error.strerror or error}") from error


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; name another --port, or 0 for a "
            "free one"
        ) from error
    if host == LOOPBACK:
        # Browsers may try the other loopback first; a machine without it does without.
        with suppress(OSError):
            await web.TCPSite(runner, "::1", port).start()
