"""How a request ends that brought no image: by the answer's status, or by what went wrong."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp

from batchsearch.descriptors import is_exhausted, none_left
from batchsearch.images.fetching.hosts import RefusedError, refused
from batchsearch.images.outcome import Rejected, Unreachable, without_descriptors
from batchsearch.retry_after import retry_after

if TYPE_CHECKING:
    from batchsearch.service.bare_requests import BareAnswer

_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_PASSING: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600)}
)
"""Statuses that another attempt may not meet."""


def ending_of(
    response: BareAnswer | aiohttp.ClientResponse, shown: str, *, transient: bool | None = None
) -> Rejected | Unreachable:
    """The ending of an answer that is not the image."""
    if response.status in _GONE:
        return Rejected("Local.ImageMissing", f"{shown}: HTTP {response.status}{_hint(response)}")
    asks = response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    what = " (the proxy asks for a user and password)" if asks else ""
    return Unreachable(
        "Transport.ImageHttpStatus",
        f"{shown}: HTTP {response.status}{what}{_hint(response)}",
        transient=response.status in _PASSING if transient is None else transient,
        retry_after=retry_after(response.headers, datetime.now(UTC)),
    )


def _hint(response: BareAnswer | aiohttp.ClientResponse) -> str:
    """What may be wrong with an address that a host does not like."""
    return "; the address holds `&amp;`, which is `&` in HTML" if "&amp;" in str(response.url) else ""


def ending_without(error: aiohttp.ClientError | OSError, shown: str) -> Rejected | Unreachable:
    """The ending of a request that brought no whole answer."""
    if _is_refusal(error):
        return refused(shown)
    if is_exhausted(error) or none_left():
        return without_descriptors(shown)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Unreachable(
            "Transport.ImageHttpStatus",
            f"{shown}: the proxy answered HTTP {error.status}",
            transient=error.status in _PASSING,
        )
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Unreachable(
            "Transport.ImageTls", f"{shown}: the host's certificate is refused", transient=False
        )
    return Unreachable("Transport.ImageConnect", f"{shown}: {_cause(error)}", transient=True)


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the resolver's refusal is at the bottom of an error."""
    while error is not None:
        if isinstance(error, RefusedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: Exception) -> str:
    """What went wrong, without the address that the library's own text may quote."""
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return f"no connection to the proxy ({error.os_error.strerror or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name cannot be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or 'unknown reason'})"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the connection broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP as it should be"
    return f"the request failed ({type(error).__name__})"
