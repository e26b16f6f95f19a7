"""What an image is known by: where a reference leads, and the digests of its file and its pixels (pure).

Whoever reads an image, asks whether it has changed or compares it with another goes by these, so that all
mean the same image.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from batchsearch.config.base_address import OutsideBaseError, under
from batchsearch.config.image_texts import lacks_scheme
from batchsearch.path_spellings import BLANKS

if TYPE_CHECKING:
    from batchsearch.config.sections.image_settings import ImageSettings
    from batchsearch.manifest.rows import ImageReference

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def file_digest(data: bytes) -> bytes:
    """SHA-256 of an image's file, 32 bytes: equal files have equal ones."""
    return sha256(data).digest()


def pixel_digest(width: int, height: int, pixels: bytes) -> bytes:
    """SHA-256 of sides and upright RGB pixels, 32 bytes: equal images have equal ones, whatever the file."""
    return sha256(b"%dx%d:" % (width, height) + pixels).digest()


def is_inline(reference: ImageReference, settings: ImageSettings) -> bool:
    """Whether a reference holds the image itself, as bytes or as base64 text."""
    return reference.data is not None or (reference.path is not None and settings.text == "base64")


def scheme_of(url: str) -> str | None:
    """An address's scheme in small letters; None where it has none."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else None


def address_of(reference: ImageReference, settings: ImageSettings) -> str | None:
    """The address that a reference is; one without its scheme gets the job's, a relative one its base."""
    if reference.path is None or is_inline(reference, settings):
        return reference.url
    if lacks_scheme(reference.path):
        return None if settings.scheme is None else f"{settings.scheme}:{reference.path.strip(BLANKS)}"
    if settings.base_url is None:
        return None
    try:
        return under(settings.base_url, reference.path)
    except OutsideBaseError:
        return None


def path_of(reference: ImageReference, settings: ImageSettings) -> str | None:
    """The path of the file that a reference leads to, as it is written; None where it leads to no file."""
    if is_inline(reference, settings) or settings.base_url is not None:
        return None
    url = address_of(reference, settings)
    if url is None:
        return reference.path
    try:
        return path_in(url) if scheme_of(url) == "file" else None
    except ValueError:
        return None


def path_in(url: str) -> str | None:
    """The path of a `file:` address; None for one on another host.

    Raises:
        ValueError: The address cannot be read.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        return None
    return unquote(parts.path, errors="surrogateescape")
