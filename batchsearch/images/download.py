"""Pictures over HTTP: bounded in size, time and redirects, and only from hosts that may be asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from batchsearch.images.addresses import is_public, looks_numeric, shown_address
from batchsearch.images.outcome import Rejected, Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_REDIRECTS: Final = 5
MAX_CONNECTIONS: Final = 64
_CHUNK: Final = 64 * 1024
_LONGEST_WAIT: Final = 5
"""Most digits of a `Retry-After` that is believed: about a day."""
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_REDIRECTS: Final = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_PASSING: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}
)
"""Statuses that another attempt may not meet."""
_HEADERS: Final = {"Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "batchsearch"}


class _RefusedError(OSError):
    """A name resolves to an address that may not be asked."""


class _PublicResolver(AbstractResolver):
    """Resolves names, and hides every address that is not public unless the job allows the host."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if host.lower() in self._allowed:
            return found
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise _RefusedError
        return public

    async def close(self) -> None:
        await self._resolver.close()


class Downloader:
    """Gets pictures over one pool of connections of its own: no cookies, no proxies, no shared state.

    Args:
        allow_hosts: Hosts that may have any address.
        timeout: Seconds for one picture, redirects included.
        per_host: Most requests at a time to one host.
        limit: Most bytes of one picture.
    """

    def __init__(self, *, allow_hosts: Collection[str], timeout: float, per_host: int, limit: int) -> None:
        self._allowed = frozenset(host.lower().strip("[]") for host in allow_hosts)
        self._timeout = timeout
        self._limit = limit
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_PublicResolver(self._allowed), limit=MAX_CONNECTIONS, limit_per_host=per_host
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=timeout),
            auto_decompress=False,
            headers=_HEADERS,
        )

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def get(self, address: str) -> bytes | Rejected | Unreachable:
        """One picture's bytes, through at most five redirects; each hop is checked like the first."""
        shown = shown_address(address)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._follow(address, shown)
        except TimeoutError:
            return Unreachable(
                "Transport.ImageTimeout", f"{shown}: not there after {self._timeout:g} s", transient=True
            )
        except (aiohttp.InvalidURL, ValueError):
            return Rejected("Local.ImageReferenceInvalid", f"{shown}: the address cannot be read")
        except (aiohttp.ClientSSLError, ssl.SSLError):
            return Unreachable(
                "Transport.ImageTls", f"{shown}: the host's certificate is refused", transient=False
            )
        except (aiohttp.ClientError, OSError) as error:
            if _is_refusal(error):
                return _refused(shown)
            return Unreachable("Transport.ImageConnect", f"{shown}: {_cause(error)}", transient=True)

    async def _follow(self, address: str, shown: str) -> bytes | Rejected | Unreachable:
        url = URL(address)
        for _ in range(MAX_REDIRECTS + 1):
            if refusal := self._check(url):
                return refusal
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status not in _REDIRECTS:
                    return await self._take(response, shown_address(str(url)))
                target = response.headers.get("Location")
            if not target:
                return _status(response, shown)
            # Only the first address may carry a user: a redirect never gets or brings one.
            url = url.join(URL(target)).with_user(None).with_fragment(None)
        return Unreachable(
            "Transport.ImageRedirects", f"{shown}: more than {MAX_REDIRECTS} redirects", transient=False
        )

    def _check(self, url: URL) -> Rejected | None:
        """Why an address may not be asked, before any name is resolved."""
        host = (url.host or "").lower()
        if url.scheme not in {"http", "https"} or not host:
            return Rejected(
                "Local.ImageReferenceInvalid",
                f"{shown_address(str(url))}: only http: and https: addresses with a host are followed",
            )
        if host in self._allowed or not looks_numeric(host):
            return None
        # Numeric hosts never pass the resolver, so only the plain spelling of a public address will do.
        canonical = _is_canonical(host)
        return None if canonical and is_public(host) else _refused(shown_address(str(url)))

    async def _take(self, response: aiohttp.ClientResponse, shown: str) -> bytes | Rejected | Unreachable:
        """The body of a final answer, within the bound."""
        if response.status in _GONE:
            return Rejected("Local.ImageMissing", f"{shown}: HTTP {response.status}")
        if response.status != HTTPStatus.OK:
            return _status(response, shown)
        if (response.content_length or 0) > self._limit:
            return self._too_large(shown)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        unpack = zlib.decompressobj(47) if encoding in {"gzip", "x-gzip", "deflate"} else None
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            try:
                body += unpack.decompress(chunk, self._limit + 1 - len(body)) if unpack else chunk
            except zlib.error:
                return Unreachable(
                    "Transport.ImageConnect", f"{shown}: broken {encoding} encoding", transient=True
                )
            if len(body) > self._limit:
                return self._too_large(shown)
        return bytes(body)

    def _too_large(self, shown: str) -> Rejected:
        return Rejected(
            "Local.ImageFileTooLarge",
            f"{shown} is larger than {self._limit // (1024 * 1024)} MB, the most that is read",
        )


def _is_canonical(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _status(response: aiohttp.ClientResponse, shown: str) -> Unreachable:
    """The ending of an answer that is neither the picture nor its absence."""
    after = response.headers.get("Retry-After", "")
    return Unreachable(
        "Transport.ImageHttpStatus",
        f"{shown}: HTTP {response.status}",
        transient=response.status in _PASSING,
        retry_after=float(after) if after.isdecimal() and len(after) <= _LONGEST_WAIT else None,
    )


def _refused(shown: str) -> Rejected:
    return Rejected(
        "Local.ImageAddressRefused", f"{shown} leads to an internal address; images.allow_hosts may allow it"
    )


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the resolver's refusal is at the bottom of an error."""
    while error is not None:
        if isinstance(error, _RefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: Exception) -> str:
    """What went wrong, without the address that the library's own text may quote."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection broke off"
    return f"the request failed ({type(error).__name__})"
