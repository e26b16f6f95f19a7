"""What must never be shown is taken out of text, whoever wrote it: the last line of defence.

Nothing that holds a secret is passed on knowingly. But messages come from outside as well: a service
that quotes the address it was given, a library that quotes a request. Three things leave any text:
secrets that this process holds (`keep_secret`), what follows the path of an address (a signed URL's
signature is in its query), and values that are named as secrets.
"""

from __future__ import annotations

import re
import threading
from typing import Final

TAKEN_OUT: Final = "[secret]"
"""What stands in a secret's place."""

_SHORTEST: Final = 8
_MOST_KEPT: Final = 256

_ADDRESS: Final = re.compile(
    r"""(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,20}://     # s3://, https:// …
            |(?<![\w/:\\])//                                # without a scheme
            |\b(?i:https?)(?::/|//|:(?=\w)))                    # misspelled
        (?:[^\s/?#"'<>\\]*@)?                             # user and password
        (?P<place>[^\s?#"'<>\\]*)
        (?P<rest>[?#][^\s"'<>\\]*)?""",
    re.VERBOSE,
)
_NAMED: Final = re.compile(
    r"""(?P<name>\b(?:x-(?:oss|amz|acs)-(?:signature|credential|security-token)|signature|sig|authorization
            |(?:access-?_?key-?_?|client_?|app_?)secret|security-?_?token|session_?token|password|policy)
        ["']?\s*(?::|=|%3D)\s*["']?(?:(?:bearer|basic|acs3-hmac-sha256)\s+)?)
        [^\s&"',;}<>]{6,}""",
    re.VERBOSE | re.IGNORECASE,
)

_lock = threading.Lock()
_kept: dict[str, None] = {}


def keep_secret(value: str | None) -> None:
    """From now on this text is taken out wherever `redacted` sees it.

    A value shorter than eight characters is not kept: it would be found in ordinary words. Only the latest
    few hundred are kept; credentials that are renewed all night replace the oldest.
    """
    if value is None or len(value) < _SHORTEST:
        return
    with _lock:
        _kept.pop(value, None)
        _kept[value] = None
        while len(_kept) > _MOST_KEPT:
            del _kept[next(iter(_kept))]


def redacted(text: str) -> str:
    """The text without secrets: kept ones, users and queries of addresses, values named as secrets."""
    for secret in tuple(_kept):
        if secret in text:
            text = text.replace(secret, TAKEN_OUT)
    if "//" in text or "http" in text.lower():
        text = _ADDRESS.sub(_plain_address, text)
    return _NAMED.sub(_named, text)


def _plain_address(found: re.Match[str]) -> str:
    return f"{found['scheme']}{found['place']}{'?…' if found['rest'] else ''}"


def _named(found: re.Match[str]) -> str:
    return f"{found['name']}{TAKEN_OUT}"
