"""Cookies along one chain of redirects, and nowhere else.

Many hosts set one and send the caller round to see whether it comes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import CookieJar

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL


class ChainCookies:
    """What the hosts of one chain have set; each gets its own, by the rules of browsers."""

    def __init__(self) -> None:
        self._jar: CookieJar | None = None

    def keep(self, response: ClientResponse) -> None:
        """Keep what an answer sets."""
        if not response.cookies:
            return
        if self._jar is None:
            self._jar = CookieJar(unsafe=True, quote_cookie=False)
        self._jar.update_cookies(response.cookies, response.url)

    def of(self, url: URL) -> str:
        """The `Cookie` header for an address, empty for none."""
        if self._jar is None:
            return ""
        found = self._jar.filter_cookies(url)
        return "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in found.values())
