"""PBM, PGM and PPM pixels through numpy: any sample range, in C and not in Python loops."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from PIL import Image

from batchsearch.images.headers.netpbm import read_header
from batchsearch.images.headers.structure_facts import DamagedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from batchsearch.images.headers.netpbm import Raster

_COMMENT: Final = re.compile(rb"#[^\r\n]*")
_BINARY: Final = 4
_BITS: Final = frozenset({1, 4})
_FULL: Final = 255
_SPACES: Final = b" \t\r\n\v\f"


def decode(data: bytes) -> Image.Image:
    """The image in mode L or RGB, its samples scaled to 0..255.

    Raises:
        DamagedError: Samples are missing or are no numbers.
    """
    import numpy as np  # costs a tenth of a second, and few images need it

    raster = read_header(data)
    shape = (raster.height, raster.width, raster.components)
    levels: NDArray[np.uint8]
    if raster.kind in _BITS:
        levels = (1 - _bits(data, raster)) * np.uint8(_FULL)
    else:
        samples = _numbers(data, raster)
        if raster.maximum != _FULL:
            samples = (np.minimum(samples, raster.maximum) * _FULL + raster.maximum // 2) // raster.maximum
        levels = samples.astype(np.uint8)
    pixels = levels.reshape(shape)
    return Image.fromarray(pixels if raster.components > 1 else pixels[:, :, 0])


def _numbers(data: bytes, raster: Raster) -> NDArray[np.int32]:
    """The samples of a PGM or PPM, unscaled."""
    import numpy as np

    count = raster.width * raster.height * raster.components
    if raster.kind >= _BINARY:
        kind = ">u2" if raster.maximum > _FULL else "u1"
        return np.frombuffer(data, kind, count, raster.offset).astype(np.int32)
    words = _COMMENT.sub(b" ", data[raster.offset :]).split(None, count)[:count]
    if len(words) < count:
        raise DamagedError("truncated", "samples are missing")
    try:
        return np.array(words, dtype="S6").astype(np.int32).clip(0, raster.maximum)
    except ValueError:
        raise DamagedError("broken", "a sample is no number") from None


def _bits(data: bytes, raster: Raster) -> NDArray[np.uint8]:
    """The samples of a PBM, 1 for black."""
    import numpy as np

    if raster.kind == _BINARY:
        stride = (raster.width + 7) // 8
        rows = np.frombuffer(data, np.uint8, stride * raster.height, raster.offset)
        return np.unpackbits(rows.reshape(raster.height, stride), axis=1)[:, : raster.width]
    digits = _COMMENT.sub(b"", data[raster.offset :]).translate(None, _SPACES)
    samples = np.frombuffer(digits[: raster.width * raster.height], np.uint8) - ord("0")
    if samples.size < raster.width * raster.height:
        raise DamagedError("truncated", "samples are missing")
    if samples.size and samples.max() > 1:
        raise DamagedError("broken", "a sample is neither 0 nor 1")
    return samples
