"""Pixels out of bytes: the only place where a decoder runs, and where everything it may raise ends.

Only formats that `inspect` has read are ever handed to a decoder, by name: no file can start
Ghostscript or a slow reader by its first bytes.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, UnidentifiedImageError, features

from batchsearch.descriptors import is_exhausted
from batchsearch.images.decoding import netpbm_pixels as netpbm
from batchsearch.images.decoding import tiff_pixels as tiff
from batchsearch.images.decoding.cost import decoding_cost
from batchsearch.images.decoding.fit import dct_divisor
from batchsearch.images.headers.png import without_texts
from batchsearch.images.headers.structure_facts import DamagedError
from batchsearch.images.regions import SWAPPED
from batchsearch.images.verdict import Reject
from batchsearch.own_errors import INTERNAL_ERROR, is_own, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.ImageFile import ImageFile

    from batchsearch.images.decoding.fit import Size
    from batchsearch.images.headers.structure_facts import Inspection
    from batchsearch.images.rules import Rules

# Pillow warns about damaged metadata and large canvases on standard error, once for each place in its
# code. Both are settled here by the structure scan and by checks of the size before and after decoding.
warnings.filterwarnings("ignore", module=r"PIL\.")

_PLUGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "WEBP": ("WEBP",),
    "GIF": ("GIF",),
    "BMP": ("BMP",),
    "TIFF": ("TIFF",),
    "JPEG2000": ("JPEG2000",),
    "AVIF": ("AVIF",),
    "HEIF": ("HEIF",),
}
"""Format: the Pillow plugins that may open it. PPM is decoded with numpy."""
_LIBRARIES: Final[Mapping[str, str]] = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
"""Format: the part of Pillow that decodes it, which a distribution may have left out."""
_NOT_BUILT_IN: Final = re.compile(r"^decoder \w+ not available")
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image's pixels.

    Attributes:
        image: Loaded; any Pillow mode.
        stored: Width and height of the file's grid, before turning and shrinking.
        orientation: What the image still has to be turned by, 1..8; 1 where the decoder did it.
        turned: What the decoder has turned the stored grid by already.
        box: The part of the image that holds the stored grid, pixels: shrinking while decoding
            may leave a last row or column that is only partly covered.
    """

    image: Image.Image
    stored: Size
    orientation: int
    turned: int
    box: tuple[float, float, float, float] | None

    @property
    def whole_turn(self) -> int:
        """The orientation from the stored grid to the upright image, whoever does the turning."""
        return self.turned if self.orientation == 1 else self.orientation


def decode(data: bytes, seen: Inspection, rules: Rules, wanted: Size | None = None) -> Decoded | Reject:
    """Decodes one image, shrinking on the way where that is cheap.

    Args:
        data: The file.
        seen: What its structure says, without a flaw.
        rules: The frame to take and the largest canvas.
        wanted: Sides in the stored grid that suffice; a JPEG is decoded at the smallest scale that has them.

    Returns:
        The pixels, or why there are none. Any error of a decoder ends here.

    Raises:
        MemoryError: There is not enough memory.
        OSError: There are no file descriptors left.
    """
    try:
        if seen.format == "PPM":
            image = netpbm.decode(data)
            return Decoded(image, image.size, 1, 1, None)
        return _decode(data, seen, rules, wanted)
    except MemoryError:
        raise
    except OSError as error:
        if is_exhausted(error):
            raise
        return _refusal(seen, error)
    except DamagedError as damage:
        return Reject("Local.ImageBroken", f"{seen.format}: {damage.detail}")
    except Exception as error:  # noqa: BLE001 - decoders raise a dozen unrelated types on hostile files
        return _refusal(seen, error)


def _decode(data: bytes, seen: Inspection, rules: Rules, wanted: Size | None) -> Decoded | Reject:
    plugins = _PLUGINS.get(seen.format or "", ())
    if seen.format == "HEIF" and not _heif_is_readable():
        return Reject(
            "Local.ImageFormatUnsupported",
            "HEIF is read only with an optional package: pip install 'batchsearch[heif]'",
        )
    needed = _LIBRARIES.get(seen.format or "")
    if needed is not None and not features.check(needed):
        return _without_decoder(seen)
    if seen.format == "PNG":
        data = without_texts(data)
    elif seen.format == "TIFF":
        data = tiff.only_page(data, seen)
        tiff.learn_depths()
    with _opened(data, seen, plugins) as image:
        return _loaded(image, seen, rules, wanted)


def _opened(data: bytes, seen: Inspection, plugins: tuple[str, ...]) -> ImageFile:
    """The file in its decoder, nothing decoded yet.

    Pillow has a limit for canvases, one for the whole process. What a job allows beyond it is opened past
    that limit; `_loaded` holds the job's own.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is None or seen.width * seen.height <= limit:
        return Image.open(BytesIO(data), formats=plugins)
    Image.init()
    factory, _ = Image.OPEN[plugins[0]]
    return factory(BytesIO(data), "")


def _loaded(image: ImageFile, seen: Inspection, rules: Rules, wanted: Size | None) -> Decoded | Reject:
    """The pixels of a file that is opened, if what the decoder made of it is what was declared."""
    if rules.frame and seen.frames > 1 and seen.format != "TIFF":
        image.seek(min(rules.frame, seen.frames - 1))
    opened = replace(seen, width=image.width, height=image.height)
    if decoding_cost(opened, wanted) > rules.max_pixels:
        return Reject("Local.ImageTooManyPixels", f"{seen.format} of {image.width}x{image.height} pixels")
    if seen.format == "TIFF":
        tiff.mend_palette(image)
    stored, orientation = _grid(image, seen)
    box = _draft(image, wanted) if seen.format == "JPEG" and wanted else None
    expected = image.size
    image.load()
    if image.size != expected:
        return Reject(
            "Local.ImageBroken",
            f"{seen.format}: {expected[0]}x{expected[1]} pixels declared, "
            f"{image.width}x{image.height} decoded",
        )
    pixels = tiff.mend_levels(image) if seen.format == "TIFF" else image
    turned = 1
    if seen.format == "TIFF":
        # Pillow turns TIFF pixels while loading and removes the tag then.
        left = getattr(image, "tag_v2", {}).get(_ORIENTATION, 1)
        if left not in range(2, 9):
            orientation, turned = 1, orientation
    return Decoded(pixels, stored, orientation, turned, box)


def _grid(image: ImageFile, seen: Inspection) -> tuple[Size, int]:
    """Sides of the stored grid as the decoder sees them, and the orientation to apply."""
    orientation = seen.orientation
    size = image.size
    if seen.format == "AVIF":
        # Its boxes turn the image, and Pillow reports that as EXIF.
        declared = image.getexif().get(_ORIENTATION, 1)
        return size, declared if declared in range(1, 9) else 1
    if seen.format == "TIFF" and orientation in SWAPPED:
        # Opened, the size is already that of the turned image.
        return (size[1], size[0]), orientation
    return size, orientation


def _draft(image: ImageFile, wanted: Size) -> tuple[float, float, float, float] | None:
    """Tells a JPEG decoder to deliver the smallest scale that has the wanted sides."""
    width, height = image.size
    divisor = dct_divisor(image.size, wanted)
    if divisor == 1:
        return None
    small = -(-width // divisor), -(-height // divisor)
    result = image.draft(None, (width // divisor, height // divisor))
    return None if result is None or image.size == small == wanted else result[1]


def _heif_is_readable() -> bool:
    """Whether the optional HEIF plugin is installed; registers it the first time."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _without_decoder(seen: Inspection) -> Reject:
    return Reject(
        "Local.ImageFormatUnsupported",
        f"{seen.format}: the Pillow installed here was built without its decoder; install Pillow from PyPI",
    )


def _refusal(seen: Inspection, error: Exception) -> Reject:
    """The outcome of a decoder's error; its text may quote the file, so only its kind is kept."""
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Reject("Local.ImageTooManyPixels", f"{seen.format}: the decoder refuses a canvas of that size")
    if is_own(error):
        return Reject(INTERNAL_ERROR, f"{seen.format}: {told(error)}")
    if isinstance(error, OSError) and _NOT_BUILT_IN.search(str(error)):
        return _without_decoder(seen)
    if seen.format == "TIFF" and isinstance(error, UnidentifiedImageError):
        # The structure scan found it whole: its pixels are of a kind that the decoder does not know.
        kind = f"{seen.components}x{seen.bits} bits"
        return Reject("Local.ImageFormatUnsupported", f"TIFF with pixels of {kind} is not read")
    if isinstance(error, OSError) and "truncated" in str(error):
        return Reject("Local.ImageTruncated", f"{seen.format}: the image data ends early")
    return Reject("Local.ImageBroken", f"{seen.format}: the decoder gave up ({type(error).__name__})")
