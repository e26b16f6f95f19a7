"""What is kept of an image to verify it against others: local features, and a small copy for its colours.

Up to 300 SIFT features of the image at 320 pixels, 132 bytes each, and the image at 128 pixels as a JPEG of
high quality: some 30 KB an image.
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

VERSION: Final = 2
"""Of what is kept: features of another version are made anew."""

SIDE: Final = 320
"""Longer side of the image that features are looked for in, pixels."""
THUMB_SIDE: Final = 128
"""Longer side of the small copy."""

_MOST: Final = 300
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
    shrinks = max(image.size) > SIDE
    grey = cv2.resize(
        grey,
        _fitting(image.size, SIDE),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    found, descriptors = cv2.SIFT_create(_MOST, contrastThreshold=_CONTRAST).detectAndCompute(grey, None)
    count = min(len(found), _MOST)
    places = np.array([each.pt for each in found[:count]], np.float64).reshape(-1, 2)
    descriptors = np.zeros((0, _DESCRIPTOR)) if descriptors is None else descriptors[:count]
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
    height, width = grey.shape
    return b"".join(
        (
            _HEAD.pack(count, width, height),
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


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The sides of an image whose longer one becomes `side`."""
    factor = side / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
