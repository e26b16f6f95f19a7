"""What merchants do to a photograph, and what only looks as if they had: pixels in, pixels out.

`CHANGES` leave it the same photograph; `NEGATIVES` make another image of it that is no duplicate: a product
in another colour, a pack of several, a detail. Everything is drawn from the random number generator given, so
that a seed always makes the same image.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Change = Callable[[Image.Image, random.Random], Image.Image]

_PAINTS: Final = ("#c62828", "#1565c0", "#f9a825", "#2e7d32", "#212121", "#ffffff", "#6a1b9a")
_WORDS: Final = ("SALE -20 %", "NEW", "FREE SHIPPING", "BEST PRICE", "ORIGINAL", "shop-number-one.com")
_FLAT: Final = 14.0
"""Pixels this near to the border's colour, of 255, that the border reaches, are background."""


def as_file(image: Image.Image, chance: random.Random) -> tuple[bytes, str]:
    """The image as most shops store it: JPEG, sometimes WebP or PNG; with the file's ending."""
    kind = chance.choices(("jpg", "webp", "png"), (8, 1, 1))[0]
    sink = io.BytesIO()
    if kind == "jpg":
        image.save(sink, "JPEG", quality=chance.randint(78, 94))
    elif kind == "webp":
        image.save(sink, "WEBP", quality=chance.randint(75, 92))
    else:
        image.save(sink, "PNG")
    return sink.getvalue(), kind


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, dtype=np.float32)


def _image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def _stored(image: Image.Image, kind: str, quality: int) -> Image.Image:
    sink = io.BytesIO()
    image.save(sink, kind, quality=quality)
    return Image.open(sink).convert("RGB")


def foreground(image: Image.Image) -> NDArray[np.bool_]:
    """What is no background: not reached from the border over pixels of nearly the border's colour."""
    pixels = _pixels(image.filter(ImageFilter.GaussianBlur(1)))
    edge = np.concatenate((pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]))
    alike = np.abs(pixels - np.median(edge, axis=0)).max(axis=2) <= _FLAT * 2
    canvas = Image.fromarray(np.pad(np.where(alike, 255, 0).astype(np.uint8), 1, constant_values=255)).copy()
    ImageDraw.floodfill(canvas, (0, 0), 128)
    return np.asarray(canvas)[1:-1, 1:-1] != 128


def _masked(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    soft = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return _pixels(soft)[..., None] / 255


# Stored again.


def smaller(image: Image.Image, chance: random.Random) -> Image.Image:
    """Between a third and two thirds of each side, at least 120 pixels."""
    factor = max(chance.uniform(0.33, 0.67), 120 / min(image.size))
    return image.resize(_scaled(image, factor, factor), Image.Resampling.LANCZOS)


def larger(image: Image.Image, chance: random.Random) -> Image.Image:
    """Up to twice each side."""
    factor = chance.uniform(1.3, 2)
    return image.resize(_scaled(image, factor, factor), Image.Resampling.BICUBIC)


def _scaled(image: Image.Image, wide: float, high: float) -> tuple[int, int]:
    return max(1, round(image.width * wide)), max(1, round(image.height * high))


# Cut, filled up, turned.


def _window(image: Image.Image, chance: random.Random, low: float, high: float) -> Image.Image:
    width = round(image.width * chance.uniform(low, high))
    height = round(image.height * chance.uniform(low, high))
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def padded_white(image: Image.Image, chance: random.Random) -> Image.Image:
    """White around it: made square, and up to a third more."""
    side = round(max(image.size) * chance.uniform(1.05, 1.35))
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


def padded_colour(image: Image.Image, chance: random.Random) -> Image.Image:
    """A coloured canvas around it, the image anywhere in it."""
    width, height = _scaled(image, chance.uniform(1.05, 1.4), chance.uniform(1.05, 1.4))
    canvas = Image.new("RGB", (width, height), chance.choice(_PAINTS))
    canvas.paste(image, (chance.randint(0, width - image.width), chance.randint(0, height - image.height)))
    return canvas


def framed(image: Image.Image, chance: random.Random) -> Image.Image:
    """A coloured frame over its edge."""
    result = image.copy()
    wide = round(min(image.size) * chance.uniform(0.02, 0.06))
    box = (0, 0, image.width - 1, image.height - 1)
    ImageDraw.Draw(result).rectangle(box, outline=chance.choice(_PAINTS), width=wide)
    return result


def turned(image: Image.Image, chance: random.Random) -> Image.Image:
    """Turned by 2 to 6 degrees, the corners in the colour of the edge."""
    edge = _pixels(image)[0].mean(axis=0)
    angle = chance.choice((-1, 1)) * chance.uniform(2, 6)
    return image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=tuple(int(value) for value in edge))


def stretched(image: Image.Image, chance: random.Random) -> Image.Image:
    """One side longer or shorter by 8 to 18 %."""
    factor = 1 + chance.choice((-1, 1)) * chance.uniform(0.08, 0.18)
    return image.resize(_scaled(image, factor, 1.0), Image.Resampling.BICUBIC)


# Written and stuck on.


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(10, size))


def watermark(image: Image.Image, chance: random.Random) -> Image.Image:
    """A half transparent text all over it."""
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    word, font = chance.choice(_WORDS), _font(image.width / 12)
    shade = (*chance.choice(((255, 255, 255), (90, 90, 90))), chance.randint(70, 130))
    for top in range(0, image.height, max(24, image.height // 5)):
        pen.text((image.width // 2, top), f"{word}   {word}", fill=shade, font=font, anchor="ma")
    layer = layer.rotate(chance.uniform(10, 35))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def watermark_corner(image: Image.Image, chance: random.Random) -> Image.Image:
    """A text in a corner."""
    result = image.copy()
    at = (image.width * chance.choice((0.05, 0.45)), image.height * chance.choice((0.05, 0.88)))
    pen = ImageDraw.Draw(result)
    pen.text(at, chance.choice(_WORDS), fill=chance.choice(_PAINTS), font=_font(image.width / 16))
    return result


def sticker(image: Image.Image, chance: random.Random) -> Image.Image:
    """A round logo of a quarter of the width, near a corner."""
    result = image.copy()
    radius = round(image.width * chance.uniform(0.1, 0.15))
    x = chance.choice((radius + 4, image.width - radius - 4))
    y = chance.choice((radius + 4, image.height - radius - 4))
    pen = ImageDraw.Draw(result)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=chance.choice(_PAINTS))
    pen.text((x, y), f"-{chance.randint(10, 70)}%", fill="white", font=_font(radius * 0.7), anchor="mm")
    return result


def banner(image: Image.Image, chance: random.Random) -> Image.Image:
    """A strip with a text over 12 to 20 % of the height."""
    result = image.copy()
    height = round(image.height * chance.uniform(0.12, 0.2))
    top = chance.choice((0, image.height - height))
    pen = ImageDraw.Draw(result)
    pen.rectangle((0, top, image.width, top + height), fill=chance.choice(_PAINTS[:5]))
    middle = (image.width // 2, top + height // 2)
    pen.text(middle, chance.choice(_WORDS), fill="white", font=_font(height * 0.5), anchor="mm")
    return result


def banner_added(image: Image.Image, chance: random.Random) -> Image.Image:
    """A strip with a text below or above the image."""
    height = round(image.height * chance.uniform(0.12, 0.25))
    below = chance.random() < 0.5
    canvas = Image.new("RGB", (image.width, image.height + height), chance.choice(_PAINTS[:5]))
    canvas.paste(image, (0, 0 if below else height))
    middle = (image.width // 2, height // 2 + (image.height if below else 0))
    text = chance.choice(_WORDS)
    ImageDraw.Draw(canvas).text(middle, text, fill="white", font=_font(height * 0.4), anchor="mm")
    return canvas


def hidden_part(image: Image.Image, chance: random.Random) -> Image.Image:
    """A rectangle over 8 to 16 % of it, anywhere."""
    result = image.copy()
    share = math.sqrt(chance.uniform(0.08, 0.16))
    width, height = _scaled(image, share, share)
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    ImageDraw.Draw(result).rectangle((left, top, left + width, top + height), fill=chance.choice(_PAINTS))
    return result


def screenshot(image: Image.Image, chance: random.Random) -> Image.Image:
    """As an app shows it: bars and a price above and below."""
    bar = round(image.height * chance.uniform(0.1, 0.18))
    canvas = Image.new("RGB", (image.width, image.height + 3 * bar), "white")
    canvas.paste(image, (0, bar))
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((0, 0, image.width, bar), fill="#eeeeee")
    pen.text((10, bar // 2), "<  Details", fill="#333333", font=_font(bar * 0.4), anchor="lm")
    foot = image.height + bar
    pen.text((10, foot + bar // 2), f"{chance.randint(9, 99)},95 €", fill="#b00020", font=_font(bar * 0.5))
    return canvas


# Light and colour.


def brighter(image: Image.Image, chance: random.Random) -> Image.Image:
    """Brighter by 15 to 35 %."""
    return ImageEnhance.Brightness(image).enhance(chance.uniform(1.15, 1.35))


def white_balance(image: Image.Image, chance: random.Random) -> Image.Image:
    """Warmer or colder light."""
    warm = chance.choice((-1, 1)) * chance.uniform(0.06, 0.14)
    return _image(_pixels(image) * np.array([1 + warm, 1, 1 - warm], np.float32))


def noisy(image: Image.Image, chance: random.Random) -> Image.Image:
    """Noise."""
    noise = np.random.default_rng(chance.getrandbits(32)).normal(
        0, chance.uniform(6, 14), _pixels(image).shape
    )
    return _image(_pixels(image) + noise.astype(np.float32))


def vignette(image: Image.Image, chance: random.Random) -> Image.Image:
    """Darker towards the corners."""
    y, x = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    return _image(
        _pixels(image) * (1 - chance.uniform(0.15, 0.3) * (x**2 + y**2))[..., None].astype(np.float32)
    )


# Background.


def white_background(image: Image.Image, _chance: random.Random) -> Image.Image:
    """The background made white."""
    mask = _masked(foreground(image))
    return _image(_pixels(image) * mask + 255 * (1 - mask))


def other_background(image: Image.Image, chance: random.Random) -> Image.Image:
    """The background made a colour that runs from light to dark."""
    mask = _masked(foreground(image))
    colour = np.array([chance.randint(120, 250) for _ in range(3)], np.float32)
    fall = np.linspace(1.0, chance.uniform(0.6, 0.9), image.height, dtype=np.float32)[:, None, None]
    return _image(_pixels(image) * mask + colour * fall * (1 - mask))


def shadow(image: Image.Image, chance: random.Random) -> Image.Image:
    """A shadow thrown beside the product."""
    inside = foreground(image)
    step = round(image.width * chance.uniform(0.02, 0.05))
    thrown = Image.fromarray(np.where(np.roll(inside, (step, step), (0, 1)), 255, 0).astype(np.uint8))
    dark = _pixels(thrown.filter(ImageFilter.GaussianBlur(step)))[..., None] / 255 * 0.45
    mask = _masked(inside)
    return _image(_pixels(image) * (mask + (1 - dark) * (1 - mask)))


def several(image: Image.Image, chance: random.Random) -> Image.Image:
    """What a reseller does: cut, a little brighter, a sticker, stored badly."""
    image = brighter(_window(image, chance, 0.85, 0.95), chance)
    return _stored(sticker(image, chance), "JPEG", 45)


# No duplicates.


def _recoloured(
    image: Image.Image, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Image.Image:
    """Another colour where the photograph shows the product: its foreground but for skin and shadows."""
    pixels = _pixels(image)
    mask = _masked(foreground(image))
    red, green, blue = np.moveaxis(pixels, 2, 0)
    skin = (red > green) & (green > blue) & (red - blue > 20) & (red - blue < 110) & (red > 110)
    mask = mask * _masked(~skin)
    return _image(change(pixels) * mask + pixels * (1 - mask))


def other_colour(image: Image.Image, chance: random.Random) -> Image.Image:
    """The product in another hue, grey products in a colour: the light stays, the colour is another."""
    red, green, blue = (
        (1, 0.25, 0.25),
        (0.2, 0.45, 1),
        (0.25, 0.75, 0.3),
        (0.95, 0.8, 0.2),
        (0.65, 0.3, 0.8),
    )[chance.randrange(5)]

    def painted(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        light = (pixels @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
        own = pixels - light
        colour = np.array([red, green, blue], np.float32)
        target = colour - colour @ np.array([0.3, 0.59, 0.11], np.float32)
        old = np.median(own.reshape(-1, 3), axis=0)
        away = target if float(np.dot(old, target)) <= 0 else -target
        return light + own * 0.15 + away * (40 + 0.45 * light)

    return _recoloured(image, painted)


def turned_hue(image: Image.Image, chance: random.Random) -> Image.Image:
    """The product's hue turned by 60 to 180 degrees."""
    shift = round(chance.choice((-1, 1)) * chance.uniform(60, 180) / 360 * 256)

    def turn(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        hue, depth, value = _image(pixels).convert("HSV").split()
        hue = hue.point([(at + shift) % 256 for at in range(256)])
        return _pixels(Image.merge("HSV", (hue, depth, value)).convert("RGB"))

    return _recoloured(image, turn)


def dark_version(image: Image.Image, _chance: random.Random) -> Image.Image:
    """The same product in black, dark ones in light grey."""

    def dye(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        light = (pixels @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
        grey = 25 + light * 0.22 if float(np.median(light)) > 90 else 150 + light * 0.4
        return np.repeat(grey, 3, axis=2)

    return _recoloured(image, dye)


def pack_of_six(image: Image.Image, _chance: random.Random) -> Image.Image:
    """Six of it, three by two."""
    small = image.resize(_scaled(image, 0.5, 0.5), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (3 * small.width, 2 * small.height), "white")
    for number in range(6):
        canvas.paste(small, (number % 3 * small.width, number // 3 * small.height))
    return canvas


def pack_of_two(image: Image.Image, _chance: random.Random) -> Image.Image:
    """Two of it, side by side."""
    canvas = Image.new("RGB", (2 * image.width, image.height), "white")
    canvas.paste(image, (0, 0))
    canvas.paste(image, (image.width, 0))
    return canvas


def detail(image: Image.Image, chance: random.Random) -> Image.Image:
    """A detail: 28 to 38 % of each side around the middle, made large."""
    share = chance.uniform(0.28, 0.38)
    width, height = _scaled(image, share, share)
    left = round((image.width - width) * chance.uniform(0.3, 0.7))
    top = round((image.height - height) * chance.uniform(0.3, 0.7))
    cut = image.crop((left, top, left + width, top + height))
    return cut.resize(image.size, Image.Resampling.BICUBIC)


_NAMED: Final = (
    smaller, larger, padded_white, padded_colour, framed, turned, stretched,
    watermark, watermark_corner, sticker, banner, banner_added, hidden_part, screenshot,
    brighter, white_balance, noisy, vignette, white_background, other_background, shadow, several,
)  # fmt: skip
CHANGES: Final[Mapping[str, Change]] = {
    "quality_20": lambda image, _: _stored(image, "JPEG", 20),
    "recompressed": lambda image, chance: _stored(
        _stored(image, "JPEG", chance.randint(40, 70)), "JPEG", chance.randint(40, 70)
    ),
    "webp": lambda image, chance: _stored(image, "WEBP", chance.randint(25, 60)),
    "cropped": lambda image, chance: _window(image, chance, 0.82, 0.95),
    "cropped_hard": lambda image, chance: _window(image, chance, 0.62, 0.8),
    "mirrored": lambda image, _: ImageOps.mirror(image),
    "mirrored_crop": lambda image, chance: _window(ImageOps.mirror(image), chance, 0.85, 0.95),
    "darker": lambda image, chance: ImageEnhance.Brightness(image).enhance(chance.uniform(0.65, 0.85)),
    "contrast": lambda image, chance: ImageEnhance.Contrast(image).enhance(
        chance.choice((0.7, 0.8, 1.25, 1.4))
    ),
    "gamma": lambda image, chance: _image(
        255 * (_pixels(image) / 255) ** chance.choice((0.7, 0.8, 1.25, 1.45))
    ),
    "saturation": lambda image, chance: ImageEnhance.Color(image).enhance(
        chance.choice((0.5, 0.65, 1.35, 1.6))
    ),
    "greyscale": lambda image, _: image.convert("L").convert("RGB"),
    "blurred": lambda image, chance: image.filter(
        ImageFilter.GaussianBlur(min(image.size) / 300 * chance.uniform(1, 2))
    ),
    "sharpened": lambda image, chance: image.filter(ImageFilter.UnsharpMask(2, chance.randint(120, 220), 2)),
} | {change.__name__: change for change in _NAMED}
"""What leaves it the same photograph."""

NEGATIVES: Final[Mapping[str, Change]] = {
    change.__name__: change
    for change in (other_colour, turned_hue, dark_version, pack_of_six, pack_of_two, detail)
}
"""What makes another image of it."""
