"""What is kept of an image to verify it against others: local features, and a small copy for its colours.

Up to 200 SIFT features of the image, 132 bytes each, and the image at 128 pixels as a JPEG of high quality:
some 20 KB an image. Features are looked for in the image at 256 pixels, which has enough of most products and
takes less than half the time of 320; a plain one that shows few there is looked at again in 320. Places are
told in the image at 320 pixels, whatever they were found in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from batchsearch.tasks.dedup.verifying.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION: Final = 3
"""Of what is kept: features of another version are made anew."""

SIDE: Final = 320
"""Longer side of the image in which places of features are told, pixels."""
_FIRST_SIDE: Final = 256
"""Longer side of the image in which they are looked for first."""
_FEW: Final = 40
"""With fewer features than these an image is looked at again, at `SIDE`."""
THUMB_SIDE: Final = 128
"""Longer side of the small copy."""

_MOST: Final = 200
_CONTRAST: Final = 0.0236
"""Least contrast of a feature. From here on OpenCV passes over what differs from its surroundings by less
than one step of brightness before it looks any closer: compressed flat ground costs nothing."""
_DESCRIPTOR: Final = 128
_HEAD: Final = struct.Struct("<HHH")
_STEPS: Final = 64.0
"""Positions are kept in steps of so many to a pixel."""
_QUALITY: Final = 95


def _mirrored_order() -> NDArray[np.int64]:
    """Where each number of a descriptor is in that of the mirrored image: 4 x 4 cells of 8 directions."""
    row, column, direction = np.meshgrid(np.arange(4), np.arange(4), np.arange(8), indexing="ij")
    return (((3 - row) * 4 + column) * 8 + (8 - direction) % 8).ravel()


_MIRRORED: Final = _mirrored_order()


@dataclass(frozen=True, slots=True)
class Features:
    """An image's features.

    Attributes:
        points: Where they are, x and y in pixels of the image at `SIDE`; shape (n, 2).
        descriptors: Of length 1; shape (n, 128).
        size: Width and height of that image.
        thumb: The small copy, RGB; shape (height, width, 3).
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]
    thumb: NDArray[np.uint8]

    def mirrored(self) -> Features:
        """Those of the image with left and right exchanged, without looking at it again."""
        points = self.points.copy()
        points[:, 0] = self.size[0] - 1 - points[:, 0]
        descriptors = np.ascontiguousarray(self.descriptors[:, _MIRRORED])
        return Features(points, descriptors, self.size, np.ascontiguousarray(self.thumb[:, ::-1]))


def packed_features(image: Image.Image) -> bytes:
    """An image's features as they are kept.

    Args:
        image: Upright, RGB.

    Raises:
        MissingExtraError: opencv-python-headless is not installed.
    """
    cv2 = opencv()
    grey = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2GRAY)
    first, told_in = _fitting(image.size, _FIRST_SIDE), _fitting(image.size, SIDE)
    places, descriptors = _found(grey, first)
    places = places * np.divide(told_in, first)
    if len(places) < _FEW:
        places, descriptors = _found(grey, told_in)
    written, small = cv2.imencode(
        ".jpg",
        cv2.cvtColor(_small_copy(image), cv2.COLOR_RGB2BGR),
        [
            cv2.IMWRITE_JPEG_QUALITY,
            _QUALITY,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
    )
    if not written:
        raise RuntimeError("OpenCV cannot write a JPEG")
    return b"".join(
        (
            _HEAD.pack(len(places), *told_in),
            np.clip(np.round(places * _STEPS), 0, 65535).astype("<u2").tobytes(),
            np.clip(descriptors, 0, 255).astype(np.uint8).tobytes(),
            small.tobytes(),
        )
    )


def unpacked_features(data: bytes) -> Features:
    """The features that `packed_features` made bytes of."""
    cv2 = opencv()
    count, width, height = _HEAD.unpack_from(data)
    at = _HEAD.size
    places = np.frombuffer(data, "<u2", 2 * count, at).reshape(-1, 2)
    at += 4 * count
    raw = np.frombuffer(data, np.uint8, _DESCRIPTOR * count, at).reshape(-1, _DESCRIPTOR).astype(np.float32)
    at += _DESCRIPTOR * count
    small = cv2.imdecode(np.frombuffer(data, np.uint8, offset=at), cv2.IMREAD_COLOR)
    return Features(
        points=places.astype(np.float32) / np.float32(_STEPS),
        descriptors=raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), np.float32(1e-6)),
        size=(width, height),
        thumb=cv2.cvtColor(small, cv2.COLOR_BGR2RGB),
    )


def _small_copy(image: Image.Image) -> NDArray[np.uint8]:
    # Of all ways to shrink it the sharpest: what is averaged here looks like a change of light later.
    way = Image.Resampling.LANCZOS if max(image.size) > THUMB_SIDE else Image.Resampling.BICUBIC
    return np.asarray(image.resize(_fitting(image.size, THUMB_SIDE), way, reducing_gap=3.0))


def _found(grey: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Where the features of an image of that size are, and their descriptors."""
    cv2 = opencv()
    shrinks = max(grey.shape) > max(size)
    looked_at = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    sift = cv2.SIFT_create(_MOST, contrastThreshold=_CONTRAST)
    found, descriptors = sift.detectAndCompute(looked_at, None)
    if descriptors is None:
        return np.zeros((0, 2)), np.zeros((0, _DESCRIPTOR), np.float32)
    places = np.asarray(cv2.KeyPoint_convert(found[:_MOST]), np.float64).reshape(-1, 2)
    return places, descriptors[:_MOST]


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The sides of an image whose longer one becomes `side`."""
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
