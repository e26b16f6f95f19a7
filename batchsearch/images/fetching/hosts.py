"""Which hosts may be asked: by their names, by the addresses that names lead to, and through a proxy."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from batchsearch.images.fetching.addresses import is_public, looks_numeric
from batchsearch.images.outcome import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from batchsearch.images.fetching.urls import WebAddress

_INTERNAL: Final = frozenset(
    {"localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "arpa"}
)
"""Last parts of names that no public host has."""
_LOOK_SECONDS: Final = 5.0
_MOST_LOOKED_AT: Final = 4_096


class RefusedError(OSError):
    """A name resolves to an address that may not be asked."""


def refused(shown: str) -> Rejected:
    """The outcome of an address that may not be asked."""
    return Rejected(
        "Local.ImageAddressRefused", f"{shown} leads to an internal address; images.allow_hosts may allow it"
    )


class AllowedHosts:
    """The hosts of a job: public ones, and those that it names.

    Args:
        names: `images.allow_hosts`.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._named = frozenset(name.lower().strip("[]") for name in names)
        self._looked_at: dict[str, bool] = {}

    def named(self, host: str) -> bool:
        """Whether the job itself names a host."""
        return host.lower() in self._named

    def refuses(self, address: WebAddress) -> bool:
        """Whether an address may not be asked, as far as its text tells."""
        host = address.host
        if self.named(host) or not looks_numeric(host):
            return False
        # Numeric hosts never pass the resolver, so only the plain spelling of a public address will do.
        with suppress(ValueError):
            ip_address(host)
            return not is_public(host)
        return True

    async def refuses_by_proxy(self, address: WebAddress) -> bool:
        """Whether an address may not be asked through a proxy, which looks names up itself.

        The name must be one that a public host can have, and if this machine knows it, all that it leads
        to must be public.
        """
        host = address.host.rstrip(".")
        if self.named(address.host) or looks_numeric(host):
            return self.refuses(address)
        if "." not in host or host.rpartition(".")[2] in _INTERNAL:
            return True
        if host not in self._looked_at:
            if len(self._looked_at) >= _MOST_LOOKED_AT:
                self._looked_at.clear()
            self._looked_at[host] = await _leads_inside(host, address.port)
        return self._looked_at[host]

    def resolver(self) -> AbstractResolver:
        """Looks names up for connections, and hides what may not be asked."""
        return _Resolver(self.named)


def resolver_of(names: Collection[str]) -> AbstractResolver:
    """Looks a few names up, those of proxies, and no others."""
    return _Resolver(names.__contains__, public=False)


class _Resolver(AbstractResolver):
    """Resolves names, and hides every address that may not be asked."""

    def __init__(self, named: Callable[[str], bool], *, public: bool = True) -> None:
        self._named = named
        self._public = public
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        named = self._named(host.lower())
        if not named and not self._public:
            raise RefusedError
        found = await self._resolver.resolve(host, port, family)
        if named:
            return found
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise RefusedError
        return public

    async def close(self) -> None:
        await self._resolver.close()


async def _leads_inside(host: str, port: int) -> bool:
    """Whether a name leads to any address that is not public; one that is not known here does not."""
    resolver = ThreadedResolver()
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            found = await resolver.resolve(host, port, socket.AF_UNSPEC)
    except (OSError, TimeoutError):
        return False
    finally:
        await resolver.close()
    return not all(is_public(result["host"]) for result in found)
