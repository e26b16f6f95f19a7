"""Addresses of the web, kept byte for byte as they are written (pure).

Signatures cover an address as it was written: `%2F` and `/`, `%27` and `'` are not the same to them. So
nothing is decoded, encoded again or put in order. Only what cannot stand in a request is encoded (blanks,
control characters, what is not ASCII), and a backslash in the path is the slash that browsers take it for.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import field
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from yarl import URL

from batchsearch.quick_record import quick_record

PORTS: Final = {"http": 80, "https": 443}
"""The port of each scheme where an address names none."""
_ADDRESS: Final = re.compile(r"(https?)://([^/\\?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HOST: Final = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
_LABEL: Final = 63
_FORBIDDEN: Final = re.compile(rb"[^\x21-\x7e]")
_SENDABLE: Final = re.compile(r"[\x21-\x7e]*")
_IGNORED: Final = str.maketrans("", "", "\t\r\n")
_BLANK: Final = "".join(map(chr, range(0x21))) + "\x7f\x85\xa0\u200b\u200e\u200f\u2060\u3000\ufeff"


class UnreadableAddressError(ValueError):
    """An address is none of the web's, or has no host that a request could go to."""


@quick_record
class WebAddress:
    """Where a request goes, and what it asks for.

    Attributes:
        scheme: `http` or `https`.
        host: Lower-case ASCII name, or an address without brackets.
        port: TCP port.
        target: Path and query as they are sent.
        user: User and password as they are written; never shown.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)
    user: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """The `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> URL:
        """For the HTTP client, which takes the whole target for a path and leaves it alone."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return URL.build(scheme=self.scheme, host=host, port=self.port, path=self.target, encoded=True)

    @property
    def basic(self) -> str | None:
        """The `Authorization` that user and password ask for."""
        if self.user is None:
            return None
        return f"Basic {b64encode(unquote_to_bytes(self.user)).decode()}"

    def follow(self, location: str) -> WebAddress:
        """Where a redirect leads.

        Args:
            location: The header as it came, bytes that are no UTF-8 as surrogates.

        Raises:
            UnreadableAddressError: Nowhere on the web.
        """
        text = _bare(location)
        if text.startswith(("//", "\\\\", "/\\", "\\/")):
            found = parse(f"{self.scheme}://{text[2:]}")
        elif _SCHEME.match(text):
            found = parse(text)
        else:
            found = WebAddress(self.scheme, self.host, self.port, self._relative(text.partition("#")[0]))
        # A redirect neither gets a user nor brings one.
        return WebAddress(found.scheme, found.host, found.port, found.target)

    def _relative(self, text: str) -> str:
        path, question, query = self.target.partition("?")
        if not text:
            return self.target
        given, asks, asked = text.partition("?")
        if given:
            given = given.replace("\\", "/")
            path = given if given.startswith("/") else _without_dots(path.rpartition("/")[0] + "/" + given)
            question, query = "", ""
        if asks:
            question, query = asks, asked
        return _encoded(path + question + query)


def parse(text: str) -> WebAddress:
    """The address that a text is.

    Raises:
        UnreadableAddressError: It is none that begins with `http://` or `https://` and has a host.
    """
    found = _ADDRESS.match(_bare(text))
    if found is None:
        raise UnreadableAddressError
    scheme = found[1].lower()
    user, at, place = found[2].rpartition("@")
    host, port = _host_and_port(place)
    path, question, query = found[3].partition("?")
    target = _encoded((path.replace("\\", "/") or "/") + question + query)
    return WebAddress(scheme, host, PORTS[scheme] if port is None else port, target, user if at else None)


def _bare(text: str) -> str:
    """Without blanks around it and line breaks in it, which browsers do not see either."""
    return text.strip(_BLANK).translate(_IGNORED)


@lru_cache(maxsize=1_024)
def _host_and_port(place: str) -> tuple[str, int | None]:
    host, colon, port = place.partition("]") if place.startswith("[") else ("", "", place)
    if colon:
        host, (before, _, digits) = host[1:], port.partition(":")
        if before or ":" not in host:
            raise UnreadableAddressError
    else:
        host, _, digits = place.partition(":")
    if digits and not (digits.isascii() and digits.isdecimal() and 0 < int(digits[:6]) < 1 << 16):
        raise UnreadableAddressError
    try:
        host = (URL.build(scheme="http", host=host).raw_host or "").lower() if host else ""
    except ValueError:
        raise UnreadableAddressError from None
    labels = host.rstrip(".").split(".")
    if not _HOST.fullmatch(host) or not all(0 < len(label) <= _LABEL for label in labels):
        raise UnreadableAddressError
    return host, int(digits) if digits else None


def _encoded(target: str) -> str:
    """The target with what cannot be sent as it is in percent; everything else stays as it is."""
    if _SENDABLE.fullmatch(target):
        return target
    try:
        data = target.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise UnreadableAddressError from None
    return _FORBIDDEN.sub(lambda found: b"%%%02X" % found[0][0], data).decode("ascii")


def _without_dots(path: str) -> str:
    """A path with its `.` and `..` walked (RFC 3986, 5.2.4)."""
    walked: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments, 1):
        if segment == "..":
            del walked[-1:]
        elif segment != ".":
            walked.append(segment)
            continue
        if number == len(segments):
            walked.append("")
    return "/" + "/".join(walked)
