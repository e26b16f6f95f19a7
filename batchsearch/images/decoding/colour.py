"""Any pixel mode to 8-bit grey or sRGB: what a picture must be before it is written as JPEG.

Every function takes a decoded picture and returns one without metadata of its own meaning; none decodes.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageCms

from batchsearch.images.headers.icc import is_srgb, is_usable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Colour = tuple[int, int, int]

_DEEP_MODES: Final = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
_PROFILE_MODES: Final = {"RGB": 3, "CMYK": 4, "L": 1}
"""Image mode that a colour profile can be used with: samples of a pixel."""
_BYTE: Final = 0xFF
_WORD: Final = 0xFFFF


def flatten(picture: Image.Image, background: Colour) -> tuple[Image.Image, tuple[str, ...]]:
    """Brings a decoded picture to mode L, RGB, CMYK or LAB, 8 bits, without transparency.

    Returns:
        The picture and the words for what was done, in order.
    """
    done: list[str] = []
    if picture.mode in _DEEP_MODES:
        transparent = picture.info.get("transparency")
        picture = _to_eight_bits(picture, background, transparent)
        done.append("deep->8bit")
    if picture.mode == "1":
        picture = picture.convert("L")
        done.append("1bit->grey")
    if picture.mode in {"P", "PA"}:
        has_alpha = picture.mode == "PA" or "transparency" in picture.info
        picture = picture.convert("RGBA" if has_alpha else "RGB")
        done.append("palette->rgb")
    elif picture.mode in {"L", "RGB"} and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in {"LA", "La", "RGBA", "RGBa"}:
        red, green, blue = background
        grey = picture.mode in {"LA", "La"} and red == green == blue
        if picture.mode in {"La", "RGBa"}:
            picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
        if not grey and picture.mode == "LA":
            picture = picture.convert("RGBA")
        under = Image.new("L" if grey else "RGB", picture.size, red if grey else background)
        bands = picture.split()
        opaque = bands[0] if grey else Image.merge("RGB", bands[:3])
        under.paste(opaque, None, bands[-1])
        picture = under
        done.append("alpha->#{:02x}{:02x}{:02x}".format(*background))
    if picture.mode not in {"L", "RGB", "CMYK", "LAB"}:
        done.append(f"{picture.mode.lower()}->rgb")
        picture = picture.convert("RGB")
    return picture, tuple(done)


def to_srgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts a flattened picture to sRGB or grey, through its ICC profile where that is usable.

    An unusable profile is passed over: the picture then looks as it does in programs that ignore profiles.

    Returns:
        The picture in mode L or RGB and the words for what was done, in order.
    """
    if picture.mode == "LAB":
        return _transform(picture, ImageCms.createProfile("LAB")), ("lab->srgb",)
    cmyk = picture.mode == "CMYK"
    words: tuple[str, ...] = ("cmyk->srgb",) if cmyk else ("icc->srgb",)
    if profile and picture.mode in _PROFILE_MODES:
        try:
            source = _read_profile(profile, _PROFILE_MODES[picture.mode])
            return (picture, ()) if is_srgb(profile) else (_transform(picture, source), words)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            words = ("icc:unusable", *words[: int(cmyk)])
    elif not cmyk:
        words = ()
    return (picture.convert("RGB") if cmyk else picture), words


def _read_profile(profile: bytes, components: int) -> ImageCms.ImageCmsProfile:
    """An embedded profile.

    Raises:
        OSError: It cannot be read.
        ValueError: It is for another colour space, or far larger than profiles are.
    """
    if not is_usable(profile, components):
        raise ValueError("not a profile for this picture")
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _transform(picture: Image.Image, source: object) -> Image.Image:
    """The picture in sRGB; grey stays grey.

    Raises:
        ImageCms.PyCMSError: The profile does not describe a usable transform.
    """
    grey = picture.mode == "L"
    transform = ImageCms.buildTransform(
        source,  # type: ignore[arg-type]  # Pillow's stub leaves out the core profile that it accepts
        ImageCms.createProfile("sRGB"),
        picture.mode,
        "RGB",
    )
    result = transform.apply(picture)
    return result.convert("L") if grey else result


def _to_eight_bits(picture: Image.Image, background: Colour, transparent: object) -> Image.Image:
    """16-bit, 32-bit and float grey, scaled instead of clipped.

    Whole numbers up to 255 or 65,535 keep their meaning, floats within 0..1 are shares of white, floats
    within 0..255 levels, and others are stretched from their lowest to their highest.
    """
    import numpy as np  # costs a tenth of a second, and few pictures need it

    sixteen = picture.mode.startswith("I;16")
    values = np.asarray(picture.convert("I") if sixteen else picture)
    whole = picture.mode == "I" and values.min() >= 0 and _BYTE < values.max() <= _WORD
    eight = (values >> 8).astype(np.uint8) if sixteen or whole else _stretch(values)
    grey = Image.fromarray(eight)
    if isinstance(transparent, int) and sixteen:
        mask = Image.fromarray(((values != transparent) * 255).astype(np.uint8))
        under = Image.new("RGB", grey.size, background)
        under.paste(grey.convert("RGB"), None, mask)
        return under
    return grey


def _stretch(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Numbers of any range as bytes; what is no number becomes black."""
    import numpy as np

    numbers = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= _BYTE:
        low, high = 0.0, float(_BYTE)
    levels = np.rint((numbers - low) * (_BYTE / max(high - low, 1e-30)))
    return np.asarray(levels, dtype=np.uint8)
