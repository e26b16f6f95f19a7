"""HTTP requests over aiohttp's connections, without what its sessions do for each of them.

A session looks for cookies, users, redirects, proxies and traces, and makes a task to write a body: for small
requests to hosts that are asked all the time that is most of the work. Here a request is the bytes that are
sent. Names, connections and their limits, TLS and the reading of answers stay aiohttp's.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from multidict import CIMultiDictProxy
    from yarl import URL

READ_BYTES: Final = 2**18
"""How much of an answer is taken in before anybody reads it; twice as much at most."""
_MOST_ORIGINS: Final = 1_024
_MOST_HANDED: Final = 32
_FIRST_FINAL: Final = 200
_SWITCHING: Final = 101
_UNASKED: Final = frozenset({408})
"""Statuses that servers send without having been asked: the answer that was waited for may still come.

Source: RFC 9110, 15.5.9.
"""
_BOUNDS: Final = inspect.signature(ResponseHandler.set_response_params).parameters
"""aiohttp bounds the number of headers only from 3.13 on."""


class BareAnswer:
    """An answer whose head has come; `release` it in any case.

    Attributes:
        status: HTTP status.
        headers: As they came, names in any case.
        content: The body.
        url: What was asked.
    """

    __slots__ = ("_give_back", "content", "headers", "status", "url")

    def __init__(
        self,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
        url: URL,
        give_back: Callable[[], None],
    ) -> None:
        self.status = status
        self.headers = headers
        self.content = content
        self.url = url
        self._give_back = give_back

    def release(self) -> None:
        """Give the connection back: to be used again if the body was read to its end, else closed."""
        give_back, self._give_back = self._give_back, _nothing
        give_back()


def _nothing() -> None:
    """What is given back by an answer that has been released already."""


@dataclass(eq=False, slots=True)
class _Origin:
    """A host that is asked.

    Attributes:
        request: What aiohttp finds its connections by: a request that is never sent.
        busy: Connections in use or on their way.
        waiting: Who gets the next of them, in order; None says that there is room for a new one.
        handed: How often a connection went from one to the next.
    """

    request: ClientRequest
    busy: int = 0
    waiting: deque[asyncio.Future[Connection | None]] = field(default_factory=deque)
    handed: int = 0


class BareRequests:
    """Asks hosts over the connections of one connector; used on one event loop.

    Args:
        connector: Whose connections; it is closed by others.
        timeout: For connecting.
        decompress: Undo what hosts have compressed.
        header_bytes: Most bytes of a line of an answer's head.
        headers: Most headers of an answer, where aiohttp bounds them.
        most: Connections to one host at a time; None leaves that to the connector.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        *,
        timeout: aiohttp.ClientTimeout,
        decompress: bool,
        header_bytes: int,
        headers: int = 128,
        most: int | None = None,
    ) -> None:
        self._connector = connector
        self._most = sys.maxsize if most is None else most
        self._timeout = timeout
        self._reading: dict[str, Any] = {
            "read_until_eof": True,
            "auto_decompress": decompress,
            "read_bufsize": READ_BYTES,
            "max_line_size": header_bytes,
            "max_field_size": header_bytes,
        }
        if "max_headers" in _BOUNDS:
            self._reading["max_headers"] = headers
        self._origins: dict[tuple[str, str | None, int | None], _Origin] = {}

    def ask(self, url: URL, message: Iterable[bytes], *, again: bool) -> Awaitable[BareAnswer]:
        """Send a request and wait for the head of its answer.

        Args:
            url: What is asked; its host is.
            message: The request, from its first line on.
            again: It may be sent once more where a connection that was kept turns out to be closed.

        Raises:
            aiohttp.ClientError: There is no answer.
            OSError: The same.
        """
        return self._ask_twice(url, message) if again else self._ask(url, message)

    async def _ask_twice(self, url: URL, message: Iterable[bytes]) -> BareAnswer:
        try:
            return await self._ask(url, message)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            return await self._ask(url, message)

    async def _ask(self, url: URL, message: Iterable[bytes]) -> BareAnswer:
        origin = self._origin(url)
        connection = await self._silent(origin)
        try:
            protocol, transport = _parts_of(connection)
            protocol.set_response_params(**self._reading)
            # From Python 3.12 on a piece of no bytes is never sent, and keeps the connection from closing.
            transport.writelines([piece for piece in message if piece])
            while True:
                head, content = await protocol.read()
                if head.code >= _FIRST_FINAL or head.code == _SWITCHING or head.code < 100:  # noqa: PLR2004 - the first status
                    give_back = partial(self._give_back, origin, connection, head.code)
                    return BareAnswer(head.code, head.headers, content, url, give_back)
        except HttpProcessingError as error:
            self._close(origin, connection)
            raise aiohttp.ClientResponseError(
                origin.request.request_info,
                (),
                status=error.code,
                message=error.message,
                headers=error.headers,
            ) from error
        except BaseException:
            self._close(origin, connection)
            raise

    async def _silent(self, origin: _Origin) -> Connection:
        """A connection on which nothing lies that nobody has asked for: it would pass for the next answer."""
        connection = await self._connection(origin)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await self._connected(origin)
        return connection

    async def _connection(self, origin: _Origin) -> Connection:
        """A connection to a host, when it is this one's turn."""
        if origin.busy < self._most:
            origin.busy += 1
        else:
            waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            origin.waiting.append(waiter)
            try:
                handed = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._hand_on(origin, waiter.result())
                raise
            if handed is not None:
                return handed
        return await self._connected(origin)

    async def _connected(self, origin: _Origin) -> Connection:
        """A connection of the connector, for which there is room already."""
        try:
            return await self._connector.connect(origin.request, [], self._timeout)
        except TimeoutError as error:
            self._hand_on(origin, None)
            raise aiohttp.ConnectionTimeoutError("the connection is not there in time") from error
        except BaseException:
            self._hand_on(origin, None)
            raise

    def _give_back(self, origin: _Origin, connection: Connection, status: int) -> None:
        protocol = connection.protocol
        if protocol is None or protocol.should_close or connection.closed or status in _UNASKED:
            self._close(origin, connection)
        else:
            self._hand_on(origin, connection)

    def _close(self, origin: _Origin, connection: Connection) -> None:
        connection.close()
        self._hand_on(origin, None)

    def _hand_on(self, origin: _Origin, connection: Connection | None) -> None:
        """Give a connection, or the room for one, to who has waited longest; to the connector without any."""
        while origin.waiting and origin.waiting[0].done():
            origin.waiting.popleft()
        # The connector gets a look at it now and then: other hosts may wait there for room.
        if connection is not None and (not origin.waiting or origin.handed >= _MOST_HANDED):
            origin.handed = 0
            connection.release()
            connection = None
        if not origin.waiting:
            origin.busy -= 1
            return
        origin.handed += connection is not None
        origin.waiting.popleft().set_result(connection)

    def _origin(self, url: URL) -> _Origin:
        key = url.scheme, url.raw_host, url.port
        found = self._origins.get(key)
        if found is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins = {known: each for known, each in self._origins.items() if each.busy}
            found = self._origins[key] = _Origin(aiohttp.ClientRequest("GET", url.origin()))
        return found


def _parts_of(connection: Connection) -> tuple[ResponseHandler, asyncio.Transport]:
    """What reads a connection, and what writes to it.

    Raises:
        aiohttp.ServerDisconnectedError: It is closed.
    """
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None:
        raise aiohttp.ServerDisconnectedError
    return protocol, transport


def head_lines(url: URL, headers: Mapping[str, str]) -> bytes:
    """A request's head after the first line.

    Args:
        url: Tells the host, unless the headers do.
        headers: Its headers, by lower-case name.

    Raises:
        ValueError: A header holds the end of a line.
    """
    lines = [] if "host" in headers else [f"host: {_host(url)}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a header holds the end of a line")
    return f"{text}\r\n".encode()


def _host(url: URL) -> str:
    """Host and port as they are told: no port that is the scheme's own, no dot at the end."""
    host = (url.raw_host or "").removesuffix(".")
    host = f"[{host}]" if ":" in host else host
    return host if url.is_default_port() else f"{host}:{url.port}"
