"""PNG and APNG: every chunk's bounds, checksums of all that is not picture data (PNG, third edition)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

import re
import zlib
from typing import Final

from batchsearch.images.headers.exif import orientation_of_exif, orientation_of_xmp, settle
from batchsearch.images.headers.facts import MAX_BLOCKS, DamagedError, Inspection

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOURS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type: samples of a pixel."""
_PALETTE: Final = 3
_ALPHA: Final = frozenset({4, 6})
_MAX_TEXT: Final = 1 << 20
_RAW_EXIF: Final = re.compile(rb"Raw profile type (?:exif|APP1)\0")


def scan(data: bytes) -> Inspection:
    """Reads a PNG's chunks; checksums of the picture data itself are left to `picture_data_matches`.

    Raises:
        DamagedError: The file ends early, a checksum is wrong, or the header contradicts itself.
        IndexError: The file ends inside the header.
    """
    if data[8:16] != b"\0\0\0\rIHDR":
        raise DamagedError("broken", "the header chunk is missing")
    width = int.from_bytes(data[16:20], "big")
    height = int.from_bytes(data[20:24], "big")
    bits, colour, interlace = data[24], data[25], data[28]
    if not width or not height or colour not in _COLOURS or bits not in {1, 2, 4, 8, 16} or interlace > 1:
        raise DamagedError("broken", "the header chunk gives an impossible size or pixel format")
    found = _Chunks()
    end = _walk(data, found, size=(width, height))
    if not found.pixels:
        raise DamagedError("broken", "no picture data", width=width, height=height)
    notes: list[str] = []
    if end < len(data):
        notes.append("trailing")
    if bits != 8:
        notes.append(f"{bits}bit")
    if colour == _PALETTE:
        notes.append("palette")
    if colour in _ALPHA or found.transparency:
        notes.append("alpha")
    if found.frames > 1:
        notes.append("animated")
    orientation, agreed = settle(found.exif, found.other_orientations)
    if not agreed:
        notes.append("metadata")
    return Inspection(
        "PNG",
        width,
        height,
        progressive=bool(interlace),
        frames=max(1, found.frames),
        bits=bits,
        components=_COLOURS[colour],
        orientation=orientation,
        icc=found.icc,
        notes=tuple(notes),
    )


def picture_data_matches(data: bytes) -> bool:
    """Whether the checksums of all picture data hold, for a file that `scan` found whole."""
    view = memoryview(data)
    at = 8
    while (kind := data[at + 4 : at + 8]) != b"IEND":
        after = at + 12 + int.from_bytes(view[at : at + 4], "big")
        if kind == b"IDAT" and zlib.crc32(view[at + 4 : after - 4]) != int.from_bytes(
            view[after - 4 : after], "big"
        ):
            return False
        at = after
    return True


class _Chunks:
    """What the chunks after the header say."""

    def __init__(self) -> None:
        self.pixels = False
        self.transparency = False
        self.icc = False
        self.frames = 1
        self.exif: list[int | None] = []
        self.other_orientations: list[int | None] = []

    def read(self, kind: bytes, body: bytes) -> None:
        """Takes note of one chunk that is not picture data."""
        if kind == b"tRNS":
            self.transparency = True
        elif kind == b"iCCP":
            self.icc = True
        elif kind == b"acTL":
            self.frames = int.from_bytes(body[:4], "big")
        elif kind == b"eXIf":
            self.exif.append(orientation_of_exif(body.removeprefix(b"Exif\0\0")))
        elif kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0"):
            self.other_orientations.append(orientation_of_xmp(body))
        elif kind in {b"tEXt", b"zTXt"} and _RAW_EXIF.match(body):
            self.other_orientations.append(_raw_profile(kind, body))


def _walk(data: bytes, found: _Chunks, *, size: tuple[int, int]) -> int:
    """Goes over all chunks; returns the offset after the last one."""
    width, height = size
    end = len(data)
    at = 8
    view = memoryview(data)
    for _ in range(MAX_BLOCKS):
        length = int.from_bytes(view[at : at + 4], "big")
        after = at + 12 + length
        if after > end:
            raise DamagedError("truncated", "a chunk is cut off", width=width, height=height)
        kind = data[at + 4 : at + 8]
        if kind == b"IDAT":
            found.pixels = True
        elif zlib.crc32(view[at + 4 : after - 4]) != int.from_bytes(view[after - 4 : after], "big"):
            raise DamagedError("broken", "a chunk's checksum is wrong", width=width, height=height)
        elif kind == b"IEND":
            return after
        else:
            found.read(kind, data[at + 8 : after - 4])
        at = after
    raise DamagedError("broken", f"more than {MAX_BLOCKS} chunks", width=width, height=height)


def _raw_profile(kind: bytes, body: bytes) -> int | None:
    """The orientation in EXIF written as hexadecimal text, as ImageMagick did before `eXIf` existed."""
    text = body.split(b"\0", 1)[1]
    if kind == b"zTXt":
        try:
            text = zlib.decompressobj().decompress(text[1:], _MAX_TEXT)
        except zlib.error:
            return None
    try:
        block = bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return None
    return orientation_of_exif(block.removeprefix(b"Exif\0\0"))
