"""What an image looks like, in a quarter of a kilobyte: its outline, its colours, its pixels' digest.

The colours are why a blue shirt and a green one are not the same product: a service's score knows shapes
better than colours. Each pixel gives its hue and its saturation, weighted by its saturation, so that white,
grey and black backgrounds weigh nothing. Two images are as alike in colour as the one with less of it is
contained in the other: a coloured banner over an image adds colours and takes none away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from batchsearch.images.decoding.colour import flatten, to_srgb
from batchsearch.images.decoding.cost import decoding_cost
from batchsearch.images.decoding.decode import decode
from batchsearch.images.decoding.encode import reencode
from batchsearch.images.decoding.isolate import FAMILIAR_FORMATS
from batchsearch.images.image_identity import file_digest, pixel_digest
from batchsearch.images.inspect import inspect
from batchsearch.images.outcome import Rejected
from batchsearch.images.prepare import prepare
from batchsearch.images.verdict import Reject
from batchsearch.tasks.dedup.verifying.features import SIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules

HUES: Final = 18
SATURATIONS: Final = 5
COLOURS: Final = HUES * SATURATIONS
THUMB: Final = 4 * 4 * 3

_SIDE: Final = 48
_ENOUGH: Final = (2 * _SIDE, 2 * _SIDE)
_LEAST_SATURATION: Final = 0.08
_DARK: Final = 0.15
"""Below this brightness (of 1) a pixel's saturation says little."""
_LEAST_COLOUR: Final = 0.004
"""An image with less colour than this (of 1) is grey: nothing is said about its colours."""
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an image looks like.

    Attributes:
        sha256: Of the file, 32 bytes.
        pixels: SHA-256 of sides and upright RGB pixels, 32 bytes; empty where they were not all decoded.
        outline: 64 bits: where the image becomes brighter from left to right, on a grid of 8 x 8.
        thumb: An image of 4 x 4 pixels, RGB, 48 bytes.
        colours: How much there is of each colour, `COLOURS` bytes; see `colour_distance`.
        flat: Share of it that its three most frequent colours cover, 0 to 1: much of a drawing.
    """

    sha256: bytes
    pixels: bytes
    outline: int
    thumb: bytes
    colours: bytes
    flat: float = 0.0


def look_of(
    data: bytes,
    rules: Rules,
    *,
    whole: bool,
    repair: Repairer = reencode,
    also: Callable[[Image.Image], None] | None = None,
) -> Fingerprint | None:
    """What a file's image looks like; None for what is no usable image. Never raises for any bytes.

    Args:
        data: The file.
        rules: Frame, background and largest canvas.
        whole: Decode every pixel, for `pixels`; else large JPEG files are decoded small.
        repair: Decodes rare formats, as in `prepare`.
        also: Is shown the upright image, RGB, at no less than `features.SIDE` pixels where it has so many.
    """
    enough = _ENOUGH if also is None else (SIDE, SIDE)
    image = _image(data, rules, None if whole else enough, repair)
    if image is None:
        return None
    if also is not None:
        also(image)
    pixels = b""
    if whole:
        pixels = pixel_digest(*image.size, image.tobytes())
    return Fingerprint(
        sha256=file_digest(data),
        pixels=pixels,
        outline=_outline(image),
        thumb=image.resize((4, 4), Image.Resampling.BOX, reducing_gap=2.0).tobytes(),
        colours=_colours(image),
        flat=_flat(image),
    )


def _image(data: bytes, rules: Rules, wanted: tuple[int, int] | None, repair: Repairer) -> Image.Image | None:
    """The upright image, RGB."""
    seen = inspect(data, frame=rules.frame)
    if seen.format is None or seen.flaw is not None or decoding_cost(seen, wanted) > rules.max_pixels:
        return None
    if seen.format not in FAMILIAR_FORMATS:
        made = prepare(data, rules, repair=repair)
        if isinstance(made, Rejected):
            return None
        data, seen = made.data, inspect(made.data)
    decoded = decode(data, seen, rules, wanted)
    if isinstance(decoded, Reject):
        return None
    profile = decoded.image.info.get("icc_profile")
    image = flatten(decoded.image, rules.background)[0]
    image = to_srgb(image, profile if isinstance(profile, bytes) else None)[0]
    if decoded.orientation != 1:
        image = image.transpose(_TURNS[decoded.orientation])
    return image.convert("RGB")


def _outline(image: Image.Image) -> int:
    small = image.convert("L").resize((9, 8), Image.Resampling.BOX, reducing_gap=2.0)
    grey = np.asarray(small, dtype=np.int16)
    bits = np.packbits((grey[:, 1:] > grey[:, :-1]).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def _flat(image: Image.Image) -> float:
    """The share of its three most frequent colours, of 4,096."""
    small = image.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
    shades = np.asarray(small, dtype=np.int32) >> 4
    counts = np.bincount((shades[..., 0] << 8 | shades[..., 1] << 4 | shades[..., 2]).ravel())
    return float(np.sort(counts)[-3:].sum() / _SIDE**2)


def _colours(image: Image.Image) -> bytes:
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    # Channel by channel: NumPy is slow over a last axis of three.
    planes = np.ascontiguousarray(np.asarray(small).reshape(-1, 3).T, dtype=np.float32) / 255
    brightest = planes.max(axis=0)
    saturation = (brightest - planes.min(axis=0)) / np.maximum(brightest, _DARK)
    # What has hardly any colour weighs nothing, and of most products' images that is the larger part.
    coloured = saturation > _LEAST_SATURATION
    red, green, blue = planes[:, coloured]
    saturation = weight = saturation[coloured]
    hue = (np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue) / (2 * np.pi) * HUES) % HUES
    depth = np.minimum(saturation, 0.999) * (SATURATIONS - 1)
    amounts = np.zeros(COLOURS)
    # Each pixel is shared out between the two nearest hues and the two nearest saturations.
    for step in (0, 1):
        at_hue = (np.floor(hue).astype(int) + step) % HUES
        of_hue = np.abs(1 - step - (hue - np.floor(hue)))
        for deeper in (0, 1):
            at = at_hue * SATURATIONS + np.floor(depth).astype(int) + deeper
            of_depth = np.abs(1 - deeper - (depth - np.floor(depth)))
            amounts += np.bincount(at, weight * of_hue * of_depth, COLOURS)
    # The root, so that a byte tells small amounts apart.
    return np.round(255 * np.sqrt(amounts / _SIDE**2)).astype(np.uint8).tobytes()


def colour_distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How much the colours of images differ, 0 (one has all of the other's) to 1 (none in common).

    Symmetric. NaN where one of the two has hardly any colour.

    Args:
        first: `Fingerprint.colours`, shape (n, COLOURS).
        second: Likewise, row by row the other image.
    """
    one, other = (np.square(each.astype(np.float64) / 255) for each in (first, second))
    least = np.minimum(one.sum(axis=1), other.sum(axis=1))
    shared = np.minimum(one, other).sum(axis=1)
    distance = np.full(len(one), np.nan)
    has_colour = least >= _LEAST_COLOUR
    distance[has_colour] = np.clip(1 - shared[has_colour] / least[has_colour], 0.0, 1.0)
    return distance
