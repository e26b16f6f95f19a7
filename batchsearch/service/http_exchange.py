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
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from batchsearch.descriptors import Shortage, is_exhausted, none_left
from batchsearch.proxies import DIRECT
from batchsearch.quick_record import quick_record
from batchsearch.service.bare_requests import BareRequests, head_lines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from batchsearch.proxies import Proxies
    from batchsearch.service.bare_requests import BareAnswer

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


@quick_record
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
        headers: All that must be sent, by lower-case name.
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

    def ask() -> Awaitable[BareAnswer | aiohttp.ClientResponse]:
        if proxy is None and len(body) <= _DIRECT_BYTES:
            return _ask_barely(session, method, address, headers, body, timeouts)
        return session.request(
            method,
            address,
            headers=headers,
            data=(body if len(body) <= _DIRECT_BYTES else io.BytesIO(body)) if body else None,
            allow_redirects=False,
            proxy=proxy,
            timeout=_client_timeout(timeouts),
        )

    shortage = Shortage(sleep)
    while (found := await _exchanged(ask, timeouts.total, max_bytes)) is None:
        await shortage.wait()
    return found


@lru_cache(maxsize=64)
def _plain_address(url: str) -> URL:
    return URL(url, encoded=True)


@lru_cache(maxsize=16)
def _client_timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect)


_bare: Final[WeakKeyDictionary[aiohttp.ClientSession, dict[Timeouts, BareRequests]]] = WeakKeyDictionary()
"""What asks over the connections of each session."""


def _ask_barely(  # noqa: PLR0917 - what `exchange` was given
    session: aiohttp.ClientSession,
    method: str,
    address: URL,
    headers: Mapping[str, str],
    body: bytes,
    timeouts: Timeouts,
) -> Awaitable[BareAnswer]:
    """The head of the answer to one request over the session's connections."""
    told = {**_ACCEPTED, **headers}
    has_no_body = method in aiohttp.ClientRequest.GET_METHODS
    if body or not has_no_body:
        told["content-length"] = str(len(body))
    head = f"{method} {address.raw_path_qs} HTTP/1.1\r\n".encode("ascii") + head_lines(address, told)
    return _requests_of(session, timeouts).ask(address, (head, body), again=has_no_body)


def _requests_of(session: aiohttp.ClientSession, timeouts: Timeouts) -> BareRequests:
    if session.connector is None:
        raise aiohttp.ClientConnectionError("the session is closed")
    known = _bare.setdefault(session, {})
    found = known.get(timeouts)
    if found is None:
        found = known[timeouts] = BareRequests(
            session.connector,
            timeout=_client_timeout(timeouts),
            decompress=True,
            header_bytes=_HEADER_BYTES,
        )
    return found


_ACCEPTED: Final = {name.lower(): value for name, value in aiohttp.ClientRequest.DEFAULT_HEADERS.items()}
"""What every request says that it takes."""


async def _exchanged(
    ask: Callable[[], Awaitable[BareAnswer | aiohttp.ClientResponse]], seconds: float, max_bytes: int
) -> Reply | Lost | None:
    """What came of one request; None when it was not sent for want of a descriptor."""
    status: int | None = None
    try:
        async with asyncio.timeout(seconds):
            answer = await ask()
            try:
                status = answer.status
                body = await _body_of(answer.content, max_bytes)
                if len(body) > max_bytes:
                    return Lost("Transport.BodyTooLarge", f"the answer passes {max_bytes:,} bytes", status)
                return Reply(status, {name.lower(): value for name, value in answer.headers.items()}, body)
            finally:
                answer.release()
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and (is_exhausted(error) or none_left()):
            return None
        code = _transport_code(error)
        return Lost(code, f"{type(error).__name__}: {_said(error)}", status)


async def _body_of(content: aiohttp.StreamReader, most: int) -> bytes:
    """An answer's body; of one beyond the bound at least a byte more than that."""
    pieces: list[bytes] = []
    size = 0
    while not content.at_eof() and size <= most and (piece := await content.readany()):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


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
