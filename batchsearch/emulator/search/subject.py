"""Subject identification: the parts of an image that stand out, as boxes.

Two ways. `border` takes the colours along the image's edges for the background and whatever differs
from them for subjects: 2 ms, good on plain backgrounds. `u2netp` asks a saliency network: about 160 ms,
better on cluttered ones. Both end in a map of the image, which is cut at a threshold into connected
components; each sizeable one is a subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PIL import Image

from batchsearch.emulator.models import open_session
from batchsearch.emulator.search.records import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

SubjectWay = Literal["border", "u2netp"]

MOST_SUBJECTS: Final = 5
"""How many subjects are reported at most, largest first."""

_MAP_SIDE = 96  # longer side of the map of colour distances, pixels
# A smaller main subject is taken for dirt, and the whole image is searched. Its box counts, not its pixels
# alone: a ring or a bicycle has few.
_LEAST_BOX = 0.02
_LEAST_CELLS = 0.004
_LEAST_OF_MAIN = 0.1  # further subjects have at least this share of the main one's pixels

_RING = 0.03  # the border's width, as a share of the shorter side
_CHROMA_WEIGHT = 1.5  # colour tells subjects from shadows better than brightness does
_COLOURS = 4  # most background colours along a border
_COLOUR_SHARE = 0.1  # what is left of the border once fewer pixels than this are unexplained
_COLOUR_CELL = 24.0  # grid in which the commonest colour is looked for, in units of brightness
_COLOUR_RADIUS = 30.0  # pixels this near to a background colour belong to it
_LEAST_CONTRAST = 12.0
_OTSU_SHARE = 0.7  # Otsu's threshold cuts pale parts of a subject off

_U2_SIDE = 192
_U2_MEAN = (0.485, 0.456, 0.406)
_U2_STD = (0.229, 0.224, 0.225)
_U2_CUT = 0.5


@dataclass(slots=True)
class _Component:
    """A connected set of cells: how many, and their bounds, right and bottom exclusive."""

    cells: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def box(self) -> int:
        """Cells inside the bounds."""
        return (self.right - self.left) * (self.bottom - self.top)


def identify_subjects(
    image: Image.Image, way: SubjectWay = "border", *, sides: tuple[int, int] | None = None
) -> tuple[Box, ...]:
    """The subjects' boxes, largest first; empty when nothing stands out.

    Args:
        image: The image, mode RGB.
        way: `border` or `u2netp`; the latter needs onnxruntime.
        sides: Of the image whose pixels the boxes are in, where it was decoded smaller.
    """
    mask = _salient(image) if way == "u2netp" else _unlike_border(image)
    found = connected_components(mask)
    if not found or found[0].cells < _LEAST_CELLS * mask.size or found[0].box < _LEAST_BOX * mask.size:
        return ()
    sizeable = [part for part in found if part.cells >= _LEAST_OF_MAIN * found[0].cells]
    return tuple(_to_box(part, mask.shape, sides or image.size) for part in sizeable[:MOST_SUBJECTS])


def _to_box(part: _Component, cells: tuple[int, ...], size: tuple[int, int]) -> Box:
    across, down = size[0] / cells[1], size[1] / cells[0]
    x1, y1 = int(part.left * across), int(part.top * down)
    x2, y2 = round(part.right * across) - 1, round(part.bottom * down) - 1
    return Box(x1=x1, x2=max(x1, x2), y1=y1, y2=max(y1, y2))


def _unlike_border(image: Image.Image) -> NDArray[np.bool_]:
    """Cells whose colour is far from every common colour of the image's border."""
    scale = _MAP_SIDE / max(image.size)
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    # Channel by channel: NumPy is slow over a last axis of three.
    pixels = np.stack([np.asarray(each, dtype=np.float64) for each in small.convert("YCbCr").split()])
    pixels[1:] -= 128.0
    pixels[1:] *= _CHROMA_WEIGHT
    ring = max(1, round(_RING * min(size)))
    sides = (pixels[:, :ring], pixels[:, -ring:], pixels[:, :, :ring], pixels[:, :, -ring:])
    colours = _common_colours(np.concatenate([side.reshape(3, -1) for side in sides], axis=1))
    distance = _nearest(pixels, colours)
    cut = max(_LEAST_CONTRAST, _OTSU_SHARE * _otsu(distance))
    return np.asarray(distance > cut, dtype=np.bool_)


def _nearest(pixels: NDArray[Any], colours: list[NDArray[Any]]) -> NDArray[Any]:
    """How far each pixel is from the nearest of the colours; the first axis is that of the channels."""
    return np.asarray(np.sqrt(np.minimum.reduce([_squares(pixels, colour) for colour in colours])))


def _squares(pixels: NDArray[Any], colour: NDArray[Any]) -> NDArray[Any]:
    """Squared distances of pixels from a colour."""
    apart = [channel - part for channel, part in zip(pixels, colour.tolist(), strict=True)]
    return np.asarray((apart[0] * apart[0] + apart[1] * apart[1]) + apart[2] * apart[2])


def _common_colours(border: NDArray[Any]) -> list[NDArray[Any]]:
    """The border's colours, commonest first, until nearly all of it is near to one of them."""
    colours: list[NDArray[Any]] = []
    left = border
    while len(colours) < _COLOURS and left.shape[1] >= max(1.0, _COLOUR_SHARE * border.shape[1]):
        cells = np.floor(left / _COLOUR_CELL).astype(np.int64) + 64
        codes = cells[0] << 16 | cells[1] << 8 | cells[2]
        values, counts = np.unique(codes, return_counts=True)
        seed = _median(left[:, codes == values[counts.argmax()]])
        near = np.sqrt(_squares(left, seed)) < _COLOUR_RADIUS
        colours.append(_median(left[:, near]) if near.any() else seed)
        left = left[:, ~near]
    return colours


def _median(pixels: NDArray[Any]) -> NDArray[Any]:
    """The median of each channel, as `numpy.median` has it, which spends more on finding out how to."""
    middle = pixels.shape[1] // 2
    if pixels.shape[1] % 2:
        return np.asarray(np.partition(pixels, middle, axis=1)[:, middle])
    parted = np.partition(pixels, (middle - 1, middle), axis=1)
    return np.asarray((parted[:, middle - 1] + parted[:, middle]) / 2)


def _otsu(values: NDArray[Any]) -> float:
    """The cut that parts the values into the two most distinct groups (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64, range=(0.0, float(values.max()) + 1e-6))
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    weighted = np.cumsum(counts * centres)[:-1]
    total, mean = float(counts.sum()), float((counts * centres).sum())
    above = total - below
    spread = np.zeros_like(below)
    split = (below > 0) & (above > 0)
    gap = mean * below[split] / total - weighted[split]
    spread[split] = gap**2 / (below[split] * above[split])
    return float(edges[1 + int(spread.argmax())])


def connected_components(mask: NDArray[np.bool_]) -> list[_Component]:
    """The mask's connected sets of cells, corners touching included, largest first.

    Rows are taken as runs of set cells and runs that touch are united, so the cost follows the number of
    runs, not of cells.
    """
    rows, edges = (each.tolist() for each in np.nonzero(np.diff(mask, axis=1, prepend=False, append=False)))
    # Each run has two edges, and both are in its row.
    rows, starts, stops = rows[::2], edges[::2], edges[1::2]
    parents = list(range(len(rows)))
    above, below, latest = 0, 0, -1  # the next run of the row above that may touch, where this row began
    for current, (row, start, stop) in enumerate(zip(rows, starts, stops, strict=True)):
        if row != latest:
            above = below if row == latest + 1 else current
            below, latest = current, row
        while above < below and stops[above] < start:
            above += 1
        other = above
        while other < below and starts[other] <= stop:
            top = other
            while parents[top] != top:
                parents[top] = top = parents[parents[top]]
            parents[top] = current
            other += 1
    if not rows:
        return []
    # A run is united with later ones only.
    for run in reversed(range(len(rows))):
        parents[run] = parents[parents[run]]
    return _components(*(np.array(each) for each in (parents, rows, starts, stops)))


def _components(
    root: NDArray[np.int64], row: NDArray[np.int64], start: NDArray[np.int64], stop: NDArray[np.int64]
) -> list[_Component]:
    """Runs that have one root, as components, largest first."""
    together = np.argsort(root, kind="stable")
    first = np.flatnonzero(np.diff(root[together], prepend=-1))
    bounds = (
        np.add.reduceat((stop - start)[together], first),
        np.minimum.reduceat(start[together], first),
        np.maximum.reduceat(stop[together], first),
        np.minimum.reduceat(row[together], first),
        np.maximum.reduceat(row[together], first) + 1,
    )
    found = [_Component(*each) for each in zip(*(bound.tolist() for bound in bounds), strict=True)]
    return sorted(found, key=lambda part: (-part.cells, part.top, part.left))


@cache
def _saliency_session() -> Any:
    return open_session("u2netp_192.onnx", wanted_for="subject identification with u2netp")


def _salient(image: Image.Image) -> NDArray[np.bool_]:
    """Cells that the saliency network marks."""
    small = image.resize((_U2_SIDE, _U2_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.asarray(small, dtype=np.float32)
    pixels = pixels / max(1.0, float(pixels.max()))
    pixels = np.asarray((pixels - _U2_MEAN) / _U2_STD, dtype=np.float32)
    session = _saliency_session()
    feed = {session.get_inputs()[0].name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}
    saliency = np.asarray(session.run(None, feed)[0])[0, 0]
    return np.asarray(saliency > _U2_CUT, dtype=np.bool_)
