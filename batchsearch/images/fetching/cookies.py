"""Cookies along one chain of redirects, and nowhere else.

Many hosts set one and send the caller round to see whether it comes back.
"""

from __future__ import annotations

from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from aiohttp import CookieJar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yarl import URL


class ChainCookies:
    """What the hosts of one chain have set; each gets its own, by the rules of browsers."""

    def __init__(self) -> None:
        self._jar: CookieJar | None = None

    def keep(self, lines: Sequence[str], url: URL) -> None:
        """Keep what an answer sets.

        Args:
            lines: Its `Set-Cookie` headers.
            url: What was asked.
        """
        if not lines:
            return
        if self._jar is None:
            self._jar = CookieJar(unsafe=True, quote_cookie=False)
        if hasattr(self._jar, "update_cookies_from_headers"):  # from aiohttp 3.12 on
            self._jar.update_cookies_from_headers(lines, url)
            return
        cookies = SimpleCookie()
        for line in lines:
            with suppress(CookieError):
                cookies.load(line)
        self._jar.update_cookies(cookies, url)

    def of(self, url: URL) -> str:
        """The `Cookie` header for an address, empty for none."""
        if self._jar is None:
            return ""
        found = self._jar.filter_cookies(url)
        return "; ".join(f"{cookie.key}={cookie.coded_value}" for cookie in found.values())
