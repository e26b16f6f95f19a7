"""A JPEG made plain without decoding it: what stands around its image goes, its pixels stay as they are.

Phones append a second image or a film behind the end marker, and some write metadata that programs read
differently. Encoding such a file anew costs time and quality; leaving those parts out costs neither.
"""

# ruff: noqa: PLR2004 - the numbers are the format's own (ITU T.81, annex B)

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

TRIMMED: Final = frozenset({"trailing", "mpo", "metadata"})
"""What trimming mends, as `verdict.Repair.reasons` has it; `bytes` may go with it."""

_START: Final = b"\xff\xd8"
_SCAN: Final = 0xDA
_END: Final = 0xD9
_JFIF: Final = (0xE0, b"JFIF\0")
_PROFILE: Final = (0xE2, b"ICC_PROFILE\0")
_ADOBE: Final = (0xEE, b"Adobe")
_KEPT: Final = (_JFIF, _PROFILE, _ADOBE)
"""Application segments that say how the pixels look; all others are left out, and comments too."""
_APPLICATION: Final = range(0xE0, 0xF0)
_COMMENT: Final = 0xFE
_AFTER_DATA: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""The next marker that ends image data: not a stuffed byte, not a restart, not filling."""
_BETWEEN_SCANS: Final = frozenset({0xC4, 0xDB, 0xDC, 0xDD, _COMMENT, *_APPLICATION, _SCAN, _END})
"""Markers that may follow image data. Anything else means that the image broke off before."""


def can_trim(reasons: Collection[str]) -> bool:
    """Whether a JPEG with these reasons for a repair needs no decoder."""
    return bool(TRIMMED & set(reasons)) and TRIMMED | {"bytes"} >= set(reasons)


def trimmed(data: bytes) -> bytes | None:
    """The image alone, from its start marker to its own end marker.

    Args:
        data: A JPEG file that the structure scan found whole.

    Returns:
        The shorter file, or None where its segments do not lead from start to end: only a decoder can tell
        then what is in it.
    """
    try:
        return b"".join([_START, *_pieces(data)])
    except (IndexError, ValueError):
        return None


def _pieces(data: bytes) -> Iterator[bytes]:
    """The segments to keep and the image data, in order, up to the end marker.

    Raises:
        IndexError: The file ends too early.
        ValueError: Something stands where a segment should.
    """
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        while (marker := data[at]) == 0xFF:
            at += 1
        at += 1
        if marker == _END:
            yield b"\xff\xd9"
            return
        length = data[at] << 8 | data[at + 1]
        end = at + length
        if length < 2 or end > len(data):
            raise ValueError("a segment is cut off")
        if _stays(marker, data[at + 2 : at + 16]):
            yield bytes((0xFF, marker)) + data[at:end]
        at = end
        if marker == _SCAN:
            after = _AFTER_DATA.search(data, at)
            if after is None or after[1][0] not in _BETWEEN_SCANS:
                raise ValueError("the image data has no end")
            yield data[at : after.start()]
            at = after.start()


def _stays(marker: int, beginning: bytes) -> bool:
    if marker == _COMMENT:
        return False
    return marker not in _APPLICATION or any(
        marker == kept and beginning.startswith(name) for kept, name in _KEPT
    )
