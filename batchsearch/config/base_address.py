"""Relative addresses: what a path in a manifest means below `images.base_url` (pure).

A path is under the base whatever it looks like: a leading slash does not lead to the root of the host, `//`
not to another host, `..` not above the base, written plainly, in percent or with backslashes. What follows a
`?` is the query; a `#` is part of a file's name, for no fragment is ever sent.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from batchsearch.path_spellings import BLANKS

SCHEMES: Final = ("http", "https", "s3", "oss", "gs")
"""What a base address may begin with."""

_BASE: Final = re.compile(rf"(?i)({'|'.join(SCHEMES)})://[^/?#@\s\\]+(?:/[^?#\s\\]*)?")
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MOST_UNQUOTED: Final = 4


class OutsideBaseError(ValueError):
    """A path leads above its base address."""


def is_base(text: str) -> bool:
    """Whether a text can be a base address: a host or bucket, and a path; no user, query or fragment."""
    return _BASE.fullmatch(text) is not None and not _leads_up(text)


def under(base: str, path: str) -> str:
    """The address of a path below a base address.

    Args:
        base: As `is_base` lets pass.
        path: As the manifest has it.

    Raises:
        OutsideBaseError: It would lead above the base.
    """
    place, question, query = path.strip(BLANKS).partition("?")
    place = place.replace("\\", "/").lstrip("/")
    if _leads_up(place):
        raise OutsideBaseError
    kept = [part for part in place.split("/") if part != "."]
    place = _PERCENT.sub("%25", "/".join(kept)).replace("#", "%23")
    return f"{base.rstrip('/')}/{place}{question}{query.partition('#')[0]}"


def _leads_up(place: str) -> bool:
    """Whether any part of a path is `..`, however often it is encoded: servers decode before they walk."""
    for _ in range(_MOST_UNQUOTED):
        if ".." in place.replace("\\", "/").split("/"):
            return True
        plain = unquote(place)
        if plain == place:
            return False
        place = plain
    return True
