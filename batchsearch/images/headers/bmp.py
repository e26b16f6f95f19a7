"""BMP: file and information headers, and whether all rows are there (Microsoft's bitmap structures)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

from typing import Final

from batchsearch.images.headers.structure_facts import DamagedError, Inspection

_CORE: Final = 12
_INFORMATION: Final = 40
_PLAIN: Final = frozenset({0, 3, 6})
"""Compressions that store whole rows: none, and the two with bit masks."""
_KNOWN: Final = frozenset({0, 1, 2, 3, 6})


def scan(data: bytes) -> Inspection:
    """Reads a BMP file's headers.

    Raises:
        DamagedError: Rows are missing or the headers contradict themselves.
        IndexError: The file ends inside the headers.
    """
    offset = int.from_bytes(data[10:14], "little")
    header = int.from_bytes(data[14:18], "little")
    compression = 0
    if header == _CORE:
        width, height = int.from_bytes(data[18:20], "little"), int.from_bytes(data[20:22], "little")
        bits = data[24]
    elif header >= _INFORMATION:
        width = int.from_bytes(data[18:22], "little", signed=True)
        height = abs(int.from_bytes(data[22:26], "little", signed=True))
        bits = data[28]
        compression = int.from_bytes(data[30:34], "little")
    else:
        raise DamagedError("broken", "the information header has an unknown length")
    if len(data) < 14 + header:
        raise DamagedError("truncated", "the information header is cut off")
    if width <= 0 or not height or bits not in {1, 2, 4, 8, 16, 24, 32} or compression not in _KNOWN:
        raise DamagedError("broken", "the information header gives an impossible size or pixel format")
    if compression in _PLAIN:
        rows = (width * bits + 31) // 32 * 4 * height
        # The last row's padding is often left out, and harmless.
        if len(data) < offset + rows - 3:
            raise DamagedError("truncated", "rows are missing", width=width, height=height)
    notes = ["alpha"] if bits == 32 else ["palette"] if bits <= 8 else []
    return Inspection(
        "BMP",
        width,
        height,
        bits=min(8, bits),
        components=max(1, bits // 8) if bits != 16 else 3,
        notes=tuple(notes),
    )
