"""PNG and APNG: every chunk's bounds, checksums of all that is not image data (PNG, third edition)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

import re
import zlib
from typing import Final

from batchsearch.images.headers.exif import orientation_of_exif, orientation_of_xmp, settle
from batchsearch.images.headers.icc import MAX_PROFILE, differs
from batchsearch.images.headers.structure_facts import MAX_BLOCKS, DamagedError, Inspection

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_COLOURS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type: samples of a pixel."""
_PALETTE: Final = 3
_COLOURED: Final = 2
"""Bit of the colour type that says that pixels have colours."""
_ALPHA: Final = frozenset({4, 6})
_MAX_TEXT: Final = 1 << 20
_MOST_PROFILES: Final = 8
_LONGEST_READ: Final = 1 << 20
"""Unpacked bytes of one chunk that the decoder takes."""
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_RAW_EXIF: Final = re.compile(rb"Raw profile type (?:exif|APP1)\0")


def scan(data: bytes) -> Inspection:
    """Reads a PNG's chunks; checksums of the image data itself are left to `image_data_matches`.

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
        raise DamagedError("broken", "no image data", width=width, height=height)
    notes = found.notes(bits, colour)
    if end < len(data):
        notes.insert(0, "trailing")
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
        icc=bool(found.profile),
        notes=tuple(notes),
    )


def image_data_matches(data: bytes) -> bool:
    """Whether the checksums of all image data hold, for a file that `scan` found whole."""
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
        self.profile = b""
        self.frames = 1
        self.exif: list[int | None] = []
        self.other_orientations: list[int | None] = []

    def notes(self, bits: int, colour: int) -> list[str]:
        """What makes the variant other than plain, as far as header and chunks tell."""
        holds = {
            f"{bits}bit": bits != 8,
            "palette": colour == _PALETTE,
            "alpha": colour in _ALPHA or self.transparency,
            "profile": bool(self.profile) and differs(self.profile, 3 if colour & _COLOURED else 1),
            "animated": self.frames > 1,
        }
        return [note for note, is_so in holds.items() if is_so]

    def read(self, kind: bytes, body: bytes) -> None:
        """Takes note of one chunk that is not image data."""
        if kind == b"tRNS":
            self.transparency = True
        elif kind == b"iCCP" and not self.profile:
            self.profile = _profile(body)
        elif kind == b"acTL":
            self.frames = int.from_bytes(body[:4], "big")
        elif kind == b"eXIf":
            self.exif.append(orientation_of_exif(body.removeprefix(b"Exif\0\0")))
        elif kind == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0"):
            self.other_orientations.append(orientation_of_xmp(body))
        elif kind in {b"tEXt", b"zTXt"} and _RAW_EXIF.match(body):
            # A file with more of them than programs write is not believed, and not unpacked.
            many = len(self.other_orientations) >= _MOST_PROFILES
            self.other_orientations.append(0 if many else _raw_profile(kind, body))


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


def without_texts(data: bytes) -> bytes:
    """A PNG without its texts and oversized profiles: a decoder unpacks them, and gives up on long ones.

    Args:
        data: A file that `scan` found whole.

    Returns:
        The shorter file; the very same object if it holds none.
    """
    kept: list[bytes] = []
    profile_is_read = False
    start, at = 0, 8
    while (kind := data[at + 4 : at + 8]) != b"IEND":
        after = at + 12 + int.from_bytes(data[at : at + 4], "big")
        unwanted = kind in _TEXTS
        if kind == b"iCCP":
            # One is allowed; unpacking every one of very many would take minutes.
            unwanted = profile_is_read or len(_profile(data[at + 8 : after - 4])) > _LONGEST_READ
            profile_is_read = True
        if unwanted:
            kept.append(data[start:at])
            start = after
        at = after
    return b"".join([*kept, data[start:]]) if kept else data


def _profile(body: bytes) -> bytes:
    """The colour profile out of its chunk; a single byte, which is no profile, if it cannot be read."""
    try:
        return zlib.decompressobj().decompress(body.split(b"\0", 1)[1][1:], MAX_PROFILE + 1) or b"\0"
    except (zlib.error, IndexError):
        return b"\0"


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
