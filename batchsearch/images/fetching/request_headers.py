"""What is told to a host when an image is asked of it: the job's headers for that host, and no other's.

They are chosen anew for every address, redirects included. A secret leaves over https alone, to the
scheme's own port unless the job names another; a host that is written with `http://`, and this machine,
get it over http, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchsearch.config.sections.header_settings import HOST, VARIABLE, is_secret, sendable
from batchsearch.errors import ConfigError, Problem
from batchsearch.images.fetching.urls import PORTS
from batchsearch.proxies import is_this_machine
from batchsearch.redaction import keep_secret

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from batchsearch.images.fetching.urls import WebAddress


@dataclass(frozen=True, slots=True)
class _Host:
    """Which addresses headers are for; no host means all."""

    host: str | None = None
    below: bool = False
    scheme: str | None = None
    port: int | None = None

    def takes(self, address: WebAddress) -> bool:
        """Whether an address is one of these."""
        if self.host is None:
            return True
        name = address.host.rstrip(".")
        named = name.endswith(f".{self.host}") if self.below else name == self.host
        return named and self.scheme in {None, address.scheme} and self.port in {None, address.port}

    def trusts(self, address: WebAddress) -> bool:
        """Whether an address that it takes may have a secret."""
        safe = address.scheme == "https" or self.scheme == "http" or is_this_machine(address.host)
        return safe and (self.port is not None or address.port == PORTS[address.scheme])

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How closely it says which host is meant."""
        more = (self.port is not None) + (self.scheme is not None)
        return self.host is not None, not self.below, len(self.host or "") + more


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    value: str = field(repr=False)
    secret: bool


class HostHeaders:
    """The headers of a job, by host.

    Args:
        settings: The job's `images.headers`, checked.
        environ: Has the variables that they name.

    Raises:
        ConfigError: A variable is missing, or holds what cannot be sent.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, str]], environ: Mapping[str, str]) -> None:
        problems: list[Problem] = []
        found = []
        for written, values in settings.items():
            headers = []
            for name, value in values.items():
                try:
                    headers.append(_filled(name, value, environ))
                except ValueError as error:
                    problems.append(Problem(f"images.headers: {written}: {name}", str(error)))
            found.append((_host(written), tuple(headers)))
        if problems:
            raise ConfigError(problems)
        # The closest comes last and wins.
        self._by_host = sorted(found, key=lambda each: each[0].rank)

    def of(self, address: WebAddress) -> dict[str, str]:
        """The headers for an address, by lower-case name."""
        return {
            header.name.lower(): header.value
            for host, headers in self._by_host
            if host.takes(address)
            for header in headers
            if not header.secret or host.trusts(address)
        }


def _host(written: str) -> _Host:
    found = HOST.fullmatch(written)
    if found is None:
        return _Host()
    return _Host(
        found["host"].lower().strip("[]").rstrip("."),
        found["any"] is not None,
        found["scheme"],
        int(found["port"]) if found["port"] else None,
    )


def _filled(name: str, value: str, environ: Mapping[str, str]) -> _Header:
    """A header with its variables filled in.

    Raises:
        ValueError: A variable is missing, or makes it no header.
    """

    def given(found: re.Match[str]) -> str:
        text = environ.get(found[1], "").strip()
        if not text:
            raise ValueError(f"the environment has no {found[1]}")
        keep_secret(text)
        return text

    filled = VARIABLE.sub(given, value)
    if not sendable(filled):
        raise ValueError("its variable holds what no header can: it must be one line of Latin-1 text")
    secret = is_secret(name, value)
    if secret:
        keep_secret(filled)
    return _Header(name, filled, secret)
