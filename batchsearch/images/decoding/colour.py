"""Any pixel mode to 8-bit grey or sRGB: what an image must be before it is written as JPEG.

Every function takes a decoded image and returns one without metadata of its own meaning; none decodes.
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


def flatten(image: Image.Image, background: Colour) -> tuple[Image.Image, tuple[str, ...]]:
    """Brings a decoded image to mode L, RGB, CMYK or LAB, 8 bits, without transparency.

    Returns:
        The image and the words for what was done, in order.
    """
    done: list[str] = []
    if image.mode in _DEEP_MODES:
        transparent = image.info.get("transparency")
        image = _to_eight_bits(image, background, transparent)
        done.append("deep->8bit")
    if image.mode == "1":
        image = image.convert("L")
        done.append("1bit->grey")
    if image.mode in {"P", "PA"}:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
        done.append("palette->rgb")
    elif image.mode in {"L", "RGB"} and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in {"LA", "La", "RGBA", "RGBa"}:
        red, green, blue = background
        grey = image.mode in {"LA", "La"} and red == green == blue
        if image.mode in {"La", "RGBa"}:
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        if not grey and image.mode == "LA":
            image = image.convert("RGBA")
        under = Image.new("L" if grey else "RGB", image.size, red if grey else background)
        bands = image.split()
        opaque = bands[0] if grey else Image.merge("RGB", bands[:3])
        under.paste(opaque, None, bands[-1])
        image = under
        done.append("alpha->#{:02x}{:02x}{:02x}".format(*background))
    if image.mode not in {"L", "RGB", "CMYK", "LAB"}:
        done.append(f"{image.mode.lower()}->rgb")
        image = image.convert("RGB")
    return image, tuple(done)


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts a flattened image to sRGB or grey, through its ICC profile where that is usable.

    An unusable profile is passed over: the image then looks as it does in programs that ignore profiles.

    Returns:
        The image in mode L or RGB and the words for what was done, in order.
    """
    if image.mode == "LAB":
        return _transform(image, ImageCms.createProfile("LAB")), ("lab->srgb",)
    cmyk = image.mode == "CMYK"
    words: tuple[str, ...] = ("cmyk->srgb",) if cmyk else ("icc->srgb",)
    if profile and image.mode in _PROFILE_MODES:
        try:
            source = _read_profile(profile, _PROFILE_MODES[image.mode])
            return (image, ()) if is_srgb(profile) else (_transform(image, source), words)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            words = ("icc:unusable", *words[: int(cmyk)])
    elif not cmyk:
        words = ()
    return (image.convert("RGB") if cmyk else image), words


def _read_profile(profile: bytes, components: int) -> ImageCms.ImageCmsProfile:
    """An embedded profile.

    Raises:
        OSError: It cannot be read.
        ValueError: It is for another colour space, or far larger than profiles are.
    """
    if not is_usable(profile, components):
        raise ValueError("not a profile for this image")
    return ImageCms.ImageCmsProfile(BytesIO(profile))


def _transform(image: Image.Image, source: object) -> Image.Image:
    """The image in sRGB; grey stays grey.

    Raises:
        ImageCms.PyCMSError: The profile does not describe a usable transform.
    """
    grey = image.mode == "L"
    transform = ImageCms.buildTransform(
        source,  # type: ignore[arg-type]  # Pillow's stub leaves out the core profile that it accepts
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
    )
    result = transform.apply(image)
    return result.convert("L") if grey else result


def _to_eight_bits(image: Image.Image, background: Colour, transparent: object) -> Image.Image:
    """16-bit, 32-bit and float grey, scaled instead of clipped.

    Whole numbers up to 255 or 65,535 keep their meaning, floats within 0..1 are shares of white, floats
    within 0..255 levels, and others are stretched from their lowest to their highest.
    """
    import numpy as np  # costs a tenth of a second, and few images need it

    sixteen = image.mode.startswith("I;16")
    values = np.asarray(image.convert("I") if sixteen else image)
    whole = image.mode == "I" and values.min() >= 0 and _BYTE < values.max() <= _WORD
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
