"""Coordinates between a file's own pixels and the picture that was sent.

A region is the vendor's text `x1,x2,y1,y2`: both horizontal edges first, then both vertical ones
(SearchImageByPic, `Region`). The numbers are read as edges between pixels, 0 to the side's length, so
that mirroring and scaling are exact and a whole picture stays a whole picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_REGION: Final = re.compile(
    r"\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*"
)

Span = tuple[int, int]

MIRRORED_ACROSS: Final = frozenset({2, 3, 6, 7})
"""Orientations whose stored grid reads right to left, after swapping the axes where they are swapped."""
MIRRORED_DOWN: Final = frozenset({3, 4, 7, 8})
"""Orientations whose stored grid reads bottom to top, after swapping the axes where they are swapped."""
SWAPPED: Final = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""


def read_region(text: str) -> tuple[Span, Span]:
    """Reads `x1,x2,y1,y2` into its horizontal and its vertical span.

    Raises:
        ValueError: The text is not four whole numbers with x1 < x2 and y1 < y2.
    """
    found = _REGION.fullmatch(text)
    if found is None:
        raise ValueError(f"region {text[:60]!r} is not four whole numbers 'x1,x2,y1,y2'")
    x1, x2, y1, y2 = (int(number) for number in found.groups())
    if x1 >= x2 or y1 >= y2:
        raise ValueError(
            f"region {text[:60]!r} is empty: the order is 'x1,x2,y1,y2' with x1 < x2 and y1 < y2"
        )
    return (x1, x2), (y1, y2)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a file's stored pixel grid became the picture that was sent: turned, scaled, set on a canvas.

    Attributes:
        source_width: Columns of the file's stored grid.
        source_height: Rows of the file's stored grid.
        orientation: How the grid was turned, 1..8 as in EXIF.
        sent_width: Columns of the picture sent.
        sent_height: Rows of the picture sent.
        box: Left, top, width and height of the source's content within the picture sent, pixels; None
            where it fills the picture.
    """

    source_width: int
    source_height: int
    orientation: int
    sent_width: int
    sent_height: int
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.orientation not in range(1, 9):
            raise ValueError(f"orientation {self.orientation} is not 1..8")
        if min(self.source_width, self.source_height, self.sent_width, self.sent_height) < 1:
            raise ValueError("a picture has at least one pixel a side")

    @property
    def _content(self) -> tuple[int, int, int, int]:
        return self.box or (0, 0, self.sent_width, self.sent_height)

    def to_sent(self, region: str) -> str:
        """A region of the file, as the same region of the picture sent.

        What lies outside the file is cut off; what would shrink to nothing keeps one pixel.

        Raises:
            ValueError: The text is no region, or it lies wholly outside the file.
        """
        across, down = read_region(region)
        across = _clamp(across, self.source_width, region)
        down = _clamp(down, self.source_height, region)
        # Turn in the source's own pixels, then scale: mirroring whole numbers loses nothing.
        if self.orientation in SWAPPED:
            across, down = down, across
        width, height = self._upright
        if self.orientation in MIRRORED_ACROSS:
            across = _mirror(across, width)
        if self.orientation in MIRRORED_DOWN:
            down = _mirror(down, height)
        left, top, content_width, content_height = self._content
        across = _scale(across, width, content_width)
        down = _scale(down, height, content_height)
        return _text(_shift(across, left), _shift(down, top))

    def to_source(self, region: str) -> str:
        """A region of the picture sent, as the same region of the file's stored grid.

        Raises:
            ValueError: The text is no region, or it lies wholly outside the content that was sent.
        """
        across, down = read_region(region)
        left, top, content_width, content_height = self._content
        across = _clamp(_shift(across, -left), content_width, region)
        down = _clamp(_shift(down, -top), content_height, region)
        width, height = self._upright
        across = _scale(across, content_width, width)
        down = _scale(down, content_height, height)
        if self.orientation in MIRRORED_ACROSS:
            across = _mirror(across, width)
        if self.orientation in MIRRORED_DOWN:
            down = _mirror(down, height)
        if self.orientation in SWAPPED:
            across, down = down, across
        return _text(across, down)

    @property
    def _upright(self) -> tuple[int, int]:
        """The source's sides after turning."""
        if self.orientation in SWAPPED:
            return self.source_height, self.source_width
        return self.source_width, self.source_height


def _clamp(span: Span, side: int, region: str) -> Span:
    start, end = max(0, span[0]), min(side, span[1])
    if start >= end:
        raise ValueError(f"region {region[:60]!r} lies outside the picture, whose side has {side} pixels")
    return start, end


def _mirror(span: Span, side: int) -> Span:
    return side - span[1], side - span[0]


def _shift(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _scale(span: Span, side: int, new_side: int) -> Span:
    """Both edges in the new grid, each rounded to the nearest; at least one pixel remains."""
    start, end = ((2 * edge * new_side + side) // (2 * side) for edge in span)
    if start == end:
        # Which neighbour is nearer does not matter at this size; staying inside does.
        return (start, end + 1) if end < new_side else (start - 1, end)
    return start, end


def _text(across: Span, down: Span) -> str:
    return f"{across[0]},{across[1]},{down[0]},{down[1]}"
