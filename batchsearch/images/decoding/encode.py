"""Repair: one pass from a file's bytes to a plain JPEG that the rules allow.

Order of work: decode (shrinking on the way), flatten, shrink, convert colours, turn, pad, write. Shrinking
comes before what costs time for each pixel. Nothing of the file's metadata is carried over.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Final

from PIL import Image

from batchsearch.images.decoding.blank import blankness, contrasting, flat_colour, is_blank
from batchsearch.images.decoding.colour import flatten, to_srgb
from batchsearch.images.decoding.decode import decode
from batchsearch.images.decoding.fit import NoFit, scaled, stored_sides, swapped
from batchsearch.images.regions import Geometry
from batchsearch.images.verdict import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.images.decoding.colour import Colour
    from batchsearch.images.decoding.decode import Decoded
    from batchsearch.images.decoding.fit import Size
    from batchsearch.images.headers.structure_facts import Inspection
    from batchsearch.images.rules import Rules

LOWEST_QUALITY: Final = 40
"""JPEG quality below which fewer pixels look better than fewer bytes for each."""
REDUCING_GAP: Final = 1.5
_RESAMPLING: Final = {"fine": Image.Resampling.BICUBIC, "quick": Image.Resampling.HAMMING}
_SIZE_STEPS: Final = 12
_TURNS: Final[Mapping[int, Image.Transpose]] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A repaired image.

    Attributes:
        data: The JPEG file.
        geometry: How its pixels follow from the source's.
        transforms: What was done, in order.
    """

    data: bytes
    geometry: Geometry
    transforms: tuple[str, ...]


def reencode(data: bytes, seen: Inspection, reasons: tuple[str, ...], rules: Rules) -> Encoded | Reject:
    """Decodes an image and writes it anew within the rules.

    Args:
        data: The file.
        seen: What its structure says, without a flaw.
        reasons: Why it cannot pass as it is.
        rules: The limits.

    Raises:
        MemoryError: There is not enough memory.
    """
    planned = _decoded(data, seen, rules)
    if isinstance(planned, Reject):
        return planned
    decoded, wanted = planned
    done: list[str] = []
    if seen.frames > 1:
        done.append(f"frame:{min(rules.frame, seen.frames - 1)}")
    image = _something_to_see(decoded, wanted, rules, done, others=seen.frames > 1)
    if isinstance(image, Reject):
        return image
    if "metadata" in reasons:
        done.append("metadata")
    written = _fitting(image, rules)
    if isinstance(written, Reject):
        return written
    if written.content != image.size:
        done.append(_resized(image.size, written.content))
    if written.box is not None:
        done.append("pad:{}x{}->{}x{}".format(*written.content, *written.size))
    done.append(f"encode:jpeg:q{written.quality}")
    geometry = Geometry(*decoded.stored, decoded.whole_turn, *written.size, written.box)
    return Encoded(written.data, geometry, tuple(done))


def _decoded(data: bytes, seen: Inspection, rules: Rules) -> tuple[Decoded, Size] | Reject:
    """The pixels, and the sides that the stored grid is to have."""
    stored, orientation = (seen.width, seen.height), seen.orientation
    wanted = stored_sides(stored, orientation, rules, snap=seen.format == "JPEG")
    if isinstance(wanted, NoFit):
        return Reject(wanted.code, wanted.message)
    decoded = decode(data, seen, rules, wanted)
    if isinstance(decoded, Reject):
        return decoded
    if (decoded.stored, decoded.whole_turn) != (stored, orientation):
        # The decoder knows better (a frame or box of its own size): plan again from what it delivered.
        wanted = stored_sides(decoded.stored, decoded.whole_turn, rules, snap=False)
        if isinstance(wanted, NoFit):
            return Reject(wanted.code, wanted.message)
    return decoded, wanted


def _something_to_see(
    decoded: Decoded, wanted: Size, rules: Rules, done: list[str], *, others: bool
) -> Image.Image | Reject:
    """The upright image, on another background if it cannot be seen on its own, or why it is not sent.

    Args:
        decoded: The pixels.
        wanted: Sides that the stored grid is to have.
        rules: What becomes of an image without anything to see.
        done: Takes the words for what is done.
        others: The file holds other frames or pages.
    """
    words: list[str] = []
    image = _upright_image(decoded, wanted, rules, rules.background, words)
    colour = None if rules.blank == "send" else flat_colour(image)
    if colour is not None:
        several = others or flat_colour(decoded.image) is None
        see_through = any(word.startswith("alpha->") for word in words)
        background = rules.background if see_through else None
        refusal = Reject("Local.ImageBlank", blankness(colour, several=several, see_through=see_through))
        chips = rules.blank == "lost"
        if is_blank(colour, several=several, background=background, chips=chips):
            if not (see_through and rules.blank == "contrast"):
                return refusal
            words = []
            image = _upright_image(decoded, wanted, rules, contrasting(colour), words)
            if flat_colour(image) is not None:
                return refusal
    done += words
    return image


def _upright_image(
    decoded: Decoded, stored_wanted: Size, rules: Rules, background: Colour, done: list[str]
) -> Image.Image:
    """Flattens, shrinks, converts and turns; adds the words for it to `done`."""
    image = decoded.image
    profile = image.info.get("icc_profile")
    if decoded.turned != 1:
        done.append(f"orientation:{decoded.turned}")
    image, words = flatten(image, background)
    done += words
    if image.mode == "LAB":
        # Its signed channels do not survive resampling.
        image, words = to_srgb(image, None)
        profile = None
        done += words
    wanted = swapped(stored_wanted, decoded.turned)
    before = swapped(decoded.stored, decoded.turned)
    if wanted != before:
        done.append(_resized(before, wanted))
    if image.size != wanted:
        image = image.resize(
            wanted, _RESAMPLING[rules.resampling], box=decoded.box, reducing_gap=REDUCING_GAP
        )
    image, words = to_srgb(image, profile if isinstance(profile, bytes) else None)
    done += words
    if decoded.orientation != 1:
        image = image.transpose(_TURNS[decoded.orientation])
        done.append(f"orientation:{decoded.orientation}")
    return image


@dataclass(frozen=True, slots=True)
class _Written:
    """A file within the rules: its bytes, quality and sides, and where the content stands if padded."""

    data: bytes
    quality: int
    size: Size
    content: Size
    box: tuple[int, int, int, int] | None


def _fitting(image: Image.Image, rules: Rules) -> _Written | Reject:
    """Pads and writes an upright image, with fewer bytes by quality and then by size."""
    content = image
    for _ in range(_SIZE_STEPS):
        sheet, box = _pad(content, rules)
        data, quality = _within_bytes(sheet, rules)
        if len(data) <= rules.max_bytes:
            return _Written(data, quality, sheet.size, content.size, box)
        smaller = _fewer_pixels(image.size, content.size, len(data), rules)
        if smaller is None:
            break
        content = image.resize(smaller, _RESAMPLING[rules.resampling], reducing_gap=REDUCING_GAP)
    return Reject(
        "Local.ImageTooManyBytes",
        f"{len(data)} bytes at {sheet.width}x{sheet.height} and quality {quality}; "
        f"at most {rules.max_bytes} are sent",
    )


def _pad(image: Image.Image, rules: Rules) -> tuple[Image.Image, tuple[int, int, int, int] | None]:
    """The image in the middle of a canvas of at least the shortest side, and where it stands there."""
    canvas = max(image.width, rules.min_side), max(image.height, rules.min_side)
    if canvas == image.size:
        return image, None
    corner = (canvas[0] - image.width) // 2, (canvas[1] - image.height) // 2
    sheet = Image.new("RGB", canvas, rules.background)
    sheet.paste(image, corner)
    return sheet, (*corner, *image.size)


def _within_bytes(image: Image.Image, rules: Rules) -> tuple[bytes, int]:
    """The file at the highest quality that fits, or at the lowest if none does."""
    data = _write(image, rules.quality)
    low, high = min(LOWEST_QUALITY, rules.quality), rules.quality - 1
    if len(data) <= rules.max_bytes or high < low:
        return data, rules.quality
    best = _write(image, low), low
    if len(best[0]) > rules.max_bytes:
        return best
    low += 1
    while low <= high:
        middle = (low + high + 1) // 2
        data = _write(image, middle)
        if len(data) <= rules.max_bytes:
            best = data, middle
            low = middle + 1
        else:
            high = middle - 1
    return best


def _fewer_pixels(full: Size, now: Size, size: int, rules: Rules) -> Size | None:
    """Sides that should bring a file of `size` bytes under the limit, or None at the smallest allowed."""
    shrink = min(0.95, (rules.max_bytes / size) ** 0.5 * 0.97)
    scale = shrink * max(now) / max(full)
    if rules.too_small != "pad":
        scale = max(scale, rules.min_side / min(full))
    smaller = scaled(full, scale, rules)
    return smaller if smaller != now and max(smaller) < max(now) else None


def _write(image: Image.Image, quality: int) -> bytes:
    """The image as a plain JPEG file, without any metadata.

    Pillow writes to a real file without holding the interpreter's lock, which lets threads encode side
    by side; to a memory buffer it holds the lock throughout.
    """
    image.info = {}
    with _scratch_file() as file:
        image.save(file, "JPEG", quality=quality)
        file.seek(0)
        return file.read()


def _scratch_file() -> IO[bytes]:
    """A nameless file: in memory where the system has such, else on disk, else a mere buffer."""
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            return os.fdopen(os.memfd_create("image", os.MFD_CLOEXEC), "w+b", buffering=0)
    with suppress(OSError):
        return tempfile.TemporaryFile(buffering=0)
    return BytesIO()


def _resized(before: Size, after: Size) -> str:
    return f"resize:{before[0]}x{before[1]}->{after[0]}x{after[1]}"
