"""What a file is that no reader is for: named as it is, so that its owner knows what to convert."""

# ruff: noqa: PLR2004 - the numbers are the formats' own

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from batchsearch.images.headers.structure_facts import Flaw, Inspection

if TYPE_CHECKING:
    from collections.abc import Callable

_MARKUP: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|svg|head|body)", re.IGNORECASE)
_SVG: Final = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HEAD: Final = 1024
"""Bytes in which an SVG's first element is looked for."""

_NOT_READ: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\0\0\x01\0", "ICO"),
    (b"icns", "ICNS"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"v/1\x01", "OpenEXR"),
    (b"SIMPLE  =", "FITS"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"gimp xcf", "XCF"),
    (b"BLP", "BLP"),
    (b"AT&TFORM", "DjVu"),
    (b"P7\n", "PAM"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"\x8aMNG", "MNG"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"FUJIFILMCCD-RAW", "Fujifilm RAW (RAF)"),
    (b"IIRO", "Olympus RAW (ORF)"),
    (b"IIRS", "Olympus RAW (ORF)"),
    (b"MMOR", "Olympus RAW (ORF)"),
    (b"IIU\0", "Panasonic RAW (RW2)"),
    (b"FOVb", "Sigma RAW (X3F)"),
    (b"\0MRM", "Minolta RAW (MRW)"),
    (b"II\x1a\0\0\0HEAPCCDR", "Canon RAW (CRW)"),
)
"""Image formats that are known by their first bytes and never decoded."""

_NO_IMAGE: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"RIFF", "a RIFF file that is not WebP"),
    (b"PAR1", "a Parquet file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM film"),
)
"""Things that come where an image is expected, named so that a person sees what happened."""

_BEGINNINGS: Final = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"RIFF",
    b"II*\0",
    b"MM\0*",
)
"""What a file cut off within its first bytes is recognised by."""

_TGA_ENDING: Final = b"TRUEVISION-XFILE.\0"
_TGA_KINDS: Final = {1: (1, {8, 15, 16, 24, 32}), 2: (0, {15, 16, 24, 32}), 3: (0, {8, 16})}
"""Kind of Targa image, less 8 where run-length encoded: whether it has a palette, and bits of a pixel."""
_PCX_VERSIONS: Final = frozenset({0, 2, 3, 4, 5})
_SAMPLE_BITS: Final = frozenset({1, 2, 4, 8})


def describe(data: bytes) -> Inspection:
    """Says as well as can be said what a file is that no reader is for; never raises."""
    if not data:
        return Inspection(None, flaw=Flaw("empty", "the file has no bytes"))
    name = _name(data)
    markup = _MARKUP.match(data) is not None
    if markup and _SVG.search(data, 0, _HEAD):
        name = "SVG"
    if name is not None:
        return Inspection(name, flaw=Flaw("unsupported", f"{name} is not read"))
    if any(head.startswith(data) for head in _BEGINNINGS):
        return Inspection(None, flaw=Flaw("truncated", "the file ends inside its first bytes"))
    thing = next((thing for head, thing in _NO_IMAGE if data.startswith(head)), None)
    if markup:
        thing = "a web page or XML text"
    elif data[4:8] == b"ftyp":
        thing = "a film (MP4 or QuickTime)"
    detail = f"this is {thing}" if thing else "the first bytes are those of no known format"
    return Inspection(None, flaw=Flaw("unknown", detail))


def camera_raw(data: bytes) -> str | None:
    """The name of a camera's format that begins as a format which is read, else None."""
    if data[:4] in {b"II*\0", b"MM\0*"} and data[8:10] == b"CR":
        return "Canon RAW (CR2)"
    return "Canon RAW (CR3)" if data[4:12] == b"ftypcrx " else None


def _name(data: bytes) -> str | None:
    known = next((name for head, name in _NOT_READ if data.startswith(head)), None)
    if known is not None:
        return known
    return next((name for name, matches in _BY_HEADER if len(data) > 18 and matches(data)), None)


def _is_sgi(data: bytes) -> bool:
    return data[:2] == b"\x01\xda" and data[2] <= 1 and data[3] in {1, 2} and 1 <= data[5] <= 3


def _is_pcx(data: bytes) -> bool:
    """The maker's byte, a version, an encoding, bits of a sample, and corners in order."""
    left, top, right, bottom = (int.from_bytes(data[at : at + 2], "little") for at in (4, 6, 8, 10))
    return (
        data[0] == 10
        and data[1] in _PCX_VERSIONS
        and data[2] <= 1
        and data[3] in _SAMPLE_BITS
        and (left <= right and top <= bottom)
    )


def _is_tga(data: bytes) -> bool:
    """The ending of version 2, or a header of version 1 in which everything fits together."""
    if data.endswith(_TGA_ENDING):
        return True
    palette, bits = _TGA_KINDS.get(data[2] & ~8, (None, frozenset()))
    width, height = int.from_bytes(data[12:14], "little"), int.from_bytes(data[14:16], "little")
    plain = palette == data[1] and data[16] in bits and data[17] & 0xC0 == 0 and min(width, height) > 0
    if not plain or (palette == 0 and any(data[3:8])):
        return False
    return bool(data[2] & 8) or len(data) >= 18 + data[0] + width * height * ((data[16] + 7) // 8)


_BY_HEADER: Final[tuple[tuple[str, Callable[[bytes], bool]], ...]] = (
    ("SGI", _is_sgi),
    ("PCX", _is_pcx),
    ("TGA", _is_tga),
    ("CUR", lambda data: data.startswith(b"\0\0\2\0") and any(data[4:6]) and not data[9]),
)
"""Image formats that have no name in their first bytes: what else their headers tell."""
