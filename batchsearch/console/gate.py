"""Who may talk to the console: decided from a request's head, before its body is read (pure).

A page of another site can make a browser send requests to this machine, and a name can be made to lead here.
So a request has to name this server as its host, carry the cookie that the printed address was exchanged for,
and, where it changes or costs anything, come from a page of this server and know its token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.console.wording import say

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What pages of the console may load and do: their own files, nothing inline, nothing from elsewhere."""

HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        # With no referrer at all browsers send forms of the page itself with `Origin: null`.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
"""Of every answer; a route may replace the policy by one that is as strict."""

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"
_BODIES: Final = frozenset({"multipart/form-data", "application/x-www-form-urlencoded", "application/json"})
_READING: Final = frozenset({"GET", "HEAD"})
_ENTRANCE: Final = "/"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: HTTPStatus
    reason: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What this server goes by.

    Attributes:
        port: The port it listens on.
        cookie: What the cookie has to be.
        csrf: What requests that change or cost anything have to know.
        host: The address that it was told to listen on.
    """

    port: int
    cookie: str
    csrf: str
    host: str = "127.0.0.1"

    @property
    def cookie_name(self) -> str:
        """Several consoles on one machine share the browser's cookies, which know no ports."""
        return f"batchsearch_console_{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """What a request may name as its host."""
        names = {"127.0.0.1", "localhost", "[::1]", f"[{self.host}]" if ":" in self.host else self.host}
        return frozenset(f"{name}:{self.port}" for name in names)

    def refusal(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        cookies: Mapping[str, str],
        content_type: str,
    ) -> Refusal | None:
        """Why a request is refused; None when it may go on.

        Args:
            method: Of HTTP.
            path: Without the query.
            headers: By name, in any case.
            cookies: By name.
            content_type: Without its parameters.
        """
        host = headers.get("Host", "")
        if host not in self.hosts:
            return Refusal(HTTPStatus.MISDIRECTED_REQUEST, say("refused.host"))
        if method not in _READING and method != "POST":
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, say("refused.method"))
        if not self.knows(cookies):
            if path == _ENTRANCE and method in _READING:
                return None
            return Refusal(HTTPStatus.FORBIDDEN, say("refused.unknown"))
        return None if method in _READING else self._foreign(host, headers, content_type)

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether the browser has been let in."""
        return _same(cookies.get(self.cookie_name, ""), self.cookie)

    @staticmethod
    def _foreign(host: str, headers: Mapping[str, str], content_type: str) -> Refusal | None:
        if headers.get("Origin") != f"http://{host}":
            return Refusal(HTTPStatus.FORBIDDEN, say("refused.foreign"))
        if headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return Refusal(HTTPStatus.FORBIDDEN, say("refused.foreign"))
        if content_type not in _BODIES:
            return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, say("refused.body"))
        return None

    def has_token(self, given: str | None) -> bool:
        """Whether a form, or a header, knows the token of this server's pages."""
        return _same(given or "", self.csrf)


def _same(given: str, secret: str) -> bool:
    """Whether a text is the secret one, in a time that does not tell; bytes of no encoding are surrogates."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


class Entrance:
    """The one-time token of the printed address.

    Args:
        token: 256 random bits, as text.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._used: set[str] = set()

    @property
    def token(self) -> str:
        """What the next printed address carries."""
        return self._token

    def opens(self, given: str) -> bool:
        """Whether this token lets somebody in; it does so once."""
        if not _same(given, self._token) or self._token in self._used:
            return False
        self._used.add(self._token)
        return True

    def was_used(self, given: str) -> bool:
        """Whether it has let somebody in before: whoever has it may ask the terminal for another one."""
        return given in self._used

    def renew(self, token: str) -> None:
        """Goes by another token from now on."""
        self._token = token
