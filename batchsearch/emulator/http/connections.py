"""The listening side: connections whose every answer, even to what is no HTTP, has the service's shape."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from aiohttp import web

from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.emulator.http.app import Front


class Connection(web.RequestHandler):
    """One connection; errors that come before a request reaches the front are answered by it too."""

    __slots__ = ("_front",)

    def __init__(self, server: Server, front: Front, **settings: Any) -> None:
        """Serve one connection of `server`; the settings are aiohttp's."""
        super().__init__(server, loop=asyncio.get_running_loop(), **settings)
        self._front = front

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be read; the connection ends with it."""
        if request.writer.output_size > 0:
            # Part of an answer has left: nothing more can be said.
            return super().handle_error(request, status, exc, message)
        response = self._front.malformed(status)
        response.force_close()
        return response


class Server(web.Server):
    """Makes a `Connection` for each client."""

    def __init__(self, front: Front, **settings: Any) -> None:
        """Have `front` answer; the settings are aiohttp's for each connection."""
        super().__init__(front.handle, **settings)
        self._front = front
        self._settings = settings

    def __call__(self) -> Connection:
        """A connection, as the event loop asks for it."""
        return Connection(self, self._front, **self._settings)


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's TLS context.

    Raises:
        ConfigError: The files cannot be read, or are no certificate with its key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        # A key with a passphrase would be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{certificate} and {key} cannot be used for TLS: {error}: "
            "give a certificate and its key without passphrase, both PEM"
        ) from error
    return context
