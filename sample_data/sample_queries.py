"""Which pictures are searched for: changed copies, products unknown to the instance, awkward files.

Each comes with what should become of it: the product expected first, and the outcome.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from changed_pictures import (
    CHANGES,
    DRAWING,
    NOTE,
    TAIL,
    animation,
    broken_checksum,
    cut_short,
    encoded,
    half,
    huge_canvas,
    jpeg,
    sixteen_bit,
    stretched,
    turned,
    with_alpha,
)
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE: Final = Path(__file__).resolve().parent
SEED: Final = "batchsearch sample data 1"
CHANGES_PER_PRODUCT: Final = 4

# What the local rules answer to a picture that cannot be sent (`batchsearch/images/rules.py`).
OK: Final = "ok"
TOO_SMALL: Final = "Local.ImageTooSmall"
TOO_LONG: Final = "Local.ImageAspect"
TRUNCATED: Final = "Local.ImageTruncated"
DAMAGED: Final = "Local.ImageBroken"
NOT_AN_IMAGE: Final = "Local.NotAnImage"
EMPTY: Final = "Local.ImageEmpty"
OTHER_FORMAT: Final = "Local.ImageFormatUnsupported"
TOO_MANY_PIXELS: Final = "Local.ImageTooManyPixels"
NOT_FOUND: Final = "Local.ImageMissing"
NO_SUCH_ITEM: Final = "PicNotExist"


@dataclass(frozen=True, slots=True)
class Product:
    """One photographed product, a row of `photographs.csv`.

    Attributes:
        product_id: The shop's own identifier.
        image: File name in `catalogue/`.
        name: What it is.
        category: The shop's category.
        category_id: Image Search category, for instances of the product type.
        colour: Main colour, in one word.
        price_cents: Made up.
        in_catalogue: Whether the demonstration's instance holds it.
    """

    product_id: str
    image: str
    name: str
    category: str
    category_id: str
    colour: str
    price_cents: str
    in_catalogue: bool

    @property
    def stem(self) -> str:
        """File name without its ending; names the product in this script."""
        return self.image.removesuffix(".jpg")

    @property
    def path(self) -> str:
        """Path of the photograph, relative to this folder."""
        return f"catalogue/{self.image}"


@dataclass(frozen=True, slots=True)
class Made:
    """A query before it has its number.

    Attributes:
        path: Path of the picture, relative to this folder.
        change: What was done to the photograph.
        truth: Product expected as first hit, empty where none is.
        outcome: `ok` or the code expected for the row.
        notes: Why the picture is here, for a reader.
        data: The file's bytes; None where there is no file of its own.
    """

    path: str
    change: str
    truth: str
    outcome: str
    notes: str
    data: bytes | None


def read_products(folder: Path = HERE) -> tuple[Product, ...]:
    """Every photographed product, in the order of `photographs.csv`."""
    with (folder / "photographs.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Product(
                product_id=row["product_id"],
                image=row["image"],
                name=row["name"],
                category=row["category"],
                category_id=row["category_id"],
                colour=row["colour"],
                price_cents=row["price_cents"],
                in_catalogue=row["in_catalogue"] == "yes",
            )
            for row in csv.DictReader(file)
        )


def photograph(product: Product, folder: Path = HERE) -> Image.Image:
    """The product's photograph, decoded to RGB."""
    with Image.open(folder / product.path, formats=("JPEG",)) as file:
        return file.convert("RGB")


def changes_for(position: int) -> tuple[str, ...]:
    """The changes made to the product at a position: four in turn, so that each is made equally often."""
    names = tuple(CHANGES)
    return tuple(
        names[(position * CHANGES_PER_PRODUCT + step) % len(names)] for step in range(CHANGES_PER_PRODUCT)
    )


def changed_copies(products: Sequence[Product], folder: Path = HERE) -> Iterator[Made]:
    """Changed copies of the products in the catalogue."""
    for position, product in enumerate(product for product in products if product.in_catalogue):
        picture = photograph(product, folder)
        for change in changes_for(position):
            chance = random.Random(f"{SEED}/{product.product_id}/{change}")
            yield Made(
                path=f"queries/{product.stem}-{change.replace(' ', '-')}.jpg",
                change=change,
                truth=product.product_id,
                outcome=OK,
                notes="",
                data=CHANGES[change](picture, chance),
            )


def strangers(products: Sequence[Product]) -> Iterator[Made]:
    """Products that the instance does not hold: searched without error, and nothing is the right answer."""
    for product in products:
        if not product.in_catalogue:
            yield Made(
                product.path, "not in the catalogue", "", OK, "whatever comes first is another product", None
            )


class Awkward(NamedTuple):
    """One awkward file: how it is made from a photograph, and what should become of it.

    Attributes:
        name: File name, after `awkward-`.
        change: What was done.
        stem: The product on the photograph.
        make: Gives the file's bytes.
        outcome: `ok`, then the product is expected as first hit, or the code that it is refused with.
        notes: For a reader.
    """

    name: str
    change: str
    stem: str
    make: Callable[[Image.Image], bytes]
    outcome: str
    notes: str


def _turned(orientation: int, stem: str, notes: str = "is turned upright before sending") -> Awkward:
    return Awkward(
        f"orientation-{orientation}.jpg",
        f"EXIF orientation {orientation}",
        stem,
        lambda picture: turned(picture, orientation),
        OK,
        notes,
    )


def _packed(
    name: str, change: str, stem: str, kind: str, notes: str = "", *, halved: bool = True, **options: object
) -> Awkward:
    return Awkward(
        name,
        change,
        stem,
        lambda picture: encoded(half(picture) if halved else picture, kind, **options),
        OK,
        notes,
    )


AWKWARD: Final = (
    _turned(2, "leather-sofa"),
    _turned(3, "bonsai-tree"),
    _turned(4, "sneakers"),
    _turned(5, "tulip-pot"),
    _turned(6, "tablet"),
    _turned(7, "headphones"),
    _turned(8, "brown-purse"),
    _turned(9, "gaming-pc", "no such orientation: stays as it is"),
    Awkward(
        "too-small.jpg",
        "too small",
        "yoga-mat",
        lambda picture: jpeg(stretched(picture, 50, 50)),
        TOO_SMALL,
        "50 x 50 pixels, the service wants 100",
    ),
    Awkward(
        "too-large.jpg",
        "too large",
        "leather-sofa",
        lambda picture: jpeg(stretched(picture, 4800, 3204), quality=15),
        OK,
        "4800 pixels wide: is shrunk",
    ),
    Awkward(
        "long.jpg",
        "long",
        "tablet",
        lambda picture: jpeg(stretched(picture, 4500, 150), quality=50),
        OK,
        "30 times as wide as high, and too wide: is shrunk",
    ),
    Awkward(
        "too-long.jpg",
        "too long",
        "tablet",
        lambda picture: jpeg(stretched(picture, 4200, 100), quality=50),
        TOO_LONG,
        "42 times as wide as high: no size is both low and high enough",
    ),
    Awkward(
        "truncated.jpg",
        "truncated",
        "ethernet-cable",
        lambda picture: cut_short(jpeg(picture)),
        TRUNCATED,
        "an upload that broke off",
    ),
    Awkward(
        "damaged.png",
        "damaged",
        "bracelet",
        lambda picture: broken_checksum(encoded(half(picture).quantize(32), "PNG", optimize=True)),
        DAMAGED,
        "one bit is wrong, and a checksum says so",
    ),
    Awkward(
        "note.jpg", "not an image", "tablet", lambda _: NOTE, NOT_AN_IMAGE, "a text with a picture's name"
    ),
    Awkward(
        "drawing.svg",
        "SVG",
        "tablet",
        lambda _: DRAWING,
        OTHER_FORMAT,
        "a picture, but of lines instead of pixels",
    ),
    Awkward("empty.jpg", "empty file", "tablet", lambda _: b"", EMPTY, "0 bytes"),
    Awkward(
        "huge-canvas.png",
        "huge canvas",
        "tablet",
        lambda _: huge_canvas(),
        TOO_MANY_PIXELS,
        "400 million pixels in a small file: must never be decoded",
    ),
    Awkward(
        "picture.jp2",
        "JPEG 2000",
        "bracelet",
        lambda picture: encoded(half(picture), "JPEG2000", quality_mode="rates", quality_layers=[20]),
        OK,
        "the service does not take it: is sent as JPEG",
    ),
    Awkward(
        "animated.gif",
        "animated GIF",
        "chakra-bracelet",
        lambda picture: animation(picture, "GIF"),
        OK,
        "the first frame counts",
    ),
    Awkward(
        "animated.webp",
        "animated WebP",
        "spiky-cactus",
        lambda picture: animation(picture, "WEBP"),
        OK,
        "the first frame counts",
    ),
    Awkward(
        "cmyk.jpg",
        "CMYK JPEG",
        "shoes",
        lambda picture: jpeg(picture.convert("CMYK")),
        OK,
        "colours of a printing house",
    ),
    Awkward(
        "grey.jpg",
        "grey JPEG",
        "hanging-plant",
        lambda picture: jpeg(picture.convert("L")),
        OK,
        "one channel",
    ),
    Awkward(
        "progressive.jpg",
        "progressive JPEG",
        "black-watch",
        lambda picture: jpeg(picture, progressive=True),
        OK,
        "",
    ),
    Awkward(
        "tail.jpg",
        "bytes after the end",
        "pink-purse",
        lambda picture: jpeg(picture) + TAIL,
        OK,
        "what follows the end marker is no part of the picture",
    ),
    Awkward(
        "mpo.jpg",
        "two pictures in one file",
        "nikkormat-slr-camera",
        lambda picture: encoded(picture, "MPO", save_all=True, append_images=[half(picture)]),
        OK,
        "MPO, as phones write it: the first picture counts",
    ),
    Awkward("alpha.png", "PNG with alpha", "green-earbuds", with_alpha, OK, "transparent corners"),
    Awkward(
        "palette.png",
        "palette PNG",
        "painted-phone-case",
        lambda picture: encoded(half(picture).quantize(32), "PNG", optimize=True),
        OK,
        "32 colours",
    ),
    Awkward("sixteen-bit.png", "16-bit PNG", "cordless-mouse", sixteen_bit, OK, "grey"),
    _packed("still.gif", "GIF", "purple-t-shirt", "GIF", "256 colours"),
    _packed("picture.webp", "WebP", "yellow-earbuds", "WEBP", halved=False, quality=80),
    _packed("picture.tif", "TIFF", "gold-phone-case", "TIFF", compression="tiff_adobe_deflate"),
    _packed("picture.ppm", "PPM", "runx-running-shoe", "PPM"),
    _packed("picture.bmp", "BMP", "twin-lens-camera", "BMP"),
    _packed("really-png.jpg", "wrong file ending", "lime-band", "PNG", "a PNG by its content", optimize=True),
    Awkward(
        "café, Größe 2.jpg",
        "strange file name",
        "wooden-side-desk",
        jpeg,
        OK,
        "a comma, blanks and letters beyond ASCII",
    ),
)


def awkward_files(
    products: Sequence[Product], folder: Path = HERE, kinds: Sequence[Awkward] = AWKWARD
) -> Iterator[Made]:
    """The awkward files, each with what should become of it."""
    by_stem = {product.stem: product for product in products}
    for kind in kinds:
        product = by_stem[kind.stem]
        yield Made(
            path=f"queries/awkward-{kind.name}",
            change=kind.change,
            truth=product.product_id if kind.outcome == OK else "",
            outcome=kind.outcome,
            notes=kind.notes,
            data=kind.make(photograph(product, folder)),
        )


def rows_without_own_file(products: Sequence[Product]) -> Iterator[Made]:
    """A picture that is not there, and one that two rows share: the second needs no call of its own."""
    yield Made(
        "queries/awkward-missing.jpg",
        "missing file",
        "",
        NOT_FOUND,
        "no such file, and there should be none",
        None,
    )
    shared = next(product for product in products if product.stem == "cruiser-skateboard")
    for notes in ("the catalogue's own picture", "the same request again: needs no second call"):
        yield Made(shared.path, "same file twice", shared.product_id, OK, notes, None)
