"""How often the embedded instance's networks find the original of a changed copy first.

Run from the project's folder:

    python tests/benchmarks/changed_copies.py [--model NAME] [--json]

Eight changed copies of each image of the sample catalogue are searched among the originals: the share whose
original comes first, for the ways in which images can be added and searched. The table of
`batchsearch/emulator/models/README.md` is what it prints. Without `--model` it is the newest network.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measuring.command_line import command_line, tell
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from batchsearch.emulator.search.embedding import MODEL, MODELS, Embedder
from batchsearch.emulator.search.image_reading import decode_image
from batchsearch.emulator.search.subject import identify_subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.emulator.search.image_reading import DecodedImage

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "catalogue"


def part(image: Image.Image, left: float, top: float, share: float) -> Image.Image:
    """A part of the image: so much of each side, from there on."""
    width, height = image.size
    x, y = round(left * width), round(top * height)
    return image.crop((x, y, x + round(share * width), y + round(share * height)))


def bannered(image: Image.Image) -> Image.Image:
    """With a red band over its lower sixth."""
    made = image.copy()
    ImageDraw.Draw(made).rectangle((0, 5 * made.height // 6, made.width, made.height), fill=(200, 30, 30))
    return made


def brighter(image: Image.Image) -> Image.Image:
    """By 30 %."""
    return ImageEnhance.Brightness(image).enhance(1.3)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 30": lambda image: image,
    "half size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "80 % from the middle": lambda image: part(image, 0.1, 0.1, 0.8),
    "80 % from a corner": lambda image: part(image, 0, 0, 0.8),
    "mirrored": ImageOps.mirror,
    "banner": bannered,
    "30 % brighter": brighter,
    "four at once": lambda image: bannered(brighter(ImageOps.mirror(part(image, 0.1, 0.1, 0.8)))),
}
WAYS = {"whole": None, "subject": "border", "both": "border", "u2netp": "u2netp"}
GENTLE = list(CHANGES)[:-2]


def read(image: Image.Image, quality: int) -> DecodedImage:
    """The image as an instance gets it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return decode_image(buffer.getvalue(), "generic")


def vectors(embedder: Embedder, images: list[DecodedImage], way: str) -> np.ndarray:
    """Vectors of images: of the `whole`, of the `subject` alone, of `both`, or so with `u2netp`'s subject."""
    found = []
    for image in images:
        sides = image.width, image.height
        subjects = identify_subjects(image.image, WAYS[way], sides=sides) if way != "whole" else ()
        if not subjects:
            found.append(embedder.embed(image))
        elif way == "subject":
            found.append(embedder.embed(image, subjects[0]))
        else:
            found.append(embedder.embed_with_subject(image, subjects[0]))
    return np.stack(found)


def measured(model: str) -> dict[str, object]:
    """Shares of copies whose original comes first, of all changes and without the last two."""
    embedder = Embedder(model)
    originals = []
    for path in sorted(SAMPLES.glob("*.jpg")):
        with Image.open(path) as opened:
            originals.append(opened.convert("RGB"))
    plain = [read(image, 95) for image in originals]
    changed = {
        name: [read(change(image), 30 if name == "JPEG quality 30" else 85) for image in originals]
        for name, change in CHANGES.items()
    }
    kept = {way: vectors(embedder, plain, way) for way in WAYS}
    asked = {way: {name: vectors(embedder, some, way) for name, some in changed.items()} for way in kept}
    ways = {way: (way, way) for way in kept} | {"added both, searched whole": ("both", "whole")}
    table = {}
    for name, (added, searched) in ways.items():
        first = {
            change: float(((made @ kept[added].T).argmax(axis=1) == np.arange(len(plain))).mean())
            for change, made in asked[searched].items()
        }
        table[name] = {
            "all": round(float(np.mean(list(first.values()))), 3),
            "gentle": round(float(np.mean([first[change] for change in GENTLE])), 3),
        }
    return {"model": model, "copies": len(plain) * len(CHANGES), "first": table}


def main() -> None:
    """Measure and print."""
    parser = command_line(__doc__)
    parser.add_argument("--model", choices=list(MODELS), default=MODEL)
    chosen = parser.parse_args()
    found = measured(chosen.model)
    print(f"{found['model']}, {found['copies']} copies\n\n{'':<30}first hit   without the last two changes")
    for name, shares in found["first"].items():
        print(f"{name:<30}{shares['all']:<12}{shares['gentle']}")
    tell(chosen, found)


if __name__ == "__main__":
    main()
