"""A file's format, sides and state, read from its structure: no decoder runs and no name is believed.

Reading takes microseconds for most files, so it can be done for every picture; it finds every
truncation, refuses nothing by itself (`verdict` does) and never raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from batchsearch.images.headers import bmp, boxes, gif, jpeg, netpbm, png, tiff, webp
from batchsearch.images.headers.facts import DamagedError, Flaw, Inspection

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Flaw", "Inspection", "inspect"]

_TIFF_HEADS: Final = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_NETPBM: Final = re.compile(rb"P[1-6][\s#]")
_MARKUP: Final = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:\?xml|!doctype|html|svg|head|body)", re.IGNORECASE)
_SVG: Final = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HEAD: Final = 1024
"""Bytes in which an SVG's first element is looked for."""

_READERS: Final[tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes, int], Inspection]], ...]] = (
    ("JPEG", lambda data: data.startswith(b"\xff\xd8\xff"), lambda data, _: jpeg.scan(data)),
    ("PNG", lambda data: data.startswith(png.SIGNATURE), lambda data, _: png.scan(data)),
    (
        "WEBP",
        lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP",
        lambda data, _: webp.scan(data),
    ),
    (
        "GIF",
        lambda data: data.startswith((b"GIF87a", b"GIF89a")),
        lambda data, frame: gif.scan(data, frame=frame),
    ),
    ("TIFF", lambda data: data[:4] in _TIFF_HEADS, lambda data, frame: tiff.scan(data, frame=frame)),
    (
        "BMP",
        lambda data: data.startswith(b"BM") and data[15:18] == b"\0\0\0",
        lambda data, _: bmp.scan(data),
    ),
    ("PPM", lambda data: _NETPBM.match(data) is not None, lambda data, _: netpbm.scan(data)),
    (
        "JPEG2000",
        lambda data: data.startswith((boxes.JP2_SIGNATURE, boxes.CODESTREAM_SIGNATURE)),
        lambda data, _: boxes.scan_jpeg2000(data),
    ),
    ("AVIF", lambda data: boxes.family_of(data) == "AVIF", lambda data, _: boxes.scan_avif(data)),
    ("HEIF", lambda data: boxes.family_of(data) == "HEIF", lambda data, _: boxes.scan_heif(data)),
)
"""Format, how its files begin, and the reader of their structure."""

_NOT_READ: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\0\0\x01\0", "ICO"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"v/1\x01", "OpenEXR"),
    (b"SIMPLE  =", "FITS"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"gimp xcf", "XCF"),
    (b"BLP", "BLP"),
    (b"AT&TFORM", "DjVu"),
    (b"P7\n", "PAM"),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
)
"""Picture formats that are known by their first bytes and never decoded."""

_PICTURE_HEADS: Final = (b"\xff\xd8\xff", png.SIGNATURE, b"GIF87a", b"GIF89a", b"RIFF", b"II*\0", b"MM\0*")
"""Beginnings that a file cut off within its first bytes is recognised by."""

_NO_PICTURE: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"RIFF", "a RIFF file that is not WebP"),
    (b"PAR1", "a Parquet file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
"""Things that come where a picture is expected, named so that a person sees what happened."""


def inspect(data: bytes, *, frame: int = 0) -> Inspection:
    """Describes a file by its structure; never raises, whatever the bytes.

    Args:
        data: The whole file.
        frame: Which frame or page will be used, from 0; matters where each has its own sides.
    """
    for name, matches, read in _READERS:
        if not matches(data):
            continue
        try:
            return read(data, frame)
        except DamagedError as damage:
            return Inspection(name, damage.width, damage.height, flaw=Flaw(damage.kind, damage.detail))
        except IndexError:
            return Inspection(name, flaw=Flaw("truncated", "the file ends inside its header"))
    return Inspection(None, flaw=Flaw("empty", "the file has no bytes")) if not data else _unread(data)


def _unread(data: bytes) -> Inspection:
    """Says as well as can be said what a file is that no reader is for."""
    name = next((name for head, name in _NOT_READ if data.startswith(head)), None)
    markup = _MARKUP.match(data) is not None
    if markup and _SVG.search(data, 0, _HEAD):
        name = "SVG"
    if name is not None:
        return Inspection(name, flaw=Flaw("unsupported", f"{name} is not read"))
    if any(head.startswith(data) for head in _PICTURE_HEADS):
        return Inspection(None, flaw=Flaw("truncated", "the file ends inside its first bytes"))
    thing = next((thing for head, thing in _NO_PICTURE if data.startswith(head)), None)
    if markup:
        thing = "a web page or XML text"
    detail = f"this is {thing}" if thing else "the first bytes are those of no known format"
    return Inspection(None, flaw=Flaw("unknown", detail))
