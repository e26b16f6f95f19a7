"""Two images of one shape, laid on each other: do light and colour agree, once one light is taken from both?

What a merchant does to a whole photograph (exposure, contrast, gamma, white balance, saturation) is one
change for every pixel, and is fitted and taken away. A garment in another colour is not: there the structure
agrees and the colour does not. What hides a part (a sticker, a banner) changes the structure, and is not
asked for its colour. Backgrounds help to fit the light where both images have the same; else they are left
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from batchsearch.tasks.dedup.clusters.verdicts import LEAST_AGREEMENT, SURELY_COLOUR, SURELY_LIGHT
from batchsearch.tasks.dedup.verifying.features import SIDE, THUMB_SIDE
from batchsearch.tasks.dedup.verifying.lighting import CLOSE, FREE, PLAIN, fitted, medians, relit
from batchsearch.tasks.dedup.verifying.opencv import opencv

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from batchsearch.tasks.dedup.verifying.features import Features
    from batchsearch.tasks.dedup.verifying.geometry import Placing
    from batchsearch.tasks.dedup.verifying.lighting import Light

    Mask = NDArray[np.bool_]
    Pixels = NDArray[np.float32]

_WINDOW: Final = (9, 9)
_PATCH: Final = (5, 5)
_TEXTURED: Final = 3.0
"""Standard deviation of a window's brightness, of 100, from which it has structure."""
_ALIKE: Final = 0.6
"""Correlation of two windows, of either sign, from which their structure agrees."""
_EDGE: Final = 0.04
"""Left out at each side of what both images show: frames, and what resampling does."""
_LEAST_PIXELS: Final = 30
_ENOUGH_PIXELS: Final = 60
_LEAST_SIDE: Final = 16
_BACKGROUND_SHARE: Final = 0.04
_BACKGROUND_NEAR: Final = 20.0
_BACKGROUND_AGREES: Final = 6.0
_MOST_SAMPLES: Final = 500
_MOST_BEHIND: Final = 150
_NO_LIGHT: Final = 60.0
"""Difference of colour that no change of light explains. Among 8,600 pairs of photographs of a shop and of
changed copies, 44 was the most that one did."""
_NOT_CLOSE: Final = 40.0
"""Difference of colour under the nearest light that no other light explains; among them it was 33."""
_STEADY_FALL: Final = np.diag(np.array([1e-3, 6, 6, 6], np.float32))


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two images agree where both show something.

    Attributes:
        structure: Share of the structured pixels whose surroundings correlate, 0 to 1.
        colour: Difference of colour (the distance of a and b in CIELAB) after one light is taken from both:
            the 90th percentile of pixels or the 97th of patches, whichever is more; NaN where nobody asks.
        light: Difference of lightness (L, 0 to 100) likewise: twice the 80th percentile of pixels or the
            97th of patches.
    """

    structure: float
    colour: float
    light: float


UNKNOWN: Final = Agreement(0.0, 100.0, 100.0)
"""Where two images have too little in common to compare."""


def agreement(placing: Placing, second: Features, *, whole: bool = True) -> Agreement:
    """Compare two images under a map from the first to the second.

    Args:
        placing: How the first lies on the second.
        second: The second image's features.
        whole: Whether light and colour are asked for, where the structure agrees.
    """
    laid = _laid(placing, second)
    if laid is None:
        return UNKNOWN
    *copies, shown = laid
    cv2 = opencv()
    one, other = (cv2.blur(each, (3, 3)).astype(np.float32) / 255 for each in copies)
    structured, agrees = _structure(one, other)
    structured &= shown
    agrees &= structured
    share = float(agrees.sum() / max(int(structured.sum()), 1))
    if not whole or share < LEAST_AGREEMENT:
        return Agreement(share, np.nan, np.nan)
    ground = [_background(each) & shown for each in copies]
    compared = agrees & ~ground[0] & ~ground[1]
    if compared.sum() < _ENOUGH_PIXELS:
        compared = agrees
    if compared.sum() < _LEAST_PIXELS:
        return Agreement(share, UNKNOWN.colour, UNKNOWN.light)
    return _compared(one, other, compared, ground[0] & ground[1], share)


def _laid(placing: Placing, second: Features) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Mask] | None:
    """Both small copies in the frame of the one that shows things smaller, cut to what both show."""
    cv2 = opencv()
    one, other, through = placing.first.thumb, second.thumb, placing.map.copy()
    through[:, 2] *= THUMB_SIDE / SIDE
    if np.linalg.det(through[:, :2]) > 1:
        one, other, through = other, one, cv2.invertAffineTransform(through)
    height, width = other.shape[:2]
    scale = float(np.sqrt(np.linalg.det(through[:, :2])))
    if scale <= 0.7:  # noqa: PLR2004 - from there on bilinear sampling would leave pixels out
        one = cv2.GaussianBlur(one, (0, 0), 0.4 / scale)
    warped = cv2.warpAffine(one, through, (width, height), borderMode=cv2.BORDER_REPLICATE)
    down, across = one.shape[0] - 1, one.shape[1] - 1
    corners = np.array([[0, 0], [across, 0], [across, down], [0, down]]) @ through[:, :2].T + through[:, 2]
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(canvas, np.round(corners).astype(np.int32), 1)
    shown: Mask = canvas > 0
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    if len(rows) == 0:
        return None
    inset = [max(2, int(_EDGE * len(each))) for each in (rows, columns)]
    cut = (
        slice(rows[0] + inset[0], rows[-1] + 1 - inset[0]),
        slice(columns[0] + inset[1], columns[-1] + 1 - inset[1]),
    )
    warped, other, shown = warped[cut], other[cut], shown[cut]
    return (warped, other, shown) if min(shown.shape) >= _LEAST_SIDE else None


def _background(pixels: NDArray[np.uint8]) -> Mask:
    """What the border reaches over pixels of its own colour, which may change evenly over the image."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    terms, border = _evenly(height, width)
    # Channel by channel: NumPy is slow over a last axis of three.
    soft = np.ascontiguousarray(cv2.blur(pixels, (3, 3)).reshape(-1, 3).T, dtype=np.float32)
    here = terms[:, border]
    middle = medians(soft[:, border])
    from_middle = soft[:, border] - middle
    kept = np.abs(from_middle).max(axis=0) <= 2.4 * _BACKGROUND_NEAR
    fall = np.zeros((3, len(terms)), np.float32)
    for _ in range(2):
        if np.count_nonzero(kept) < 0.3 * len(kept):  # a border of many colours is no background
            return np.zeros((height, width), bool)
        some = here[:, kept]
        fall = np.linalg.solve(some @ some.T + _STEADY_FALL, some @ from_middle[:, kept].T).T
        kept = np.abs(from_middle - fall @ here).max(axis=0) <= _BACKGROUND_NEAR
    soft -= middle
    soft -= fall @ terms
    alike = np.abs(soft, out=soft).max(axis=0) <= _BACKGROUND_NEAR
    canvas = np.ones((height + 2, width + 2), np.uint8)
    canvas[1:-1, 1:-1] = alike.reshape(height, width)
    cv2.floodFill(canvas, np.zeros((height + 4, width + 4), np.uint8), (0, 0), 2)
    return np.asarray(canvas[1:-1, 1:-1] == 2)  # noqa: PLR2004 - the value that was filled in


@lru_cache(maxsize=64)
def _evenly(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What an even change over an image is made of, shape (4, pixels), and which pixels are its border."""
    down, across = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack((np.ones_like(across), across, down, across**2 + down**2))
    border = np.ones((height, width), bool)
    border[1:-1, 1:-1] = False
    return terms.reshape(len(terms), -1), np.flatnonzero(border)


def _structure(one: Pixels, other: Pixels) -> tuple[Mask, Mask]:
    """Which pixels have structure around them in either image, and where it correlates in any channel.

    A correlation below zero agrees, too: a dark garment made light has its edges where they were.
    """
    cv2 = opencv()
    one, other = one * 100, other * 100
    means = cv2.blur(one, _WINDOW), cv2.blur(other, _WINDOW)
    spreads = [
        np.sqrt(np.maximum(cv2.blur(each * each, _WINDOW) - mean * mean, 0))
        for each, mean in zip((one, other), means, strict=True)
    ]
    shared = cv2.blur(one * other, _WINDOW) - means[0] * means[1]
    correlation = np.abs(shared) / (spreads[0] * spreads[1] + 1)
    structured = _largest(np.maximum(spreads[0], spreads[1])) > _TEXTURED
    return structured, _largest(correlation) > _ALIKE


def _compared(one: Pixels, other: Pixels, where: Mask, ground: Mask, share: float) -> Agreement:
    every, at = (one.reshape(-1, 3), other.reshape(-1, 3)), np.flatnonzero(where)
    compared = [each.take(at, axis=0) for each in every]
    ends = [_largest((each > 0.98) | (each < 0.004)) for each in compared]  # noqa: PLR2004 - clipped
    lost = [float(each.mean()) for each in ends]
    # What is clipped cannot be told back: the image that has lost less is made like the other one.
    even = abs(lost[0] - lost[1]) <= 0.02  # noqa: PLR2004 - so few pixels say nothing
    if lost[0] > lost[1] if not even else float(compared[0].mean()) > float(compared[1].mean()):
        every, compared = every[::-1], compared[::-1]
    # Of the pixels that are compared alone: they are few of all.
    target, patches = _lab(compared[1]), _Patches(where, at)
    as_it_is = _difference(_lab(compared[0]) - target, patches)
    if as_it_is[0] > _NO_LIGHT:
        return Agreement(share, *as_it_is)
    used = at[~(ends[0] | ends[1])]
    if len(used) < 0.3 * len(at):
        used = at
    differences: list[tuple[float, float]] = []
    for light in _lights(every, _some(used, _MOST_SAMPLES), ground):
        colour, lightness = _difference(_lab(relit(compared[0], light)) - target, patches)
        differences.append((colour, lightness))
        if colour > _NOT_CLOSE or (colour <= SURELY_COLOUR and lightness <= SURELY_LIGHT):
            break
    return Agreement(share, *min(differences, key=sum))


def _lights(every: Sequence[Pixels], product: NDArray[np.int64], ground: Mask) -> Iterator[Light]:
    """The changes of light that may lie between two images, the nearest first."""
    here, there = (each.take(product, axis=0) for each in every)
    alike = np.ones(len(here), np.float32)
    yield fitted(here, there, alike, CLOSE)
    if np.count_nonzero(ground) < _BACKGROUND_SHARE * ground.size:
        yield fitted(here, there, alike, PLAIN)
        return
    some = _some(np.flatnonzero(ground), _MOST_BEHIND)
    behind, there_behind = (each.take(some, axis=0) for each in every)
    light = fitted(
        np.concatenate((here, behind)),
        np.concatenate((there, there_behind)),
        np.concatenate((alike, np.full(len(behind), len(here) / len(behind), np.float32))),
        FREE,
    )
    apart = _lab(relit(behind, light)) - _lab(there_behind)
    if float(np.median(np.linalg.norm(apart, axis=1))) < _BACKGROUND_AGREES:
        yield light


class _Patches:
    """Means of small patches around pixels, of what is known of some pixels only.

    Args:
        where: Which pixels those are.
        at: Their places, pixel by pixel.
    """

    def __init__(self, where: Mask, at: NDArray[np.int64]) -> None:
        self._shape, self._at = where.shape, at
        covered = opencv().blur(where.astype(np.float32), _PATCH).ravel()
        # Patches that are mostly inside.
        self._whole = at[covered[at] > 0.5]  # noqa: PLR2004
        self._covered = covered[self._whole][:, None]

    def means(self, values: Pixels) -> Pixels:
        """The mean around each pixel whose patch is mostly known; all the values where there is none.

        Args:
            values: Of the known pixels, in their order; shape (n, 3).
        """
        if not len(self._whole):
            return values
        laid = np.zeros((*self._shape, 3), np.float32)
        laid.reshape(-1, 3)[self._at] = values
        means = opencv().blur(laid, _PATCH).reshape(-1, 3).take(self._whole, axis=0)
        return np.asarray(means / self._covered)


def _difference(apart: Pixels, around: _Patches) -> tuple[float, float]:
    """How much colour and lightness differ, by pixel and by patch."""
    pixels, patches = (np.ascontiguousarray(each.T) for each in (apart, around.means(apart)))
    colour = max(_rank(_length(pixels[1:]), 90), _rank(_length(patches[1:]), 97))
    light = max(2 * _rank(np.abs(pixels[0]), 80), _rank(np.abs(patches[0]), 97))
    return colour, light


def _length(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(parts[0] * parts[0] + parts[1] * parts[1]))


def _rank(values: NDArray[np.float32], percent: int) -> float:
    """The percentile, as `numpy.percentile` has it, without what that spends on finding out how to."""
    place = (len(values) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    parted = np.partition(values, (low, high))
    least = float(parted[low])
    return least + (place - low) * (float(parted[high]) - least)


def _some(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """About so many of them, evenly."""
    return places[:: max(1, len(places) // most)]


def _largest(pixels: NDArray[Any]) -> NDArray[Any]:
    """The largest of the three channels, by pixel; NumPy's own `max` over so short an axis is slow."""
    return np.asarray(np.maximum(np.maximum(pixels[..., 0], pixels[..., 1]), pixels[..., 2]))


def _lab(colours: Pixels) -> Any:
    cv2 = opencv()
    return cv2.cvtColor(np.ascontiguousarray(colours[None]), cv2.COLOR_RGB2LAB)[0]
