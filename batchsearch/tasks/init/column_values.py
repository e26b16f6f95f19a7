"""What the values of a column look like: images, base64 text, numbers (pure)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from batchsearch.manifest.product_images.image_cells import images_in
from batchsearch.tasks.init.sniffing import ADDRESS, is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchsearch.tasks.init.first_look import ColumnFacts

_BASE64: Final = re.compile(r"[A-Za-z0-9+/\r\n]{200,}={0,2}\s*")
_HOST: Final = re.compile(r"(?i)(?:https?:)?//(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]+)")
PROBED: Final = 20
"""Images that are looked for."""


def share(column: ColumnFacts, fits: Callable[[str], bool]) -> float:
    """Of the texts that a column has, the part that fit."""
    given = [value for value in column.given if isinstance(value, str)]
    return sum(map(fits, given)) / len(given) if given else 0.0


def is_base64(text: str) -> bool:
    """Whether a text is a long one in base64."""
    return bool(_BASE64.fullmatch(text))


def is_address(text: str) -> bool:
    """Whether a text is the address of something."""
    return bool(ADDRESS.match(text.strip()))


def private_host(text: str) -> str | None:
    """The host of an address, where it is this machine or in a private network by its name; else None."""
    found = _HOST.match(text.strip())
    if found is None:
        return None
    host = found[1].strip("[]").lower()
    try:
        return None if ip_address(host).is_global else host
    except ValueError:
        is_private = host == "localhost" or host.endswith((".local", ".localhost", ".internal", ".lan"))
        return host if is_private or "." not in host else None


def is_trade_code(value: object) -> bool:
    """Whether a value is an EAN, UPC or GTIN: 8 to 14 digits, of which the last one checks the others.

    Source: GS1 General Specifications, 7.9 (check digits). Zeros in front, which Excel takes away, do not
    change the sum.
    """
    text = str(value).strip()
    if not re.fullmatch(r"\d{8,14}", text):
        return False
    sum_of = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(text[:-1])))
    return (sum_of + int(text[-1])) % 10 == 0


def whole(value: object) -> int | None:
    """A value as the whole number that it is, or None."""
    try:
        return int(str(value))
    except ValueError:
        return None


def are_numbers(column: ColumnFacts) -> bool:
    """Whether all that a column has are numbers."""
    return bool(column.given) and all(re.fullmatch(r"-?\d+(?:\.\d+)?", str(each)) for each in column.given)


def images_of(value: object) -> list[str]:
    """The images that a cell names."""
    if isinstance(value, list):
        return [text for each in value if isinstance(each, str) for text in images_in(each)]
    return images_in(value) if isinstance(value, str) else []


def image_cells(column: ColumnFacts) -> tuple[float, int]:
    """Of a column's cells the part that name images and nothing else, and the most in one of them."""
    cells = [found for value in column.given if (found := images_of(value))]
    if not cells:
        return 0.0, 0
    good = [found for found in cells if all(map(is_reference, found))]
    return len(good) / len(cells), max((len(found) for found in good), default=0)


def probed(columns: Sequence[ColumnFacts]) -> list[str]:
    """A few of the images that columns name, from all over the rows: one folder does not stand for all."""
    found = list(
        dict.fromkeys(text for column in columns for value in column.given for text in images_of(value))
    )
    step = max(1, len(found) // PROBED)
    return found[::step][:PROBED]
