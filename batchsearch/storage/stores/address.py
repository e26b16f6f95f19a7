"""Addresses of object stores as a job file gives them: `scheme://bucket/path`, no secret in them (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<path>.*)", re.DOTALL)
_UNREADABLE: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN: Final = 200


class AddressError(ValueError):
    """An address that names no place in a store; the message says what to write, and quotes no secret."""


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A place in a store.

    Attributes:
        scheme: In lower case: `s3`, `oss`, `gs`, or another that fsspec knows.
        path: Bucket and the path in it, without a slash at either end.
    """

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def below(self, *names: str) -> StoreAddress:
        """The place of something in this folder."""
        return StoreAddress(self.scheme, "/".join((self.path, *names)))


def is_store_url(text: str) -> bool:
    """Whether a setting is an address rather than a path of this machine; `file:` addresses are paths."""
    match = _URL.match(text)
    return match is not None and match["scheme"].lower() not in ("file", "local")


def shown_url(text: str) -> str:
    """An address as it may be shown: without user part, query and fragment."""
    match = _URL.match(text)
    if match is None:
        return text[:_SHOWN]
    return f"{match['scheme']}://{re.split('[?#]', match['path'])[0].rpartition('@')[2]}"[:_SHOWN]


def parse_address(text: str) -> StoreAddress:
    """The place that an address names.

    Raises:
        AddressError: It has a user part or a query, which may hold secrets, names no bucket, or has
            characters or steps (`..`) that stores read in different ways.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise AddressError("is no address like s3://bucket/folder")
    path = match["path"].strip("/")
    if "@" in path.partition("/")[0]:
        raise AddressError("has a user part; credentials come from the environment, never from an address")
    # A glob's question mark is no query, and a fragment's sign may be part of a name.
    if re.search(r"\?[\w.-]+=", path):
        raise AddressError("has a query, which may hold a secret; give the bucket and the path alone")
    if _UNREADABLE.search(path) or {".", ".."} & set(path.split("/")):
        raise AddressError("has `.`, `..` or a control character in its path")
    if not path:
        raise AddressError("names no bucket; write it like s3://bucket/folder")
    return StoreAddress(match["scheme"].lower(), path)
