"""The job file's `images.headers`: what is told to hosts of images; secrets come from the environment.

A value names the environment's variables as `${NAME}`. What is secret goes to the host that it is for and
to nobody else: over https, unless the host is written with `http://` or is this machine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from batchsearch.config.credential_names import names_a_secret_header

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A variable of the environment inside a header's value."""
HOST: Final = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<any>\*\.)?(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
"""How the hosts of `images.headers` are written; `*` alone means every host."""
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "if-range",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how a request travels; they are the HTTP client's."""
_LONGEST: Final = 8_192


def check_headers(headers: Mapping[str, Mapping[str, str]]) -> None:
    """Raises ValueError, without quoting a value, if hosts or headers are not usable."""
    for host, values in headers.items():
        if host != "*" and HOST.fullmatch(host) is None:
            raise ValueError(
                f"{host[:60]!r} is no host; write `cdn.example`, `*.cdn.example`, `cdn.example:8443` or `*`"
            )
        for name, value in values.items():
            where = f"{host}: {name[:60]}"
            if not _NAME.fullmatch(name):
                raise ValueError(f"{where} is no name of a header")
            if name.lower() in _OURS:
                raise ValueError(f"{where} is set by the HTTP client itself")
            if not sendable(value):
                raise ValueError(f"{where} must be one line of Latin-1 text, at most {_LONGEST:,} characters")
            if is_secret(name, value) and host == "*":
                raise ValueError(f"{where} holds a secret; name the host that it is for, not all of them")


def sendable(value: str) -> bool:
    """Whether a text can be a header's value."""
    return len(value) <= _LONGEST and all(
        sign == "\t" or (" " <= sign <= "\xff" and not "\x7f" <= sign < "\xa0") for sign in value
    )


def is_secret(name: str, value: str) -> bool:
    """Whether a header is to be kept secret: by its name, or because its value is from the environment."""
    return names_a_secret_header(name) or VARIABLE.search(value) is not None
