"""One HTTP request and what came of it: a reply with its whole body, or how it was lost.

Nothing that the other side or the network does is an exception here; only cancellation passes, and a want
of file descriptors that does not end.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from batchsearch.descriptors import Shortage, is_exhausted, none_left
from batchsearch.proxies import DIRECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from batchsearch.proxies import Proxies

MAX_REPLY_BYTES: Final = 16 * 1024 * 1024
"""Largest answer that is read, decompressed; the service's own stay under one megabyte."""

_ERRNO: Final = re.compile(r"\[Errno ([0-9]{1,4})\]")
_HEADER_BYTES: Final = 64 * 1024
_DIRECT_BYTES: Final = 2**20  # aiohttp writes more than this in one go only under protest


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one request may take, seconds.

    Attributes:
        connect: For connecting, TLS included.
        total: For everything, waiting for a free connection included.
    """

    connect: float = 5.0
    total: float = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """No complete answer.

    Attributes:
        code: A `Transport.…` code.
        message: What happened, without addresses that are signed.
        status: HTTP status, when the answer got that far.
    """

    code: str
    message: str
    status: int | None = None


def new_session(*, connections: int) -> aiohttp.ClientSession:
    """The one session that all calls share: kept-alive connections, no cookies, no redirections.

    Args:
        connections: Most connections at a time; at least the calls in flight, or calls wait unseen.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ttl_dns_cache=60, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # each request brings its own
        skip_auto_headers=("Content-Type", "User-Agent"),
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeouts: Timeouts,
    max_bytes: int = MAX_REPLY_BYTES,
    proxies: Proxies = DIRECT,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Reply | Lost:
    """Send one request, once, and read its answer whole.

    While this machine has no file descriptors left nothing can be sent: that is waited out.

    Args:
        session: From `new_session`.
        method: In capitals.
        url: Encoded already; it is sent as it is.
        headers: All that must be sent.
        body: Sent as it is; empty for none.
        timeouts: How long to wait.
        max_bytes: Largest answer to read.
        proxies: Which proxy to send it through.
        sleep: Waits so many seconds.

    Raises:
        MachineError: None came back for long.
    """
    # What has a query is asked once: signatures are in it.
    address = URL(url, encoded=True) if "?" in url else _plain_address(url)
    proxy = proxies.of(address.scheme, address.raw_host or "", address.port or 0)
    timeout = _client_timeout(timeouts)

    def request() -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return session.request(
            method,
            address,
            headers=headers,
            data=(body if len(body) <= _DIRECT_BYTES else io.BytesIO(body)) if body else None,
            allow_redirects=False,
            proxy=proxy,
            timeout=timeout,
        )

    shortage = Shortage(sleep)
    while (found := await _exchanged(request, max_bytes)) is None:
        await shortage.wait()
    return found


@lru_cache(maxsize=64)
def _plain_address(url: str) -> URL:
    return URL(url, encoded=True)


@lru_cache(maxsize=16)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect)


async def _exchanged(
    request: Callable[[], AbstractAsyncContextManager[aiohttp.ClientResponse]], max_bytes: int
) -> Reply | Lost | None:
    """What came of one request; None when it was not sent for want of a descriptor."""
    status: int | None = None
    try:
        async with request() as response:
            status = response.status
            pieces = []
            size = 0
            async for piece in response.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    response.close()
                    return Lost("Transport.BodyTooLarge", f"the answer passes {max_bytes:,} bytes", status)
            found = {name.lower(): value for name, value in response.headers.items()}
            return Reply(status, found, b"".join(pieces))
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and (is_exhausted(error) or none_left()):
            return None
        code = _transport_code(error)
        return Lost(code, f"{type(error).__name__}: {_said(error)}", status)


def _transport_code(error: BaseException) -> str:
    """The first entry that the error is an instance of; the more special ones stand first."""
    for kind, code in _TRANSPORT_CODES:
        if isinstance(error, kind):
            return code
    return "Transport.ConnectionLost"


_TRANSPORT_CODES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...]] = (
    ((aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError), "Transport.TlsFailed"),
    (aiohttp.ClientConnectorDNSError, "Transport.DnsFailed"),
    (aiohttp.ConnectionTimeoutError, "Transport.ConnectTimeout"),
    (aiohttp.ClientConnectorError, "Transport.ConnectFailed"),
    (TimeoutError, "Transport.ReadTimeout"),
    (aiohttp.ClientPayloadError, "Transport.TruncatedBody"),
    (aiohttp.ClientHttpProxyError, "Transport.ConnectFailed"),
    (aiohttp.ClientResponseError, "Transport.NotHttp"),
    ((aiohttp.ClientConnectionError, OSError), "Transport.ConnectionLost"),
    (aiohttp.ClientError, "Transport.NotHttp"),
)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    """Why there is no connection, in the system's words; of several addresses each reason once."""
    numbers = [int(number) for number in _ERRNO.findall(str(error.os_error))]
    if error.os_error.errno is not None and error.os_error.errno > 0:
        numbers.insert(0, error.os_error.errno)
    return ", ".join(dict.fromkeys(os.strerror(number).lower() for number in numbers))


def _said(error: BaseException) -> str:  # noqa: PLR0911 - one line for each cause
    """The error's text, unless it may quote a URL."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered HTTP {error.status}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"no connection to the proxy ({error.os_error.strerror or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientResponseError):
        return error.message
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"{error.host}:{error.port}: its name has no address (DNS)"
    if isinstance(error, aiohttp.ClientConnectorError) and (reason := _reason(error)):
        return f"{error.host}:{error.port}: {reason}"
    text = str(error)
    return "the connection broke" if not text or "://" in text else text[:200]
