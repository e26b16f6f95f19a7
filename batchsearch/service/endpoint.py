"""Where the service is: a host, a port and whether the way is encrypted; nothing else is an endpoint."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

from batchsearch.errors import ConfigError

_PORTS: Final = {"http": 80, "https": 443}
_FORM: Final = re.compile(
    r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[^\[\]/:@?#\s]+)(?::([0-9]{1,5}))?", re.IGNORECASE
)
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        scheme: `https` or `http`.
        host: Lower-case name or address; an IPv6 address stands in brackets.
        port: TCP port.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The `Host` header, which is signed: the port only where it is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that `host`, `host:port` or `http(s)://host[:port]` means; HTTPS unless said otherwise.

    Raises:
        ConfigError: It is anything else: has a path, a user, a query, or no valid host.
    """
    wanted = "write `host`, `host:port` or `http://host:port`"
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"instance.endpoint {text[:100]!r} is not an endpoint; {wanted}")
    scheme: Literal["http", "https"] = "http" if (found[1] or "").lower() == "http" else "https"
    host = found[2].lower()
    port = int(found[3]) if found[3] else _PORTS[scheme]
    if not 0 < port < 2**16:
        raise ConfigError(f"instance.endpoint {text[:100]!r} has no valid port; {wanted}")
    if not _is_host(host):
        raise ConfigError(f"instance.endpoint {text[:100]!r} has no valid host name; {wanted}")
    return Endpoint(scheme, host, port)


def _is_host(host: str) -> bool:
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return True
    return _HOST.fullmatch(host) is not None
