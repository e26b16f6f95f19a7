"""How a setting names a proxy: `environment`, `none`, or an address without a password."""

from __future__ import annotations

from urllib.parse import urlsplit

from batchsearch.proxies import ENVIRONMENT, NONE, check_proxy


def proxy_setting(proxy: str) -> str:
    """The setting as it is kept.

    Raises:
        ValueError: It names no proxy, or holds a password.
    """
    if proxy in (ENVIRONMENT, NONE):
        return proxy
    try:
        check_proxy(proxy)
    except ValueError:
        raise ValueError("must be `environment`, `none`, or `http://host:port`") from None
    parts = urlsplit(proxy)
    if "@" in parts.netloc:
        raise ValueError("holds a user; give this proxy in the environment, HTTPS_PROXY and HTTP_PROXY")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must end after the port: `http://host:port`")
    return proxy
