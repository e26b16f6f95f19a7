"""The orientation that metadata declares, and whether decoders would agree on it.

EXIF decides, the first block if there are several. Only a SHORT of 1..8 counts. Anything else that
claims an orientation (0, 9, a text, XMP alone, a second block that differs) turns nothing, because
browsers, OpenCV and libvips ignore it while others do not: such a file is never passed untouched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

ORIENTATION_TAG: Final = 0x0112
SHORT: Final = 3
UPRIGHT: Final = 1
LAST: Final = 8
_MAX_ENTRIES: Final = 1024
_XMP_NAME: Final = b"tiff:Orientation"
_XMP_VALUE: Final = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9]{1,3})")


def orientation_of_exif(block: bytes) -> int | None:
    """The orientation in an EXIF block (a TIFF header and its first directory).

    Returns:
        None where none is declared or the block cannot be read, 1..8, or 0 for a value that is none of these.
    """
    order: Literal["little", "big"]
    if block[:4] == b"II*\0":
        order = "little"
    elif block[:4] == b"MM\0*":
        order = "big"
    else:
        return None
    start = int.from_bytes(block[4:8], order)
    count = min(int.from_bytes(block[start : start + 2], order), _MAX_ENTRIES)
    for at in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        if int.from_bytes(block[at : at + 2], order) != ORIENTATION_TAG:
            continue
        kind = int.from_bytes(block[at + 2 : at + 4], order)
        values = int.from_bytes(block[at + 4 : at + 8], order)
        value = int.from_bytes(block[at + 8 : at + 10], order)
        return value if kind == SHORT and values == 1 and UPRIGHT <= value <= LAST else 0
    return None


def orientation_of_xmp(packet: bytes) -> int | None:
    """The number that an XMP packet gives as `tiff:Orientation`, or None."""
    if _XMP_NAME not in packet:
        return None
    found = _XMP_VALUE.search(packet)
    return int(found[1]) if found else 0


def settle(exif: Sequence[int | None], others: Sequence[int | None] = ()) -> tuple[int, bool]:
    """One orientation out of everything that a file declares.

    Args:
        exif: What each EXIF block says, in file order.
        others: What places say that only some decoders read (XMP, text chunks).

    Returns:
        The orientation to apply, 1..8, and whether decoders agree on it.
    """
    said = [value for value in exif if value is not None]
    orientation = said[0] if said and said[0] else UPRIGHT
    agreed = all(value == orientation for value in said) and all(
        value is None or value == orientation for value in others
    )
    return orientation, agreed
