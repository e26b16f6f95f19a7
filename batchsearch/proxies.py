"""Through which proxy an address is asked: the environment's, a setting's, or none (pure).

Names and rules are those of curl and of most tools: `HTTP_PROXY` for `http:` addresses, `HTTPS_PROXY` for
`https:` ones, `NO_PROXY` for hosts that are asked directly, each in lower or upper case. This machine
itself is never asked through a proxy, which would look at another machine.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from batchsearch.errors import ConfigError
from batchsearch.redaction import keep_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT: Final = "environment"
"""The setting that means the environment's proxies."""
NONE: Final = "none"
"""The setting that means: no proxy, whatever the environment says."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy each address is asked through.

    Attributes:
        by_scheme: Addresses of proxies by the scheme of what is asked, `http` or `https`. They may hold a
            password and are never shown.
        direct: Hosts that are asked directly, as `NO_PROXY` names them; a `*` means all.
    """

    by_scheme: Mapping[str, str] = field(default_factory=dict, repr=False)
    direct: tuple[str, ...] = ()

    def of(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy for a host, None where it is asked directly.

        Args:
            scheme: `http` or `https`.
            host: Lower-case name, or an address without brackets.
            port: TCP port.
        """
        proxy = self.by_scheme.get(scheme)
        if proxy is None or is_this_machine(host):
            return None
        return None if any(_names(entry, host, port) for entry in self.direct) else proxy


DIRECT: Final = Proxies()
"""No proxy for anything."""


def proxies_of(setting: str, environ: Mapping[str, str], *, where: str) -> Proxies:
    """The proxies that a setting means.

    Args:
        setting: `environment`, `none`, or a proxy's address for everything.
        environ: Has the variables; its `NO_PROXY` holds for a proxy of the setting as well.
        where: The setting's name, for messages; empty where there is none.

    Raises:
        ConfigError: A variable is no address of a proxy.
    """
    if setting == NONE:
        return DIRECT
    direct = tuple(
        entry
        for entry in _variable(environ, "no_proxy")[1].replace(",", " ").lower().split()
        if entry.strip(".")
    )
    if setting != ENVIRONMENT:
        return Proxies({"http": setting, "https": setting}, direct)
    found = {}
    for scheme in ("http", "https"):
        name, address = _variable(environ, f"{scheme}_proxy")
        if not address:
            continue
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            continue  # a web server made it of a request's header `Proxy:`
        # curl takes a bare `host:port` for an HTTP proxy.
        address = address if "://" in address else f"http://{address}"
        try:
            check_proxy(address)
        except ValueError as error:
            what = f"{name} {error}"
            raise ConfigError(f"{what}; set `{where}: none` to use no proxy" if where else what) from None
        keep_secret(urlsplit(address).password)
        found[scheme] = address
    return Proxies(found, direct)


def check_proxy(address: str) -> None:
    """Raises ValueError, without quoting it, if this is no address of a proxy that can be used."""
    if not is_web_address(address):
        raise ValueError("must be an HTTP proxy's address, `http://host:port`")


def is_web_address(address: str) -> bool:
    """Whether this is an `http` or `https` address with a host."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and address.isprintable() and " " not in address


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by its name or its loopback address."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable that says it, and what it says: lower case wins, as in curl."""
    for spelling in (name, name.upper()):
        if value := environ.get(spelling, "").strip():
            return spelling, value
    return name, ""


def _names(entry: str, host: str, port: int) -> bool:
    """Whether an entry of `NO_PROXY` names a host: `*`, a name and all below it, an address or a network."""
    if entry == "*":
        return True
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.startswith("[")):
        if int(wanted) != port:
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*").lstrip(".").rstrip(".")
    host = host.rstrip(".")
    return host == entry or host.endswith(f".{entry}")
