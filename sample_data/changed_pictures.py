"""How a picture is changed, turned, packed or broken: each function takes pixels and gives a file's bytes.

Nothing here reads or writes a file. `make_sample_data.py` decides which picture is changed how.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

MADE_QUALITY: Final = 90
EXIF_ORIENTATION: Final = 0x0112

NOTE: Final = b"Picture to follow on Tuesday.\nRegards, the warehouse\n"
DRAWING: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200">\n'
    b'  <rect x="90" y="40" width="120" height="120" rx="12" fill="#1565c0"/>\n'
    b"</svg>\n"
)
TAIL: Final = bytes(64) + b"appended by a phone"


def jpeg(picture: Image.Image, quality: int = MADE_QUALITY, **options: object) -> bytes:
    """The picture as JPEG, by default at the quality of all made pictures."""
    return encoded(picture, "JPEG", quality=quality, optimize=True, **options)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of a Pillow format, with the options of Pillow's writer."""
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return sink.getvalue()


def half(picture: Image.Image) -> Image.Image:
    """Both sides halved, rounded up, so that no side of the photographs falls below 100 pixels."""
    return picture.resize(((picture.width + 1) // 2, (picture.height + 1) // 2), Image.Resampling.LANCZOS)


def recompressed(picture: Image.Image, _chance: random.Random) -> bytes:
    """JPEG of quality 30."""
    return jpeg(picture, quality=30)


def halved(picture: Image.Image, _chance: random.Random) -> bytes:
    """Half the width and half the height."""
    return jpeg(half(picture))


def cropped(picture: Image.Image, chance: random.Random) -> bytes:
    """A window of 80 % of each side, anywhere in the picture."""
    width, height = picture.width * 4 // 5, picture.height * 4 // 5
    left = chance.randint(0, picture.width - width)
    top = chance.randint(0, picture.height - height)
    return jpeg(picture.crop((left, top, left + width, top + height)))


def mirrored(picture: Image.Image, _chance: random.Random) -> bytes:
    """Left and right exchanged."""
    return jpeg(ImageOps.mirror(picture))


def bannered(picture: Image.Image, chance: random.Random) -> bytes:
    """A shop's strip with a text, over 15 % of the height, at the top or at the bottom."""
    result = picture.copy()
    height = picture.height * 15 // 100
    top = chance.choice((0, picture.height - height))
    colour = chance.choice(("#c62828", "#1565c0", "#f9a825"))
    pen = ImageDraw.Draw(result)
    pen.rectangle((0, top, picture.width, top + height), fill=colour)
    font = ImageFont.load_default(size=max(10, height * 2 // 3))
    pen.text((picture.width // 2, top + height // 2), "SALE -20 %", fill="white", font=font, anchor="mm")
    return jpeg(result)


def brightened(picture: Image.Image, _chance: random.Random) -> bytes:
    """A third brighter."""
    return jpeg(ImageEnhance.Brightness(picture).enhance(1.33))


CHANGES: Final[Mapping[str, Callable[[Image.Image, random.Random], bytes]]] = {
    "recompressed": recompressed,
    "half size": halved,
    "cropped": cropped,
    "mirrored": mirrored,
    "banner": bannered,
    "brighter": brightened,
}


# Turning the upright picture this way is undone by the orientation of that number (EXIF 2.3, tag 0x0112).
_STORED_AS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def turned(picture: Image.Image, orientation: int) -> bytes:
    """The picture stored turned, with the EXIF orientation that says how to turn it back.

    An orientation that no standard knows leaves the pixels upright.
    """
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    how = _STORED_AS.get(orientation)
    return jpeg(picture if how is None else picture.transpose(how), exif=exif)


def animation(picture: Image.Image, kind: str) -> bytes:
    """A moving picture of three frames; only the first one shows the product in its own colours."""
    first = half(picture)
    others = [ImageOps.invert(first), ImageOps.invert(ImageOps.mirror(first))]
    return encoded(first, kind, save_all=True, append_images=others, duration=400, loop=0)


def with_alpha(picture: Image.Image) -> bytes:
    """PNG whose corners are transparent, with a soft edge."""
    result = half(picture).convert("RGBA")
    distances = Image.radial_gradient("L").resize(result.size)
    result.putalpha(distances.point(lambda distance: min(255, (255 - distance) * 3)))
    return encoded(result, "PNG", optimize=True)


def sixteen_bit(picture: Image.Image) -> bytes:
    """Grey PNG with 16 bits for each pixel."""
    grey = half(picture).convert("L")
    doubled = bytes(byte for value in grey.tobytes() for byte in (value, value))
    return encoded(Image.frombytes("I;16", grey.size, doubled), "PNG", optimize=True)


def stretched(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture in another size, whatever its shape."""
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def cut_short(data: bytes) -> bytes:
    """The first three fifths of a file."""
    return data[: len(data) * 3 // 5]


def png_chunk(name: bytes, body: bytes) -> bytes:
    """One PNG chunk: length, name, body, checksum (PNG specification, 5.3)."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_canvas(side: int = 20_000) -> bytes:
    """A valid white PNG of 400 million pixels in some 75 KB, written without ever holding its pixels."""
    packer = zlib.compressobj(9)
    row = b"\x00" + b"\xff" * ((side + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    )


def broken_checksum(png: bytes) -> bytes:
    """A PNG with one bit of its compressed pixels turned over: length right, checksum wrong."""
    place = png.index(b"IDAT") + 200
    return png[:place] + bytes([png[place] ^ 0x10]) + png[place + 1 :]
