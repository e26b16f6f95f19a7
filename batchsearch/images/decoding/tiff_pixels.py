"""TIFF as its fields declare it, where the decoder reads it otherwise: pages, colour maps, depth, polarity.

The decoder follows the chain of directories only, takes every colour map for 16 bits, and hands over deep
grey as it is stored: 12 bits in 16 would come out black, and what counts from white as a negative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImagePalette

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from batchsearch.images.headers.structure_facts import Inspection

_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_HIGHEST: Final = 281
_COLOURS: Final = 320
_WHITE_IS_ZERO: Final = 0
_BYTE: Final = 0xFF
_WORD: Final = 0xFFFF
_LEVELS: Final = frozenset(range(256))
_CLASSIC: Final = frozenset({b"II*\0", b"MM\0*"})
_TWELVE: Final = 12


def only_page(data: bytes, seen: Inspection) -> bytes:
    """The file with its header leading to the page that is meant, wherever that stands.

    Args:
        data: A TIFF or BigTIFF file.
        seen: What its structure says.
    """
    start, width = (4, 4) if data[:4] in _CLASSIC else (8, 8)
    order = data[:2]
    place = (seen.page_at or 0).to_bytes(width, "little" if order == b"II" else "big")
    if seen.page_at is None or data[start : start + width] == place:
        return data
    return data[:start] + place + data[start + width :]


def learn_depths() -> None:
    """Lets the decoder unpack deep grey in both byte orders and polarities: it knows some of them."""
    from PIL import TiffImagePlugin as Plugin  # loaded with the first TIFF, not before

    for order, sixteen in ((Plugin.II, "I;16"), (Plugin.MM, "I;16B")):
        for polarity in (0, 1):
            Plugin.OPEN_INFO.setdefault((order, polarity, (1,), 1, (_TWELVE,), ()), ("I;16", "I;12"))
            Plugin.OPEN_INFO.setdefault((order, polarity, (1,), 1, (16,), ()), (sixteen, sixteen))


def mend_palette(image: ImageFile) -> None:
    """Reads a colour map of 8-bit values as such; for a TIFF that is opened and not loaded."""
    colours = _fields(image).get(_COLOURS)
    if image.mode in {"P", "PA"} and isinstance(colours, tuple) and set(colours) <= _LEVELS:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def mend_levels(image: ImageFile) -> Image.Image:
    """Deep grey over the whole range of its mode, black at zero; for a TIFF that is loaded.

    The range is that of the declared depth, or of the highest sample that the file declares, if no pixel
    contradicts it.
    """
    fields = _fields(image)
    deep = image.mode.startswith("I;16")
    negative = fields.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    bits = _first(fields, _BITS, 0)
    highest = _first(fields, _HIGHEST, _WORD)
    if not (deep and (negative or bits == _TWELVE or highest < _WORD)) and not (
        negative and image.mode == "F"
    ):
        return image
    import numpy as np  # costs a tenth of a second, and few images need it

    values: Any = np.asarray(image)
    if deep:
        values = values.astype(np.uint32)
        top = (1 << bits) - 1 if bits == _TWELVE else _WORD
        if _BYTE < highest < top and values.max(initial=0) <= highest:
            top = highest
        values = (values.clip(0, top) * _WORD + top // 2) // top
        result = Image.fromarray((_WORD - values if negative else values).astype(np.uint16))
    else:
        numbers = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        high = float(numbers.max(initial=0))
        result = Image.fromarray((1.0 if high <= 1 else max(high, float(_BYTE))) - numbers)
    result.info = dict(image.info)
    return result


def _fields(image: ImageFile) -> Any:
    return getattr(image, "tag_v2", {})


def _first(fields: Any, tag: int, default: int) -> int:
    """The first value of a field that is a whole number, else the default."""
    value = fields.get(tag, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else default
