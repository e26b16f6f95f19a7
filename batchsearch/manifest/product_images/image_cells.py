"""The images that one cell names, and the name of each within its product (pure).

A cell may hold one image or several: a JSON array, or texts with something between them. With `auto` a line
break always separates; a comma, semicolon, bar or blank does only where another address follows (`http://`,
`//host`), or where a file name with an image's ending stands before it: commas inside an address or a file
name stay where they are.

An image is named by what it is, not by its place: images that come, go or change places leave the names of
the others alone. An address is named without what changes while the image stays the same: user part,
fragment, and the parameters of signatures and versions; bytes are named by themselves.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from batchsearch.config.image_texts import SIGNING

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTO: Final = "auto"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class InlineImage:
    """An image that is in the table itself.

    Attributes:
        data: The file's bytes.
        path: What the table calls it, for people.
    """

    data: bytes
    path: str | None = None


Image: TypeAlias = str | InlineImage
"""A path or an address as text, or the image itself."""

NO_IMAGE: Final = "no-image"
"""The name of the row that a manifest's row without an image is."""

ADDRESS_FIELDS: Final = ("src", "url", "href", "link", "image", "image_url", "contentUrl", "path", "file")
"""Fields of an object or struct that hold an image's address, the likelier ones first."""

_NO_FILE: Final = frozenset({"no_selection"})
"""What a shop writes for no image: Magento does."""
_NAME_BYTES: Final = 8
_ENDINGS: Final = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "bmp", "tif", "tiff", "avif", "heic", "heif", "jp2"}
)
_LINES: Final = re.compile(r"[\r\n]+")
_BEFORE_ADDRESS: Final = re.compile(r"[\s,;|]+(?=[A-Za-z][A-Za-z0-9+.-]*://|//[^/\s])")
_AFTER_FILE: Final = re.compile(rf"(?i)(\.(?:{'|'.join(sorted(_ENDINGS))})(?:\?[^\s,;|]*)?)\s*[,;|]+\s*")
_ANY_BETWEEN: Final = re.compile(r"[,;|\s]")
_IS_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|//[^/\s]")
_EDGES: Final = " \t\r\n,;|"
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^?#]*)(?:\?([^#]*))?", re.DOTALL)
_OF_SIGNATURES: Final = re.compile(SIGNING, re.IGNORECASE)
_OF_FILES: Final = re.compile(
    r"(?i)(?:v|ver|version|rev|t|ts|timestamp|_|cb|cache|cachebuster|modified|updated|token|exp|expiration"
    r"|s[prtv]|se|spr|ske|sks|skt|skv|skoid|sktid)"
)
"""Parameters that change while a file stays the same; a program's address may mean something else by them."""


def images_in(text: str | None, separator: str = AUTO) -> list[str]:
    """The images that a text cell names, in order, each as it is written.

    Args:
        text: The cell.
        separator: What stands between images: `auto`, `none`, or a text.
    """
    if text is None or not text or text.isspace() or text.strip() in _NO_FILE:
        return []
    if separator == NONE:
        return [text]
    bare = text.strip()
    if bare[0] in "[{" and (listed := _from_json(bare)) is not None:
        return listed
    if separator != AUTO:
        return [part for each in text.split(separator) if (part := each.strip())]
    if bare[:5].lower() == "data:" or not _ANY_BETWEEN.search(bare):
        return [text]
    lines = _LINES.split(bare) if "\n" in bare or "\r" in bare else [bare]
    found = [part for line in lines for part in _in_line(line)]
    # A single one stays as it is written: a file's name may begin or end with a blank.
    return [text] if found == [bare] else found


def _in_line(line: str) -> list[str]:
    line = line.strip(_EDGES)
    if not line:
        return []
    parts = (
        _BEFORE_ADDRESS.split(line) if _IS_ADDRESS.match(line) else _AFTER_FILE.sub(r"\1\n", line).split("\n")
    )
    return [part for each in parts if (part := each.strip(_EDGES))]


def _from_json(text: str) -> list[str] | None:
    """What a JSON array names; None for what is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        return None
    return list(_in_json(found))


def _in_json(found: list[Any]) -> Iterator[str]:
    for each in found:
        if isinstance(each, str):
            if each.strip():
                yield each.strip()
        elif isinstance(each, dict):
            named = (each.get(name) for name in ADDRESS_FIELDS)
            text = next((value for value in named if isinstance(value, str) and value.strip()), None)
            if text is not None:
                yield text.strip()
        elif isinstance(each, list):
            yield from _in_json(each)


def name_of(image: Image) -> str:
    """The name of an image within its product: sixteen hexadecimal digits that stay while it is the same."""
    data = (
        image.data
        if isinstance(image, InlineImage)
        else b"\0" + _lasting(image).encode("utf-8", "surrogatepass")
    )
    return hashlib.blake2b(data, digest_size=_NAME_BYTES).hexdigest()


def _lasting(text: str) -> str:
    """Of an address what lasts; a path as it is, but for blanks around it."""
    text = text.strip()
    if "?" not in text and "@" not in text and "#" not in text:
        return text
    found = _ADDRESS.match(text)
    if found is None:
        return _without_signature(text)
    scheme, place, query = found.groups()
    is_file = place.rpartition(".")[2].lower() in _ENDINGS
    kept = [
        each for each in (query or "").split("&") if each and not _passes(each.partition("=")[0], is_file)
    ]
    return f"{scheme}{place}{'?' if kept else ''}{'&'.join(kept)}"


def _without_signature(text: str) -> str:
    """A text without a scheme, which may be an address below `images.base_url`: all but its signature."""
    place, _, query = text.partition("?")
    parts = query.split("&")
    kept = [each for each in parts if not _OF_SIGNATURES.fullmatch(each.partition("=")[0])]
    return text if len(kept) == len(parts) else f"{place}{'?' if kept else ''}{'&'.join(kept)}"


@lru_cache(maxsize=256)
def _passes(parameter: str, is_file: bool) -> bool:
    return bool(_OF_SIGNATURES.fullmatch(parameter) or (is_file and _OF_FILES.fullmatch(parameter)))
