"""PPM and its relatives PBM and PGM, text and binary (the Netpbm manual pages)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from batchsearch.images.headers.structure_facts import DamagedError, Inspection

_TOKEN: Final = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*([0-9]{1,10})")
_MAX_VALUE: Final = 65535
_MAX_HEADER: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Raster:
    """Where and how the samples are stored.

    Attributes:
        kind: The digit after `P`: 1..3 text, 4..6 binary; 1 and 4 bits, 2 and 5 grey, 3 and 6 RGB.
        width: Columns.
        height: Rows.
        maximum: The sample value that means full intensity.
        offset: Where the samples start, bytes.
    """

    kind: int
    width: int
    height: int
    maximum: int
    offset: int

    @property
    def components(self) -> int:
        """Samples of a pixel."""
        return 3 if self.kind in {3, 6} else 1


def read_header(data: bytes) -> Raster:
    """Reads the text before the samples.

    Raises:
        DamagedError: The header is cut off or gives impossible values.
    """
    kind = data[1] - ord("0")
    at = 2
    values: list[int] = []
    for _ in range(2 if kind in {1, 4} else 3):
        found = _TOKEN.match(data, at, _MAX_HEADER)
        if found is None:
            short = len(data) < _MAX_HEADER and not data[at:].strip()
            raise DamagedError("truncated" if short else "broken", "the header is incomplete")
        values.append(int(found[1]))
        at = found.end()
    width, height, maximum = (*values, 1)[:3]
    if not width or not height or not 0 < maximum <= _MAX_VALUE:
        raise DamagedError("broken", "the header gives an impossible size or sample range")
    return Raster(kind, width, height, maximum, at + 1)


def scan(data: bytes) -> Inspection:
    """Reads the header and compares the samples' length with it.

    Raises:
        DamagedError: Samples are missing or the header is unusable.
    """
    raster = read_header(data)
    samples = raster.width * raster.height * raster.components
    if raster.kind == 4:
        needed = (raster.width + 7) // 8 * raster.height
    elif raster.kind > 4:
        needed = samples * (2 if raster.maximum > 255 else 1)
    else:
        # At least one digit each, and a separator between values.
        needed = samples if raster.kind == 1 else 2 * samples - 1
    size = {"width": raster.width, "height": raster.height}
    if len(data) - raster.offset < needed:
        raise DamagedError("truncated", "samples are missing", **size)
    bits = 1 if raster.kind in {1, 4} else raster.maximum.bit_length()
    notes = ["trailing"] if raster.kind > 3 and len(data) - raster.offset > needed else []
    return Inspection(
        "PPM", raster.width, raster.height, bits=bits, components=raster.components, notes=tuple(notes)
    )
