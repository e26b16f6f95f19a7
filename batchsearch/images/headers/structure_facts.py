"""What a look at a file's structure can tell, and how a damaged file is told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from batchsearch.quick_record import quick_record

FlawKind = Literal["empty", "unknown", "unsupported", "truncated", "broken", "huge"]

MAX_BLOCKS: Final = 200_000
"""Most chunks, boxes or sub-blocks walked in one file: real ones stay far below, hostile ones end here."""

MAX_SIDE: Final = 2**31 - 1
"""Longest side that a header is believed to state, pixels: what PNG allows, and what results can hold."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a file cannot be used.

    Attributes:
        kind: `empty`, `unknown` (no image format), `unsupported` (known, not read), `truncated`, `broken`,
            `huge` (a side beyond any that is believed).
        detail: What was found, for a person; no bytes of the file.
    """

    kind: FlawKind
    detail: str


@quick_record
class Inspection:
    """A file as its structure describes it.

    Attributes:
        format: `JPEG`, `PNG`, `WEBP`, `GIF`, `BMP`, `TIFF`, `PPM`, `JPEG2000`, `AVIF`, or the name of a
            format that is not read; None where the bytes are no known format.
        width: Columns of the stored pixel grid, before any orientation; 0 if unknown.
        height: Rows of the stored pixel grid; 0 if unknown.
        frames: Images in the file, as far as they were counted.
        bits: Bits of one sample.
        components: Samples of one pixel.
        orientation: How to turn the grid, 1..8 as in EXIF; 1 where nothing valid says otherwise.
        progressive: Whether the image data comes in several passes over the canvas.
        icc: Whether a colour profile is embedded.
        page_at: Where in the file the directory of the page to decode starts, bytes; TIFF only.
        notes: What makes the variant other than plain, in short words (`alpha`, `16bit`, `trailing` …).
        flaw: Why the file cannot be used, or None.
    """

    format: str | None
    width: int = 0
    height: int = 0
    frames: int = 1
    bits: int = 8
    components: int = 3
    orientation: int = 1
    progressive: bool = False
    icc: bool = False
    page_at: int | None = None
    notes: tuple[str, ...] = ()
    flaw: Flaw | None = None


def believed(seen: Inspection) -> Inspection:
    """What a reader found, without sides that no image has: they go into no outcome and no arithmetic."""
    if seen.width <= MAX_SIDE and seen.height <= MAX_SIDE:
        return seen
    detail = f"its header claims a side of more than {MAX_SIDE:,} pixels"
    return Inspection(seen.format, flaw=Flaw("huge", detail))


class DamagedError(Exception):
    """A reader found a file that ends early or contradicts itself."""

    def __init__(self, kind: FlawKind, detail: str, *, width: int = 0, height: int = 0) -> None:
        self.kind: FlawKind = kind
        self.detail = detail
        self.width = width
        self.height = height
        super().__init__(detail)
