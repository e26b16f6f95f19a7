"""Which sides an image is sent with: pure arithmetic between its own and the rules' limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.images.regions import SWAPPED

if TYPE_CHECKING:
    from batchsearch.images.rules import Rules

Size = tuple[int, int]

SNAP: Final = 0.9
"""How near to the wanted side a decoder's own scale must come to be taken instead."""
SNAP_QUICK: Final = 0.8
"""The same for copies that people look at."""
DCT_SCALES: Final = (2, 4, 8)
"""Divisors at which a JPEG decoder delivers a smaller image at less cost."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The sides that follow from the rules, in upright pixels.

    Attributes:
        content: Width and height of the image itself.
        canvas: Width and height of what is sent; larger than `content` only where it is padded.
    """

    content: Size
    canvas: Size

    @property
    def offset(self) -> Size:
        """Left and top of the content on the canvas: in the middle."""
        return (self.canvas[0] - self.content[0]) // 2, (self.canvas[1] - self.content[1]) // 2


@dataclass(frozen=True, slots=True)
class NoFit:
    """No sides follow from the rules.

    Attributes:
        code: `Local.ImageTooSmall` or `Local.ImageAspect`.
        message: The sides and the limits that they break.
    """

    code: str
    message: str


def fit(size: Size, rules: Rules) -> Fit | NoFit:
    """The sides to send an image with.

    A side longer than wanted shrinks the image. `images.max_side` is a wish: where it would bring the
    shorter side under the service's limit, the image stays as large as that limit needs.
    """
    long, short = max(size), min(size)
    if short < rules.min_side and rules.too_small == "reject":
        return NoFit(
            "Local.ImageTooSmall",
            f"{size[0]}x{size[1]} pixels; {rules.service_type} instances take sides from {rules.min_side}",
        )
    scale = min(1.0, rules.target_side / long)
    if short * scale < rules.min_side and rules.too_small != "pad":
        scale = rules.min_side / short
        if long * scale > rules.max_side:
            return NoFit(
                "Local.ImageAspect",
                f"{size[0]}x{size[1]} pixels fit no scale between sides of {rules.min_side} and "
                f"{rules.max_side}",
            )
    content = scaled(size, scale, rules)
    return Fit(content, (max(content[0], rules.min_side), max(content[1], rules.min_side)))


def scaled(size: Size, scale: float, rules: Rules) -> Size:
    """Both sides at a scale, rounded, inside the rules unless the image is to be padded."""
    lowest = 1 if rules.too_small == "pad" else rules.min_side
    width, height = (max(lowest, min(rules.max_side, round(side * scale))) for side in size)
    return width, height


def stored_sides(stored: Size, orientation: int, rules: Rules, *, snap: bool) -> Size | NoFit:
    """The sides to shrink (or enlarge) the stored grid to, before turning and padding."""
    plan = fit(swapped(stored, orientation), rules)
    if isinstance(plan, NoFit):
        return plan
    wanted = swapped(plan.content, orientation)
    snapping = snap and plan.canvas == plan.content
    return (snapped(stored, wanted, rules) if snapping else None) or wanted


def swapped(size: Size, orientation: int) -> Size:
    """The sides as they are after turning by an orientation (or before: the exchange undoes itself)."""
    return (size[1], size[0]) if orientation in SWAPPED else size


def dct_divisor(size: Size, wanted: Size) -> int:
    """By how much a JPEG decoder may shrink each side while it decodes and still deliver those wanted."""
    for divisor in reversed(DCT_SCALES):
        small = -(-size[0] // divisor), -(-size[1] // divisor)
        if min(size) >= divisor and small[0] >= wanted[0] and small[1] >= wanted[1]:
            return divisor
    return 1


def snapped(stored: Size, wanted: Size, rules: Rules) -> Size | None:
    """The sides at which a JPEG decoder can deliver an image by itself, if near enough to those wanted.

    Args:
        stored: Sides of the stored grid.
        wanted: Sides wanted, in the stored grid's axes.
        rules: Snapping must be allowed, and the shorter side stay within them.
    """
    if not rules.snap:
        return None
    least = SNAP if rules.resampling == "fine" else SNAP_QUICK
    for divisor in DCT_SCALES:
        size = -(-stored[0] // divisor), -(-stored[1] // divisor)
        near = max(wanted) * least <= max(size) <= max(wanted)
        if near and min(size) >= rules.min_side:
            return size
    return None
