"""Answers that are not quite HTTP, read as browsers read them: once more, by the standard library.

aiohttp takes back a whole answer when anything follows its announced end, or when a header is not as it
should be. Some hosts answer so. The address that is asked was judged before, like that of any connection.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver

    from batchsearch.images.fetching.urls import WebAddress


class NoAnswerError(Exception):
    """Read like this it is no answer, either."""


@dataclass(frozen=True, slots=True)
class LenientAnswer:
    """A whole answer.

    Attributes:
        status: HTTP status.
        encoding: Its `Content-Encoding`, empty for none.
        body: At most one byte more than the bound.
    """

    status: int
    encoding: str
    body: bytes


async def ask_leniently(
    address: WebAddress, headers: Mapping[str, str], resolver: AbstractResolver, *, most: int, patience: float
) -> LenientAnswer:
    """Asks for an image over a connection of its own.

    Args:
        address: Judged already, as far as its text tells.
        headers: What is told to the host.
        resolver: Looks its name up, and hides what may not be asked.
        most: Bytes after which the body is not read on.
        patience: Seconds for one step of it; cancelling ends it at once.

    Raises:
        NoAnswerError: There is none.
        OSError: The name leads where nothing may be asked, or the connection fails.
    """
    place = address.host
    with suppress(ValueError):
        ip_address(place)
        return await _asked(address, place, headers, most, patience)
    found = await resolver.resolve(place, address.port, socket.AF_UNSPEC)
    return await _asked(address, found[0]["host"], headers, most, patience)


async def _asked(
    address: WebAddress, place: str, headers: Mapping[str, str], most: int, patience: float
) -> LenientAnswer:
    held: list[socket.socket] = []
    try:
        return await asyncio.to_thread(_ask, held, address, place, headers, most, patience)
    finally:
        # A thread cannot be stopped; one that waits for its connection ends with it.
        for connection in held:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _ask(  # noqa: PLR0917 - what a thread is given
    held: list[socket.socket],
    address: WebAddress,
    place: str,
    headers: Mapping[str, str],
    most: int,
    timeout: float,
) -> LenientAnswer:
    """In a thread; `held` gets the connection as soon as there is one."""
    connection = socket.create_connection((place, address.port), timeout)
    held.append(connection)
    if address.scheme == "https":
        connection = ssl.create_default_context().wrap_socket(
            connection, server_hostname=address.host.rstrip(".")
        )
        held[:] = [connection]
    client = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    client.sock = connection
    try:
        client.putrequest("GET", address.target, skip_host=True, skip_accept_encoding=True)
        client.putheader("Host", address.authority)
        client.putheader("Connection", "close")
        for name, value in headers.items():
            client.putheader(name, value.encode("latin-1"))
        client.endheaders()
        with client.getresponse() as response:
            return LenientAnswer(
                response.status, response.headers.get("Content-Encoding", ""), response.read(most)
            )
    except (http.client.HTTPException, ValueError):
        raise NoAnswerError from None
