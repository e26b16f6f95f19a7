"""What decoding an image costs, in pixels: the measure that `images.max_megapixels` is a limit of.

Most decoders deliver every pixel of the canvas. A JPEG decoder can deliver a half, a quarter or an eighth
of each side, and then costs little more than reading the file; only when its data comes in several passes
does it hold the whole canvas, whatever it delivers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batchsearch.config.sections.image_settings import MOST_MEGAPIXELS
from batchsearch.images.decoding.fit import NoFit, dct_divisor, stored_sides

if TYPE_CHECKING:
    from batchsearch.images.decoding.fit import Size
    from batchsearch.images.headers.structure_facts import Inspection
    from batchsearch.images.rules import Rules

READING_SHARE: Final = 8
"""A JPEG's whole canvas read without delivering it costs an eighth of decoding it (108 megapixels:
0.10 s against 1.26 s)."""


def decoding_cost(seen: Inspection, wanted: Size | None) -> int:
    """The pixels that decoding an image is worth.

    Args:
        seen: What the file's structure says.
        wanted: Sides in the stored grid that suffice; None: all of it.
    """
    canvas = seen.width * seen.height
    if seen.format != "JPEG" or seen.progressive or wanted is None:
        return canvas
    divisor = dct_divisor((seen.width, seen.height), wanted)
    if divisor == 1:
        return canvas
    return canvas // READING_SHARE + -(-seen.width // divisor) * -(-seen.height // divisor)


def excess(seen: Inspection, rules: Rules) -> str | None:
    """Why an image costs too much to decode, for a person; None where it does not."""
    if seen.width * seen.height <= rules.max_pixels:
        return None
    wanted = stored_sides((seen.width, seen.height), seen.orientation, rules, snap=seen.format == "JPEG")
    cost = decoding_cost(seen, None if isinstance(wanted, NoFit) else wanted)
    if cost <= rules.max_pixels:
        return None
    worth = -(-cost // 1_000_000)
    advice = f"; {worth} would allow it" if worth <= MOST_MEGAPIXELS else ""
    return (
        f"{seen.format} of {seen.width}x{seen.height} pixels: decoding it is worth {worth} megapixels, "
        f"images.max_megapixels is {rules.max_pixels // 1_000_000}{advice}"
    )
