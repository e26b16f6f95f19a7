"""A file's format, sides and state, read from its structure: no decoder runs and no name is believed.

Reading takes microseconds for most files, so it can be done for every image; it finds every
truncation, refuses nothing by itself (`verdict` does) and never raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from batchsearch.images.headers import bmp, boxes, gif, jpeg, netpbm, png, tiff, webp
from batchsearch.images.headers.structure_facts import DamagedError, Flaw, Inspection, believed
from batchsearch.images.headers.unread import camera_raw, describe

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Flaw", "Inspection", "begins_like_an_image", "inspect"]

_TIFF_HEADS: Final = frozenset({b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"})
_NETPBM: Final = re.compile(rb"P[1-6][\s#]")
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
    ("camera RAW", lambda data: camera_raw(data) is not None, lambda data, _: _raw(data)),
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


def _raw(data: bytes) -> Inspection:
    name = camera_raw(data)
    return Inspection(name, flaw=Flaw("unsupported", f"{name} is not read"))


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
            return believed(read(data, frame))
        except DamagedError as damage:
            flaw = Flaw(damage.kind, damage.detail)
            return believed(Inspection(name, damage.width, damage.height, flaw=flaw))
        except IndexError:
            return Inspection(name, flaw=Flaw("truncated", "the file ends inside its header"))
    return describe(data)


def begins_like_an_image(start: bytes) -> bool:
    """Whether a body's first bytes are those of an image that is read here."""
    return any(matches(start) for _, matches, _ in _READERS)
