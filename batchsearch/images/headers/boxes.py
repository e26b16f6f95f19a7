"""JPEG 2000, AVIF and HEIF: files made of boxes (ISO 15444-1 annex I, ISO 14496-12, ISO 23008-12).

Only what is needed to refuse damage and huge canvases before decoding: top-level bounds and sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.images.headers.structure_facts import MAX_BLOCKS, DamagedError, Inspection

if TYPE_CHECKING:
    from collections.abc import Iterator

JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM_SIGNATURE: Final = b"\xff\x4f\xff\x51"
_AVIF: Final = frozenset({b"avif", b"avis"})
_HEIF: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_WHOLE_REST: Final = 0
_LONG: Final = 1
_FULL_BOX: Final = 4
"""Bytes of version and flags at the beginning of the box `meta`."""


def family_of(data: bytes) -> str | None:
    """`AVIF` or `HEIF` for a file whose `ftyp` box names one of their brands, else None."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
    if brands & _AVIF:
        return "AVIF"
    return "HEIF" if brands & _HEIF else None


def scan_jpeg2000(data: bytes) -> Inspection:
    """Reads the sides from the codestream's own header and looks for its end marker.

    Raises:
        DamagedError: A box or the end marker is missing, or the header is unusable.
        IndexError: The file ends inside the header.
    """
    start, end = 0, len(data)
    if data.startswith(JP2_SIGNATURE):
        for kind, body, after in _boxes(data, 0, len(data)):
            if kind == b"jp2c":
                start, end = body, after
                break
        else:
            raise DamagedError("truncated", "the box with the image is missing")
    if data[start : start + 4] != CODESTREAM_SIGNATURE:
        raise DamagedError("broken", "the codestream has no header")
    at = start + 8
    right, bottom, left, top = (int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") for i in range(4))
    components = int.from_bytes(data[at + 32 : at + 34], "big")
    bits = (data[at + 34] & 0x7F) + 1
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not components:
        raise DamagedError("broken", "the codestream gives an impossible size")
    if b"\xff\xd9" not in data[max(start, end - 16) : end]:
        raise DamagedError("truncated", "the end marker is missing", width=width, height=height)
    return Inspection("JPEG2000", width, height, bits=bits, components=components)


def scan_avif(data: bytes) -> Inspection:
    """Reads the largest declared size of an AVIF file; its orientation is left to the decoder.

    Raises:
        DamagedError: A box is cut off or no size is declared.
    """
    return _scan_items(data, "AVIF")


def scan_heif(data: bytes) -> Inspection:
    """Reads the largest declared size of a HEIF file; its orientation is left to the decoder.

    Raises:
        DamagedError: A box is cut off or no size is declared.
    """
    return _scan_items(data, "HEIF")


def _scan_items(data: bytes, name: str) -> Inspection:
    width = height = 0
    pixels = False
    for kind, body, after in _boxes(data, 0, len(data)):
        if kind == b"meta":
            at = body
            # The property box of sizes: length 20, "ispe", four bytes of version, width, height.
            while (at := data.find(b"\0\0\0\x14ispe", at, after)) >= 0:
                sides = (
                    int.from_bytes(data[at + 12 : at + 16], "big"),
                    int.from_bytes(data[at + 16 : at + 20], "big"),
                )
                if sides[0] * sides[1] > width * height:
                    width, height = sides
                at += 20
            pixels = pixels or _holds(data, b"idat", body + _FULL_BOX, after)
        elif kind == b"mdat":
            pixels = True
    if not width or not height:
        raise DamagedError("broken", "the file declares no size")
    if not pixels:
        raise DamagedError("truncated", "the box with the image is missing", width=width, height=height)
    return Inspection(name, width, height)


def _holds(data: bytes, wanted: bytes, at: int, end: int) -> bool:
    """Whether a box of this kind with content stands in a stretch of the file."""
    try:
        return any(kind == wanted and after > body for kind, body, after in _boxes(data, at, end))
    except DamagedError:
        return False


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of content and end of each box in a stretch of the file.

    Raises:
        DamagedError: A box ends behind the stretch, or there are too many.
    """
    for _ in range(MAX_BLOCKS):
        if at >= end:
            return
        length = int.from_bytes(data[at : at + 4], "big")
        body = at + 8
        if length == _LONG:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
            body += 8
        elif length == _WHOLE_REST:
            length = end - at
        if length < body - at or at + length > end:
            raise DamagedError("truncated", "a box is cut off")
        yield data[at + 4 : at + 8], body, at + length
        at += length
    raise DamagedError("broken", f"more than {MAX_BLOCKS} boxes")
