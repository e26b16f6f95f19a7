"""Whether two images show the same thing in the same shape: matched features that one affine map explains.

The map may mirror, shift, scale, turn and stretch a little. Features in the background of a studio, on a
model's face or on a watermark agree on no map of the whole, or on one under which the rest disagrees, which
is what the aligned comparison is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.dedup.verifying.opencv import opencv

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.verifying.features import Features

_RATIO: Final = 0.85
"""The nearest descriptor must be nearer than so much of the way to the second nearest."""
_REACH: Final = 4.0
"""Pixels by which a matched feature may miss its place under the map."""
_FEWEST: Final = 4
_CLEAR: Final = 40
"""With so many places agreeing, nobody asks whether the mirror image fits better."""
_LARGEST_SCALE: Final = 4.0
_MOST_STRETCH: Final = 1.5
_GRID: Final = 4.0
"""Features nearer to one another than so many pixels count once."""
_NEARLY_WHOLE: Final = 0.85
_ENOUGH_OUTSIDE: Final = 12
_FEWEST_AGAIN: Final = 8
"""At fewer places than these nothing is shown once more: chance alone matches as many."""


@dataclass(frozen=True, slots=True)
class Placing:
    """How one image lies on another.

    Attributes:
        first: The first image's features, mirrored where that fits better.
        map: From the first to the second, shape (2, 3).
        inliers: Places at which both agree.
        overlap: The smaller of the shares of both images' features that lie on the other image.
        repeated: Places at which what lies outside agrees with the other image once more: a pack of several.
        mirrored: Whether the first is mirrored.
    """

    first: Features
    map: NDArray[np.float64]
    inliers: int
    overlap: float
    repeated: int
    mirrored: bool


def place(first: Features, second: Features) -> Placing | None:
    """The best map from the first image to the second; None where nothing agrees."""
    best: tuple[int, NDArray[np.float64], Features, bool] | None = None
    for mirrored in (False, True):
        if best is not None and best[0] >= _CLEAR:
            break
        features = first.mirrored() if mirrored else first
        at = _mutual(_likenesses(features.descriptors, second.descriptors))
        if best is not None and len(at) <= best[0]:  # never at more places than are matched
            continue
        count, found = _fitted(features.points, second.points, at)
        if found is not None and (best is None or count > best[0]):
            best = (count, found, features, mirrored)
    if best is None:
        return None
    count, found, features, mirrored = best
    back = opencv().invertAffineTransform(found)
    inside = _inside(features.points, found, second.size), _inside(second.points, back, features.size)
    repeated = max(_again(features, second, inside[0]), _again(second, features, inside[1]))
    overlap = float(min(inside[0].mean(), inside[1].mean()))
    return Placing(features, found, count, overlap, repeated, mirrored)


def _likenesses(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products of descriptors, 1 for equal ones: the more alike, the nearer."""
    if len(one) == 0 or len(other) == 0:
        return np.empty((len(one), len(other)), np.float32)
    # OpenCV's product, not NumPy's: that one would start threads of its own for each pair.
    cv2 = opencv()
    return np.asarray(cv2.gemm(one, other, 1.0, None, 0.0, flags=cv2.GEMM_2_T), dtype=np.float32)


def _nearest(likenesses: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each row the nearest column, and whether it is much nearer than the second.

    The likenesses of the nearest are overwritten: who looks at columns looks first.
    """
    nearest = likenesses.argmax(axis=1)
    rows = np.arange(len(likenesses))
    least = _apart(likenesses[rows, nearest])
    likenesses[rows, nearest] = -np.inf
    return nearest, least < _RATIO * _apart(likenesses.max(axis=1))


def _apart(likenesses: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances of descriptors of length 1 whose products these are."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * likenesses, 0)), dtype=np.float32)


def _mutual(likenesses: NDArray[np.float32]) -> NDArray[np.int64]:
    if min(likenesses.shape) < _FEWEST:
        return np.empty((0, 2), np.int64)
    back = likenesses.argmax(axis=0)
    nearest, clear = _nearest(likenesses)
    clear &= back[nearest] == np.arange(len(likenesses))
    return np.stack((np.flatnonzero(clear), nearest[clear]), axis=1)


def _fitted(
    one: NDArray[np.float32], other: NDArray[np.float32], at: NDArray[np.int64]
) -> tuple[int, NDArray[np.float64] | None]:
    """The map that most matches agree on, and at how many places."""
    if len(at) < _FEWEST:
        return 0, None
    cv2 = opencv()
    here, there = one[at[:, 0]], other[at[:, 1]]
    found: Any
    found, kept = cv2.estimateAffine2D(
        here, there, method=cv2.RANSAC, ransacReprojThreshold=_REACH, maxIters=500, confidence=0.995
    )
    if found is None or not np.isfinite(found).all():
        return 0, None
    long, short = _stretches(found)
    if short <= 0 or long > _LARGEST_SCALE or short < 1 / _LARGEST_SCALE or long > _MOST_STRETCH * short:
        return 0, None
    kept = kept.ravel().astype(bool)
    return min(_places(here[kept]), _places(there[kept])), found


def _stretches(through: NDArray[np.float64]) -> tuple[float, float]:
    """The most and the least by which a map lengthens anything; the least is negative where it mirrors."""
    (a, b, _), (c, d, _) = through.tolist()
    turned, mirrored = math.hypot(a + d, b - c), math.hypot(a - d, b + c)
    return (turned + mirrored) / 2, (turned - mirrored) / 2


def _places(points: NDArray[np.float32]) -> int:
    """At how many places these points are."""
    cells = np.round(points / _GRID).astype(np.int64)
    return len(np.unique(cells[:, 0] << 32 | cells[:, 1]))


def _inside(
    points: NDArray[np.float32], through: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.bool_]:
    mapped = points @ through[:, :2].T + through[:, 2]
    return np.asarray(((mapped >= 0) & (mapped < size)).all(axis=1))


def _again(whole: Features, part: Features, inside: NDArray[np.bool_]) -> int:
    """At how many places what lies outside one image's overlap shows the other image once more."""
    outside = np.flatnonzero(~inside)
    if len(outside) < _ENOUGH_OUTSIDE or inside.mean() >= _NEARLY_WHOLE or len(part.points) < _FEWEST:
        return 0
    nearest, clear = _nearest(_likenesses(whole.descriptors[outside], part.descriptors))
    if np.count_nonzero(clear) < _FEWEST_AGAIN:
        return 0
    at = np.stack((outside[clear], nearest[clear]), axis=1)
    return _fitted(whole.points, part.points, at)[0]
