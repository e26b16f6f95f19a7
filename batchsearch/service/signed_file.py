"""Fetching a file at a signed address that the service gave: into a file, whole or not at all.

The address is a secret for as long as it is valid: it is shown nowhere, an error names its host alone.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from batchsearch.errors import BatchsearchError
from batchsearch.proxies import DIRECT
from batchsearch.publish import publishing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batchsearch.proxies import Proxies
    from batchsearch.service.http_exchange import Timeouts

MOST_BYTES: Final = 64 * 1024**3
"""Largest file that is fetched."""
_PIECE: Final = 256 * 1024
_SILENCE: Final = 60.0
"""Longest pause between two pieces, seconds: a large file may take long, but it comes."""


def _nowhere(_host: str) -> bool:
    return False


class FetchError(BatchsearchError):
    """A file cannot be had from its address; the message names the host alone."""


async def fetch_signed(
    session: aiohttp.ClientSession,
    url: str,
    path: Path,
    *,
    timeouts: Timeouts,
    proxies: Proxies = DIRECT,
    inside: Callable[[str], bool] = _nowhere,
    most: int = MOST_BYTES,
) -> int:
    """Write what is at an address to a file; its size, bytes.

    Args:
        session: Makes the request; its names are resolved by it.
        url: The address.
        path: Where it goes; nothing is there until it is whole.
        timeouts: How long connecting may take.
        proxies: Which proxy to ask through.
        inside: Whether a host may be on this machine or in this network, as the service itself is.
        most: Largest size, bytes.

    Raises:
        FetchError: The address is none that may be asked, or nothing whole came from it.
        OSError: The file cannot be written.
    """
    host = await _host_of(url, inside)
    address = URL(url, encoded=True)
    proxy = proxies.of(address.scheme, address.raw_host or "", address.port or 0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.connect, sock_read=_SILENCE)
    size = 0
    try:
        async with session.get(address, allow_redirects=False, proxy=proxy, timeout=timeout) as answer:
            if answer.status != 200:  # noqa: PLR2004 - the one status that brings the file
                raise FetchError(f"{host}: HTTP {answer.status} in place of the file")
            with publishing(path) as file:
                async for piece in answer.content.iter_chunked(_PIECE):
                    size += len(piece)
                    if size > most:
                        raise FetchError(f"{host}: the file is larger than {most:,} bytes")
                    file.write(piece)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise FetchError(f"{host}: {type(error).__name__} while the file was fetched") from None
    return size


async def _host_of(url: str, inside: Callable[[str], bool]) -> str:
    """The host of an address that may be asked.

    Raises:
        FetchError: It is no web address, or leads to an internal host although the service is none.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host = None
    if host is None or parts.scheme not in {"http", "https"} or parts.username:
        raise FetchError("the service gave no address of a file")
    if inside(host):
        return host
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except OSError:
        raise FetchError(f"{host}: its name has no address (DNS)") from None
    if not all(ip_address(str(each[4][0]).partition("%")[0]).is_global for each in found):
        raise FetchError(f"{host}: the service gave an address inside this network; it is not asked")
    return host
