"""Whether there is anything to see in an image: what came out as one flat colour finds nothing.

A colour chip is an image, and its colour is what it is searched by. Blank is an image that lost on the way
what the file holds (a white logo on transparency), or is wholly transparent; one that is white or black all
over in the file may be a chip too, so it counts as blank only where that is asked for.
Looking costs microseconds for an image that has something in it: a few pixels show that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from batchsearch.images.decoding.colour import Colour
    from batchsearch.images.headers.structure_facts import Inspection

FLAT: Final = 3
"""Difference between an image's brightest and darkest levels up to which nobody sees any."""
_GRID: Final = (32, 32)
_SMALL: Final = 4096
_PIXELS_A_BYTE: Final = 32
_MIDDLE: Final = 128
_BLACK: Final = (0, 0, 0)
_WHITE: Final = (255, 255, 255)


def flat_colour(image: Image.Image) -> Colour | None:
    """The colour that a decoded image has everywhere, or None if there is more than one."""
    if image.mode.startswith(("I", "F")):
        low, high = image.getextrema()
        return None if low != high else _WHITE if low else _BLACK
    if not _is_flat(image.resize(_GRID, Image.Resampling.NEAREST)) or not _is_flat(image):
        return None
    red, green, blue = image.crop((0, 0, 1, 1)).convert("RGB").tobytes()
    return red, green, blue


def _is_flat(image: Image.Image) -> bool:
    if image.mode == "1":
        image = image.convert("L")
    within = 0 if image.mode in {"P", "PA"} else FLAT
    for band in image.split():
        low, high = band.getextrema()
        if high - low > within:  # type: ignore[operator]  # a single band has two numbers, not pairs
            return False
    return True


def may_be_blank(seen: Inspection, size: int) -> bool:
    """Whether a file is so short for its pixels that looking at them is worth a decoder's time.

    A flat JPEG has a byte for 38 pixels and more, a photograph hardly ever less than one for 20.
    """
    return size < _SMALL + seen.width * seen.height // _PIXELS_A_BYTE


def is_blank(colour: Colour, *, several: bool, background: Colour | None = None, chips: bool = False) -> bool:
    """Whether an image of one flat colour has nothing to be searched by.

    Args:
        colour: What every pixel would be.
        several: The file itself holds more than one colour.
        background: What shows through its transparent pixels; None where it has none.
        chips: White or black is a colour like any other.
    """
    if several or colour == background:
        return True
    return not chips and (min(colour) >= _WHITE[0] - FLAT or max(colour) <= FLAT)


def contrasting(colour: Colour) -> Colour:
    """Black or white, whichever is farther from a colour."""
    red, green, blue = colour
    return _BLACK if (299 * red + 587 * green + 114 * blue) // 1000 >= _MIDDLE else _WHITE


def blankness(colour: Colour, *, several: bool, see_through: bool) -> str:
    """What to tell of an image without anything to see.

    Args:
        colour: What every pixel would be.
        several: The file itself holds more than that.
        see_through: It has transparent pixels, which show the background.
    """
    found = "every pixel that would be sent is #{:02x}{:02x}{:02x}".format(*colour)
    if see_through:
        return f"{found}, as is images.background under its transparent pixels: choose another background"
    return f"{found}, though the file holds more" if several else f"{found}: there is nothing to see"
