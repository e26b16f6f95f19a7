"""Which network addresses an image may come from: public ones, unless the job names the host.

Manifests are untrusted. Without this, a row could make the machine read its own services, its cloud's
metadata (169.254.169.254, 100.100.100.200) or its neighbours.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_SHOWN: Final = 300
_AS_IT_IS: Final = re.compile(
    r"https?://[a-z0-9.-]+(?::[1-9][0-9]{0,3}|:[1-5][0-9]{4})?/[\x21\x22\x24-\x3e\x41-\x7e]*"
)
"""Addresses that hold nothing to be hidden and are written as everybody writes them."""
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the public internet, in every way that it can be read.

    IPv6 forms that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) are judged by that one as well.
    Anything that is no canonical numeric address is not public.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(
        form.is_global and not form.is_multicast and not form.is_reserved for form in _readings(parsed)
    )


def _readings(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The address as what it is, and every IPv4 address that it stands for."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def looks_numeric(host: str) -> bool:
    """Whether a host is written as a number, in any spelling that some resolver takes for an address.

    `127.1`, `2130706433` and `0x7f.1` reach the loopback interface on most systems, past checks that
    know only the usual form.
    """
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2].lower()
    return last.isdecimal() or (
        last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])
    )


@lru_cache(maxsize=1_024)
def shown_address(url: str) -> str:
    """An address as it may be shown: without user, password, query and fragment, which may hold secrets."""
    if _AS_IT_IS.fullmatch(url):
        return url[:_LONGEST_SHOWN]
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    if parts.scheme == "data":
        return "data: address"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"[:_LONGEST_SHOWN]
