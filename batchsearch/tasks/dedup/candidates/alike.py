"""Images that are the same, or nearly, by their looks alone: no call is needed to know (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from batchsearch.tasks.dedup.candidates.matches import IDENTICAL_BYTES, IDENTICAL_PIXELS, PERCEPTUAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_BITS: Final = 3
"""Bits in which the outlines of two nearly equal images may differ, of 64."""
MOST_SHADE: Final = 12
"""Most by which the thumbs of two nearly equal images may differ anywhere, of 255."""

_BAND_BITS: Final = 16
_NEIGHBOURS: Final = 32
"""Images that each is compared with in a crowd of the same outline: blank images are many."""
_ALL_PAIRS: Final = 20
"""Groups of identical images up to this size are joined pair by pair, larger ones to their first."""


@dataclass(frozen=True, slots=True)
class Alike:
    """Pairs of images, the earlier first; arrays of one length.

    Attributes:
        first: Place of the earlier image.
        second: Place of the later one.
        kind: `IDENTICAL_BYTES`, `IDENTICAL_PIXELS` or `PERCEPTUAL`.
        similarity: 1 for identical ones, else the share of equal bits of the outlines.
        crowded: Images that were not paired with everything that they are identical to.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    kind: NDArray[np.int8]
    similarity: NDArray[np.float64]
    crowded: NDArray[np.int64]


def find_alike(
    files: NDArray[np.int64],
    pixels: NDArray[np.int64],
    outlines: NDArray[np.uint64],
    thumbs: NDArray[np.uint8],
) -> Alike:
    """All pairs of images that are alike, each once and under its surest kind.

    Images of more than 20 identical ones are paired with the first of them only.

    Args:
        files: Number of the file's content, by image; -1 for unknown.
        pixels: Number of the pixels' content; -1 for unknown.
        outlines: 64 bits each.
        thumbs: Shape (n, 48).
    """
    same_file = _groups(files)
    same_pixels = _groups(pixels)
    hashed = _near(outlines, thumbs, pixels)
    first = np.concatenate([pair[0] for pair in (same_file, same_pixels, hashed)])
    second = np.concatenate([pair[1] for pair in (same_file, same_pixels, hashed)])
    kind = np.repeat(
        np.array([IDENTICAL_BYTES, IDENTICAL_PIXELS, PERCEPTUAL], np.int8),
        [len(same_file[0]), len(same_pixels[0]), len(hashed[0])],
    )
    # The surest kind of each pair comes first, and `unique` keeps the first.
    _, kept = np.unique((first << 32) | second, return_index=True)
    kept = np.sort(kept)
    first, second, kind = first[kept], second[kept], kind[kept]
    differing = _bits(outlines[first] ^ outlines[second])
    similarity = np.where(kind == PERCEPTUAL, 1 - differing / 64, 1.0)
    crowded = np.unique(np.concatenate([same_file[2], same_pixels[2]]))
    return Alike(first, second, kind, similarity, crowded)


def later_copies(count: int, alike: Alike) -> NDArray[np.int64]:
    """For each image the earlier one that it is a copy of; -1 for those that are no copies.

    What a copy is a copy of is never a copy itself.
    """
    of = np.full(count, -1, np.int64)
    order = np.lexsort((alike.first, alike.second))
    for first, second in zip(alike.first[order].tolist(), alike.second[order].tolist(), strict=True):
        if of[second] < 0 and of[first] < 0:
            of[second] = first
    return of


def _bits(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many bits of each value are set."""
    parts = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    return np.asarray(np.unpackbits(parts, axis=1).sum(axis=1), dtype=np.int64)


def _groups(
    numbers: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of places with equal numbers, and the places of groups too large for all their pairs."""
    order = np.flatnonzero(numbers >= 0)
    order = order[np.argsort(numbers[order], kind="stable")]
    empty = np.empty(0, np.int64)
    if len(order) == 0:
        return empty, empty, empty
    ordered = numbers[order]
    begins = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    starts = np.flatnonzero(begins)
    start = starts[np.cumsum(begins) - 1]
    size = np.diff(np.concatenate((starts, [len(order)])))[np.cumsum(begins) - 1]
    at = np.arange(len(order))
    firsts, seconds = [empty], [empty]
    for step in range(1, _ALL_PAIRS):
        inside = at[(at - step >= start) & (size <= _ALL_PAIRS)]
        if len(inside) == 0:
            break
        firsts.append(order[inside - step])
        seconds.append(order[inside])
    crowded = at[(size > _ALL_PAIRS) & ~begins]
    firsts.append(order[start[crowded]])
    seconds.append(order[crowded])
    return np.concatenate(firsts), np.concatenate(seconds), order[size > _ALL_PAIRS]


def _near(
    outlines: NDArray[np.uint64], thumbs: NDArray[np.uint8], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs whose outlines differ in at most `MOST_BITS` bits and whose thumbs agree.

    Of four bands of 16 bits at least one is equal where no more than three bits differ, so that only
    images with an equal band are compared; of many with one band each with its neighbours by outline.
    """
    found: list[NDArray[np.int64]] = []
    for band in range(64 // _BAND_BITS):
        part = (outlines >> np.uint64(band * _BAND_BITS)) & np.uint64(2**_BAND_BITS - 1)
        order = np.lexsort((outlines, part))
        ordered = part[order]
        for step in range(1, _NEIGHBOURS + 1):
            equal = np.flatnonzero(ordered[step:] == ordered[:-step])
            if len(equal) == 0:
                break
            one, other = order[equal], order[equal + step]
            close = _bits(outlines[one] ^ outlines[other]) <= MOST_BITS
            close &= (pixels[one] < 0) | (pixels[one] != pixels[other])
            one, other = one[close], other[close]
            close = np.abs(thumbs[one].astype(np.int16) - thumbs[other]).max(axis=1, initial=0) <= MOST_SHADE
            one, other = one[close], other[close]
            found.append((np.minimum(one, other) << 32) | np.maximum(one, other))
    key = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return key >> 32, key & 0xFFFFFFFF
