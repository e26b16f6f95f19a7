"""What the emulated service accepts as an image, and how it reads one.

Written apart from the client's own image rules on purpose: a shared misunderstanding of the pages would
otherwise stay hidden. The rules are those of `PicContent` in SearchImageByPic 2023-08 and 2025-05.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from PIL import Image

from batchsearch.emulator.search.pixel_budget import LARGE, shared_budget
from batchsearch.own_errors import is_own
from batchsearch.service.facts import MAX_IMAGE_BYTES, SERVICE_TYPES

if TYPE_CHECKING:
    from batchsearch.emulator.search.pixel_budget import Claim

ImageCode = Literal[
    "UnsupportedPicFormat", "UnsupportedPicPixels", "IncorrectOrientation", "InvalidPicContent"
]

# Formats by content. Phones write MPO, a JPEG with more images behind it; Pillow's JPEG reader opens it.
_FORMATS: Final = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_NAMED_AS: Final = {"MPO": "JPEG"}
_ORIENTATION: Final = 274  # EXIF tag 0x0112
_UPRIGHT: Final = 1
_PNG_HEAD: Final = 8
# The decoder unpacks them, and gives up on long ones.
_NOT_NEEDED: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})

MOST_SCANS: Final = 64
"""Scans of a progressive JPEG: encoders write some ten, and each costs as much as all pixels read once, so
that 122 KB with thousands of them took four minutes. The limit is on no page; sides don't bound that cost."""
_SCAN: Final = b"\xff\xda"

ENOUGH: Final = 560
"""Pixels of a side, two and a half times those that the network is given. A large JPEG is decoded at the
smallest scale that leaves so many, which takes a fraction of the time and of the memory."""
_VERY_LARGE: Final = 4 * LARGE
_SCALES: Final = (8, 4, 2)  # that JPEG's decoder knows
_METADATA: Final = frozenset((*range(0xE0, 0xF0), 0xFE))  # JPEG: application segments, comment
_STRIPS: Final = (273, 324)  # TIFF: offsets of strips, of tiles


class ImageRefusedError(Exception):
    """The service would answer this image with an error.

    Attributes:
        code: The vendor's code.
        detail: What is wrong, for the request log; the vendor's message says less.
    """

    def __init__(self, code: ImageCode, detail: str) -> None:
        self.code: ImageCode = code
        self.detail = detail
        super().__init__(f"{code}: {detail}")

    def without_traceback(self) -> ImageRefusedError:
        """The same refusal anew, which holds nothing of the image."""
        return ImageRefusedError(self.code, self.detail)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image is, without its pixels.

    Attributes:
        width: Pixels.
        height: Pixels.
        format: One of `batchsearch.service.facts.IMAGE_FORMATS`, found from the content.
    """

    width: int
    height: int
    format: str


class DecodedImage:
    """An image that an instance takes.

    Attributes:
        facts: What it is.
        sha256: Hex digest of the bytes that were sent.

    Args:
        facts: What it is.
        sha256: Hex digest of the bytes.
        data: The bytes, from which the pixels are decoded when they are asked for.
        service_type: Of the instance.
        image: The pixels, where they are decoded already.
        claim: The room that they take, which is given back with them.
    """

    # They end in order of their names: the pixels are free before their room is given back.
    __slots__ = ("_data", "_image", "_room", "_service_type", "facts", "sha256")

    def __init__(
        self,
        facts: Facts,
        sha256: str,
        data: bytes,
        service_type: str,
        image: Image.Image | None = None,
        *,
        claim: Claim | None = None,
    ) -> None:
        self.facts = facts
        self.sha256 = sha256
        self._data = data
        self._service_type = service_type
        self._image = image
        self._room = claim

    @property
    def width(self) -> int:
        """Pixels."""
        return self.facts.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.facts.height

    @property
    def format(self) -> str:
        """One of `batchsearch.service.facts.IMAGE_FORMATS`."""
        return self.facts.format

    @property
    def image(self) -> Image.Image:
        """First frame, mode RGB, transparency over white; a large JPEG's smaller, see `ENOUGH`."""
        if self._image is None:
            decoded = decode_image(self._data, self._service_type, self.sha256)
            self._room = decoded._room  # noqa: SLF001 - of its own class
            self._image = decoded.image
        return self._image

    def whole(self) -> DecodedImage:
        """The same with every pixel of the file: for who looks at a small part of it."""
        if self.image.size == (self.width, self.height):
            return self
        return decode_image(self._data, self._service_type, self.sha256, smaller=False)


def decode_image(
    data: bytes, service_type: str, sha256: str | None = None, *, smaller: bool = True
) -> DecodedImage:
    """The image that the bytes hold, if an instance of this service type takes it.

    Args:
        data: The file's bytes, not base64.
        service_type: A key of `batchsearch.service.facts.SERVICE_TYPES`; decides the sides.
        sha256: Hex digest of the bytes, where it is known already.
        smaller: Decode a large JPEG at a smaller scale, see `ENOUGH`.

    Raises:
        ImageRefusedError: With the vendor's code, whatever the bytes are.
    """
    if not data:
        raise ImageRefusedError("InvalidPicContent", "the image is empty")
    if len(data) > MAX_IMAGE_BYTES:
        raise ImageRefusedError("InvalidPicContent", f"{len(data):,} bytes, {MAX_IMAGE_BYTES:,} are allowed")
    try:
        with Image.open(io.BytesIO(_plain_png(data)), formats=_FORMATS) as opened:
            return _read(opened, data, service_type, sha256, smaller=smaller)
    except ImageRefusedError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRefusedError("UnsupportedPicPixels", "far more pixels than are allowed") from error
    except Exception as error:  # decoders raise nearly anything on hostile bytes; all mean the same here
        if is_own(error):
            raise  # the emulator's own fault: no answer may blame the image for it
        raise ImageRefusedError(
            "UnsupportedPicFormat", f"it cannot be decoded ({type(error).__name__})"
        ) from error


def _plain_png(data: bytes) -> bytes:
    """A PNG without texts and profile, which say nothing about its pixels here; any other file as it is."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    kept = [data[:_PNG_HEAD]]
    at = _PNG_HEAD
    while at < len(data):
        after = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _NOT_NEEDED:
            kept.append(data[at:after])
        at = after
    return b"".join(kept)


def _read(
    opened: Image.Image, data: bytes, service_type: str, sha256: str | None, *, smaller: bool
) -> DecodedImage:
    kind = SERVICE_TYPES[service_type]
    name = opened.format or ""
    # Before any pixel is decoded: the header's sides bound what decoding can cost.
    _check_sides(opened.size, kind.min_side, kind.max_side)
    # A PNG's EXIF may stand behind its pixels. A TIFF is turned while it is decoded, and forgets its tag.
    if name != "PNG":
        _check_upright(opened)
    _check_scans(opened, data)
    sides = opened.size
    drafted = smaller and _draft(opened)
    # All at once, whatever the scale, is what the decoder holds of a progressive JPEG.
    held = sides if opened.info.get("progressive") else opened.size
    # Of the largest something stays with each thread even then, unless they count as large.
    least = LARGE if sides[0] * sides[1] >= _VERY_LARGE else 0
    claim = shared_budget().claim(max(held[0] * held[1], least))
    try:
        opened.load()
        if name == "PNG":
            _check_upright(opened)
        if not drafted:
            sides = opened.size
        _check_sides(sides, kind.min_side, kind.max_side)
        image = _to_rgb(opened)
    except BaseException:
        if claim is not None:
            claim.release()
        raise
    digest = sha256 or hashlib.sha256(data).hexdigest()
    facts = Facts(*sides, _NAMED_AS.get(name, name))
    return DecodedImage(facts, digest, data, service_type, image, claim=claim)


def _draft(opened: Image.Image) -> bool:
    """Have a large JPEG decoded at a smaller scale; whether it will be."""
    if opened.format not in ("JPEG", "MPO"):
        return False
    scale = next((scale for scale in _SCALES if min(opened.size) >= scale * ENOUGH), 1)
    return scale > 1 and opened.draft(None, (opened.width // scale, opened.height // scale)) is not None


def _check_sides(size: tuple[int, int], least: int, most: int) -> None:
    if not all(least <= side <= most for side in size):
        raise ImageRefusedError(
            "UnsupportedPicPixels", f"{size[0]} x {size[1]} pixels, sides must be {least} to {most}"
        )


def _check_scans(opened: Image.Image, data: bytes) -> None:
    if opened.format in ("JPEG", "MPO"):
        scans, most = data.count(_SCAN, _end_of_metadata(data)), MOST_SCANS
    elif opened.format == "TIFF" and "jpeg" in str(opened.info.get("compression")):
        # Each strip is a JPEG of its own.
        tags = opened.getexif()
        strips = max(len(tags.get(tag, ())) for tag in _STRIPS)
        scans, most = data.count(_SCAN), MOST_SCANS * max(1, min(strips, opened.height))
    else:
        return
    if scans > most:
        raise ImageRefusedError("UnsupportedPicFormat", f"{scans:,} scans, at most {most:,} are decoded")


def _end_of_metadata(data: bytes) -> int:
    """Where a JPEG's leading application segments and comments end: a preview in them has scans too."""
    place = 2
    while data[place : place + 1] == b"\xff" and data[place + 1] in _METADATA:
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if place + 4 > len(data):
            break
    return place


def _check_upright(opened: Image.Image) -> None:
    orientation = opened.getexif().get(_ORIENTATION, _UPRIGHT)
    if orientation != _UPRIGHT:
        raise ImageRefusedError("IncorrectOrientation", f"EXIF orientation {orientation!r}")


def _to_rgb(image: Image.Image) -> Image.Image:
    """The pixels as 8-bit RGB: 16 bits scaled, floats stretched, transparency over white."""
    if image.mode.startswith(("I", "F")):
        image = _to_grey(image)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGBA", seen.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, seen).convert("RGB")
    # Not converted where it is what it is to be: that would be a second one of its size.
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    """Wide grey pixels as 8 bits; Pillow's own conversion clips them to white."""
    pixels = np.asarray(image, dtype=np.float64)
    if image.mode.startswith("I"):
        wide = image.mode != "I" or float(pixels.max(initial=0)) > np.iinfo(np.uint8).max
        pixels = pixels / 257 if wide else pixels
    else:
        low, high = float(pixels.min(initial=0)), float(pixels.max(initial=0))
        pixels = (pixels - low) * (255 / (high - low)) if high > low else pixels * 0
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
