"""Coordinates between a file's own pixels and the image that was sent.

A region is the vendor's text `x1,x2,y1,y2`: both columns first, then both rows (SearchImageByPic,
`Region`: "x1 and y1 represent the upper-left corner pixel, x2 and y2 the lower-right corner pixel"). The
numbers name pixels, counted from 0, and the last one belongs to the region: all of a 600x500 image is
`0,599,0,499`. Inside this module spans run between edges, 0 to the side's length, so that mirroring and
scaling are exact and a whole image stays a whole image.
"""

from __future__ import annotations

import re
from typing import Final

from batchsearch.quick_record import quick_record

_REGION: Final = re.compile(
    r"\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*,\s*(-?[0-9]{1,9})\s*"
)

Span = tuple[int, int]
"""Columns or rows from the first to behind the last."""

LEAST: Final = 2
"""Fewest columns and rows of a region: x1 is below x2, and y1 below y2."""
ROUNDING: Final = 2
"""Pixels by which a region may pass the image's edge: boxes come rounded, or count edges and not pixels."""

MIRRORED_ACROSS: Final = frozenset({2, 3, 6, 7})
"""Orientations whose stored grid reads right to left, after swapping the axes where they are swapped."""
MIRRORED_DOWN: Final = frozenset({3, 4, 7, 8})
"""Orientations whose stored grid reads bottom to top, after swapping the axes where they are swapped."""
SWAPPED: Final = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""


def read_region(text: str, *, least: int = LEAST) -> tuple[Span, Span]:
    """Reads `x1,x2,y1,y2` into its horizontal and its vertical span, each up to behind its last pixel.

    Args:
        text: The region.
        least: Fewest columns and rows that it has; answers may have a single one.

    Raises:
        ValueError: The text is not four whole numbers with x1 < x2 and y1 < y2.
    """
    x1, x2, y1, y2 = _numbers(text)
    if x2 - x1 + 1 < least or y2 - y1 + 1 < least:
        raise ValueError(
            f"region {text[:60]!r} is empty: the order is 'x1,x2,y1,y2' with x1 < x2 and y1 < y2"
        )
    return (x1, x2 + 1), (y1, y2 + 1)


def _numbers(text: str) -> tuple[int, ...]:
    found = _REGION.fullmatch(text)
    if found is None:
        raise ValueError(f"region {text[:60]!r} is not four whole numbers 'x1,x2,y1,y2'")
    return tuple(int(number) for number in found.groups())


@quick_record
class Geometry:
    """How a file's stored pixel grid became the image that was sent: turned, scaled, set on a canvas.

    Attributes:
        source_width: Columns of the file's stored grid.
        source_height: Rows of the file's stored grid.
        orientation: How the grid was turned, 1..8 as in EXIF.
        sent_width: Columns of the image sent.
        sent_height: Rows of the image sent.
        box: Left, top, width and height of the source's content within the image sent, pixels; None
            where it fills the image.
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
            raise ValueError("an image has at least one pixel a side")

    @property
    def _content(self) -> tuple[int, int, int, int]:
        return self.box or (0, 0, self.sent_width, self.sent_height)

    def to_sent(self, region: str) -> str:
        """A region of the file, as the same region of the image sent.

        What passes the edge by rounding is cut off; what would shrink to nothing keeps two pixels a side, the
        fewest that a region has.

        Raises:
            ValueError: The text is no region, or it reaches out of the file by more than rounding.
        """
        across, down = read_region(region)
        self._check_inside(across, down, region)
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
        """A region of the image sent, as the same region of the file's stored grid.

        What lies outside the content that was sent (its padding) is cut off.

        Raises:
            ValueError: The text is no region, or it lies wholly outside the content that was sent.
        """
        across, down = read_region(region, least=1)
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

    def _check_inside(self, across: Span, down: Span, region: str) -> None:
        width, height = self.source_width, self.source_height
        if _is_inside(across, width) and _is_inside(down, height):
            return
        raise ValueError(
            f"region {region[:60]!r} reaches out of the image of {width}x{height} pixels, whose last pixel "
            f"is {width - 1},{height - 1}; the order is x1,x2,y1,y2{_meant(region, width, height)}"
        )

    @property
    def _upright(self) -> tuple[int, int]:
        """The source's sides after turning."""
        if self.orientation in SWAPPED:
            return self.source_height, self.source_width
        return self.source_width, self.source_height


def _meant(region: str, width: int, height: int) -> str:
    """A hint for a region that lies inside if its numbers are read in another tool's order."""
    first, second, third, fourth = _numbers(region)
    orders = {
        "x1,y1,x2,y2": (first, third, second, fourth),
        "x,y,width,height": (first, first + third - 1, second, second + fourth - 1),
    }
    for name, (x1, x2, y1, y2) in orders.items():
        if x1 < x2 and y1 < y2 and _is_inside((x1, x2 + 1), width) and _is_inside((y1, y2 + 1), height):
            return f": read as {name} it lies inside, so write {x1},{x2},{y1},{y2}"
    return ": both columns before both rows"


def _is_inside(span: Span, side: int) -> bool:
    return span[0] >= -ROUNDING and span[1] <= side + ROUNDING


def _clamp(span: Span, side: int, region: str) -> Span:
    start, end = max(0, span[0]), min(side, span[1])
    if start >= end:
        raise ValueError(f"region {region[:60]!r} lies outside the image, whose side has {side} pixels")
    return start, end


def _mirror(span: Span, side: int) -> Span:
    return side - span[1], side - span[0]


def _shift(span: Span, by: int) -> Span:
    return span[0] + by, span[1] + by


def _scale(span: Span, side: int, new_side: int) -> Span:
    """Both edges in the new grid, each rounded to the nearest; at least two pixels remain where there are."""
    start, end = ((2 * edge * new_side + side) // (2 * side) for edge in span)
    if end - start >= LEAST:
        return start, end
    # Which neighbour is nearer does not matter at this size; staying inside does.
    end = min(max(end, start + LEAST), new_side)
    return max(0, end - LEAST), end


def _text(across: Span, down: Span) -> str:
    return f"{across[0]},{across[1] - 1},{down[0]},{down[1] - 1}"
