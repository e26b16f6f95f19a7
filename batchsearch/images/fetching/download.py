"""Images over HTTP: bounded in size, time and redirects, and only from hosts that may be asked."""

from __future__ import annotations

import asyncio
import inspect
import os
import resource
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp

from batchsearch.images.fetching.addresses import shown_address
from batchsearch.images.fetching.cookies import ChainCookies
from batchsearch.images.fetching.fetch_endings import ending_of, ending_without
from batchsearch.images.fetching.hosts import AllowedHosts, refused, resolver_of
from batchsearch.images.fetching.lenient import NoAnswerError, ask_leniently
from batchsearch.images.fetching.unpacking import ENOUGH, BrokenBodyError, UnknownEncodingError, unpacker_for
from batchsearch.images.fetching.urls import UnreadableAddressError, WebAddress, parse
from batchsearch.images.inspect import begins_like_an_image
from batchsearch.images.outcome import Rejected, Unreachable, file_too_large
from batchsearch.proxies import proxies_of
from batchsearch.service.bare_requests import BareAnswer, BareRequests, head_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.images.fetching.request_headers import HostHeaders

MAX_REDIRECTS: Final = 5
MAX_CONNECTIONS: Final = 64
_HEADER_BYTES: Final = 64 * 1024
_MOST_HEADERS: Final = 1_024
_HEADER_COUNT: Final[dict[str, Any]] = (
    {"max_headers": _MOST_HEADERS}
    if "max_headers" in inspect.signature(aiohttp.ClientSession).parameters
    else {}
)
"""aiohttp bounds the number of headers only from 3.13 on."""
_LONGEST_ENCODING: Final = 40
_REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_WITH_A_BODY: Final = frozenset(range(200, 300)) - {
    HTTPStatus.NO_CONTENT,
    HTTPStatus.RESET_CONTENT,
    HTTPStatus.PARTIAL_CONTENT,
}
"""Statuses whose body is what was asked for; a part that was not asked for is not."""
_MOST_HOSTS: Final = 1_024
"""Hosts whose headers are kept ready."""
_HEADERS: Final = {
    "accept": "image/*,*/*;q=0.5",
    "accept-encoding": "identity",
    "user-agent": "batchsearch",
}


@dataclass(frozen=True, slots=True)
class _Told:
    """What a host is told.

    Attributes:
        headers: The headers.
        lines: The same as they are sent, the host among them.
    """

    headers: Mapping[str, str] = field(repr=False)
    lines: bytes = field(repr=False)


_Answer = BareAnswer | aiohttp.ClientResponse


class Downloader:
    """Gets images over connections of its own, with no state that outlives one image.

    Names are looked up and judged for every connection; through a proxy, which looks names up itself, they
    are judged before it is asked. The proxy's own host is reached for requests to the proxy alone.

    Args:
        settings: The job's `images`.
        headers: What is told to each host.
        limit: Most bytes of one image.

    Raises:
        ConfigError: The environment's proxy is none.
    """

    def __init__(self, settings: ImageSettings, headers: HostHeaders, *, limit: int) -> None:
        self._allowed = AllowedHosts(settings.allow_hosts)
        self._headers = headers
        self._timeout = settings.fetch_timeout
        self._per_host = settings.fetch_per_host
        self._limit = limit
        self._proxies = proxies_of(settings.proxy, os.environ, where="images.proxy")
        self._direct = self._connector(self._allowed.resolver())
        self._requests = BareRequests(
            self._direct,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout),
            decompress=False,
            header_bytes=_HEADER_BYTES,
            headers=_MOST_HEADERS,
            most=self._per_host,
        )
        self._ready: dict[tuple[str, str, int], _Told] = {}
        self._proxied: aiohttp.ClientSession | None = None

    def _connector(self, resolver: AbstractResolver) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(resolver=resolver, limit=_connections(), limit_per_host=self._per_host)

    async def close(self) -> None:
        """Closes all connections."""
        await self._direct.close()
        if self._proxied is not None:
            await self._proxied.close()

    async def get(self, address: str) -> bytes | Rejected | Unreachable:
        """One image's bytes, through at most five redirects; each hop is checked like the first."""
        try:
            first = parse(address)
        except UnreadableAddressError:
            return Rejected(
                "Local.ImageReferenceInvalid",
                f"{shown_address(address)}: the address cannot be read; it must be `https://host/…` or "
                "`http://host/…`",
            )
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(first, address)
        except TimeoutError:
            return Unreachable(
                "Transport.ImageTimeout",
                f"{shown_address(address)}: not there after {self._timeout:g} s",
                transient=True,
            )
        except (aiohttp.InvalidURL, ValueError):
            return Rejected(
                "Local.ImageReferenceInvalid", f"{shown_address(address)}: the address cannot be read"
            )
        except (aiohttp.ClientError, OSError) as error:
            return ending_without(error, shown_address(address))

    async def _follow(self, first: WebAddress, address: str) -> bytes | Rejected | Unreachable:
        here, basic, cookies = first, first.basic, ChainCookies()
        for _ in range(MAX_REDIRECTS + 1):
            proxy = self._proxies.of(here.scheme, here.host, here.port)
            url = here.url
            if self._allowed.refuses(here) or (proxy and await self._allowed.refuses_by_proxy(here)):
                return refused(shown_address(str(url)))
            told = self._told(here, url, basic, cookies.of(url))
            try:
                answer = await self._asked(here, url, told, proxy)
                try:
                    if answer.status not in _REDIRECTS:
                        return await self._take(answer, url)
                    cookies.keep(answer.headers.getall("Set-Cookie", ()), url)
                    location = answer.headers.get("Location")
                finally:
                    answer.release()
            except aiohttp.ClientResponseError:
                found = None if proxy else await self._once_more(here, told.headers)
                if found is None:
                    raise
                return found
            if not location:
                return ending_of(answer, shown_address(address))
            try:
                here, basic = here.follow(location), None
            except UnreadableAddressError:
                return Rejected(
                    "Local.ImageReferenceInvalid",
                    f"{shown_address(str(url))}: redirects to what is no http: or https: address with a host",
                )
        return Unreachable(
            "Transport.ImageRedirects",
            f"{shown_address(address)}: more than {MAX_REDIRECTS} redirects",
            transient=False,
        )

    async def _asked(self, address: WebAddress, url: URL, told: _Told, proxy: str | None) -> _Answer:
        """The head of a host's answer."""
        if proxy is None:
            first_line = f"GET {address.target} HTTP/1.1\r\n".encode("ascii")
            return await self._requests.ask(url, (first_line, told.lines), again=True)
        if self._proxied is None:
            names = {urlsplit(each).hostname or "" for each in self._proxies.by_scheme.values()}
            self._proxied = aiohttp.ClientSession(
                connector=self._connector(resolver_of(names)),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout),
                auto_decompress=False,
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
                **_HEADER_COUNT,
            )
        return await self._proxied.get(url, headers=told.headers, allow_redirects=False, proxy=proxy)

    def _told(self, address: WebAddress, url: URL, basic: str | None, cookies: str) -> _Told:
        """The headers of one request: ours, the job's for the host, the address's user, cookies so far."""
        host = address.scheme, address.host, address.port
        ready = self._ready.get(host)
        if ready is None:
            if len(self._ready) >= _MOST_HOSTS:
                self._ready.clear()
            headers = {**_HEADERS, **self._headers.of(address)}
            ready = self._ready[host] = _Told(headers, head_lines(url, headers))
        if basic is None and not cookies:
            return ready
        headers = dict(ready.headers)
        if basic is not None:
            headers["authorization"] = basic
        if cookies:
            headers["cookie"] = "; ".join(filter(None, (headers.get("cookie"), cookies)))
        return _Told(headers, head_lines(url, headers))

    async def _take(self, response: _Answer, url: URL) -> bytes | Rejected | Unreachable:
        """The body of a final answer, within the bound."""
        if response.status not in _WITH_A_BODY:
            return ending_of(response, shown_address(str(url)))
        length = _length(response)
        too_large = length > self._limit
        body = b"" if too_large else await self._unpacked(response, length, url)
        if isinstance(body, Unreachable):
            return body
        if too_large or len(body) > self._limit:
            return file_too_large(shown_address(str(url)), self._limit)
        if response.status == HTTPStatus.ACCEPTED and not begins_like_an_image(body[:ENOUGH]):
            return ending_of(response, shown_address(str(url)), transient=True)
        return body

    async def _once_more(self, address: WebAddress, told: Mapping[str, str]) -> bytes | None:
        """The image where only the way in which it is answered is odd; None where more is wrong."""
        most = self._limit + 1
        try:
            answer = await ask_leniently(
                address, told, self._allowed.resolver(), most=most, patience=self._timeout
            )
            unpacker = unpacker_for(answer.encoding, answer.body[:ENOUGH])
            body = answer.body
            if unpacker is not None:
                body = unpacker.feed(body, most)
                unpacker.end()
        except (NoAnswerError, OSError, BrokenBodyError, UnknownEncodingError):
            return None
        return body if answer.status == HTTPStatus.OK and 0 < len(body) < most else None

    async def _unpacked(self, response: _Answer, length: int, url: URL) -> bytes | Unreachable:
        """The body as it was before the host compressed it, or that this cannot be undone."""
        encoding = ", ".join(response.headers.getall("Content-Encoding", ()))
        if length and "Transfer-Encoding" not in response.headers:
            await _all_there(response.content, length)
        try:
            return await self._body(response.content, encoding)
        except BrokenBodyError:
            what, passing = f"the body's {encoding[:_LONGEST_ENCODING]} encoding is broken or cut short", True
        except UnknownEncodingError:
            what = f"the host compresses with {encoding[:_LONGEST_ENCODING]!r} unasked, not read here"
            what, passing = f"{what} (`br` is, with the extra `brotli`)", False
        return Unreachable("Transport.ImageEncoding", f"{shown_address(str(url))}: {what}", transient=passing)

    async def _body(self, content: aiohttp.StreamReader, encoding: str) -> bytes:
        """The body, unpacked; one byte beyond the bound if it is larger.

        Raises:
            BrokenBodyError: It is damaged or cut short.
            UnknownEncodingError: It cannot be unpacked.
        """
        most = self._limit + 1
        start = await _start_of(content)
        unpacker = unpacker_for(encoding, start)
        # Put together once, at the end: an image that was not compressed is copied no more often than needed.
        pieces, size, piece = [], 0, start
        if unpacker is None and content.at_eof() and len(start) < most:
            return start
        while piece:
            pieces.append(unpacker.feed(piece, most - size) if unpacker else piece)
            size += len(pieces[-1])
            if size >= most:
                return b"".join(pieces)
            piece = await content.readany()
        if unpacker is not None:
            unpacker.end()
        return b"".join(pieces)


async def _all_there(content: aiohttp.StreamReader, length: int) -> None:
    """Wait for a body of some announced bytes as a whole: whoever reads piece by piece wakes up for each.

    Only where the connection takes in so much without being read.
    """
    _, most = content.get_read_buffer_limits()
    if length <= most and content.exception() is None:
        await content.wait_eof()


async def _start_of(content: aiohttp.StreamReader) -> bytes:
    """A body's beginning: enough of it to see what it is."""
    start = b""
    while len(start) < ENOUGH and (piece := await content.readany()):
        start += piece
    return start


def _length(response: _Answer) -> int:
    """The bytes that an answer announces; 0 where it announces none."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _connections() -> int:
    """Most connections at a time: a part of what may be open, where that is little."""
    may_be_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(MAX_CONNECTIONS, may_be_open // 4)) if may_be_open > 0 else MAX_CONNECTIONS
