"""JPEG: the marker segments up to the first scan, and the end marker (ITU T.81, annex B)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

from typing import Final, Literal

from batchsearch.images.headers.exif import orientation_of_exif, orientation_of_xmp, settle
from batchsearch.images.headers.icc import differs
from batchsearch.images.headers.jpeg_tables import Tables
from batchsearch.images.headers.structure_facts import DamagedError, Inspection

_APPLICATION: Final = frozenset({0xE1, 0xE2})
_SCAN: Final = 0xDA
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a segment: TEM and RST0..7."""
_MISPLACED: Final = frozenset({0x00, 0xD8, 0xD9})
"""No marker at all, start and end of an image: none may stand before the first scan."""
_FRAMES: Final = {
    0xC0: "",
    0xC2: "",
    0xC1: "extended",
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "arithmetic"),
}
"""Start-of-frame markers: the note that each adds, empty for the two plain processes."""
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_DEFINITIONS: Final = {0xDB: Tables.define_quantization, 0xC4: Tables.define_huffman}
"""Markers of table segments, and what takes them in."""
_READ: Final = _DEFINITIONS.keys() | _FRAMES.keys() | _APPLICATION | {_SCAN}
_MAX_SEGMENTS: Final = 10_000
_EXIF: Final = b"Exif\0\0"
_PROFILE: Final = b"ICC_PROFILE\0"
_PROFILE_HEAD: Final = len(_PROFILE) + 2
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_END: Final = b"\xff\xd9"
_SCAN_MARKER: Final = b"\xff\xda"
MAX_SCANS: Final = 64
"""Scans beyond which decoding an image is an attack, each a pass over the whole canvas: real ones have
about ten."""


def scan(data: bytes) -> Inspection:
    """Reads a JPEG's segments.

    Raises:
        DamagedError: The file ends early or its segments contradict each other.
        IndexError: The file ends inside a segment's head.
    """
    found = _Segments(data)
    pixels = found.walk()
    # Entropy-coded data never holds this pair: each is the beginning of a scan after the first.
    if found.progressive and data.count(_SCAN_MARKER, pixels) >= MAX_SCANS:
        raise found.damaged("broken", f"more than {MAX_SCANS} scans")
    if not data.endswith(_END):
        # Entropy-coded data never holds this pair, so finding it means that the image is whole.
        if data.rfind(_END, pixels) < 0:
            raise found.damaged("truncated", "the end marker is missing")
        found.notes.append("trailing")
    return found.result()


class _Segments:
    """What the segments before the image data say."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.notes: list[str] = []
        self.width = self.height = self.bits = self.components = 0
        self.progressive = self.unusual = False
        self.profile: list[bytes] = []
        """Parts of the colour profile: their number, how many there are, and what they hold."""
        self.tables = Tables()
        self.exif: list[int | None] = []
        self.xmp: list[int | None] = []

    def damaged(self, kind: Literal["truncated", "broken"], detail: str) -> DamagedError:
        """The error to raise, with what is known of the sides."""
        return DamagedError(kind, detail, width=self.width, height=self.height)

    def walk(self) -> int:
        """Goes over all segments up to the first scan's header; returns where its data starts."""
        data = self.data
        end = len(data)
        at = 2
        for _ in range(_MAX_SEGMENTS):
            if data[at] != 0xFF:
                at = self._skip_junk(at)
            while (marker := data[at]) == 0xFF:
                at += 1
            at += 1
            if marker in _ALONE:
                continue
            start = at + 2
            length = data[at] << 8 | data[at + 1]
            at += length
            if marker in _MISPLACED:
                raise self.damaged("broken", "a marker stands where none may")
            if length < 2 or at > end:
                raise self.damaged("truncated", "a segment is cut off")
            if marker in _READ:
                self._read(marker, data[start:at])
            if marker == _SCAN:
                return at
        raise self.damaged("broken", f"more than {_MAX_SEGMENTS} segments")

    def _read(self, marker: int, body: bytes) -> None:
        """Takes in one segment."""
        if marker in _DEFINITIONS:
            self._check(_DEFINITIONS[marker](self.tables, body))
        elif marker in _APPLICATION:
            self._read_application(body)
        elif marker == _SCAN:
            self._read_scan(body)
        else:
            self._read_frame(marker, body)

    def _skip_junk(self, at: int) -> int:
        """Where the next marker starts; decoders pass over bytes that belong to no segment."""
        if "junk" not in self.notes:
            self.notes.append("junk")
        at = self.data.find(b"\xff", at)
        if at < 0:
            raise self.damaged("truncated", "the image data is missing")
        return at

    def _read_frame(self, marker: int, body: bytes) -> None:
        if self.components:
            raise self.damaged("broken", "two frame headers")
        self.bits, self.components = body[0], body[5]
        self.height = body[1] << 8 | body[2]
        self.width = body[3] << 8 | body[4]
        if len(body) != 6 + 3 * self.components or not self.components:
            raise self.damaged("broken", "the frame header has the wrong length")
        if not self.width or not self.height:
            raise self.damaged("broken", "the frame header gives no size")
        self.progressive = marker in _PROGRESSIVE
        if _FRAMES[marker]:
            self.unusual = True
            self.notes.append(_FRAMES[marker])
        self._check(self.tables.define_components(body[6:]))

    def _check(self, damage: str | None) -> None:
        if damage is not None:
            raise self.damaged("broken", damage)

    def _read_scan(self, body: bytes) -> None:
        if not self.components:
            raise self.damaged("broken", "image data without a frame header")
        # A first scan of fewer samples means that others follow, and that the decoder keeps all of them.
        passes = bool(body) and body[0] < self.components
        if self.unusual:
            self.progressive = self.progressive or passes
            return
        damage, complete = self.tables.check_scan(body, sequential=not self.progressive)
        self._check(damage)
        if not complete:
            self.notes.append("abbreviated")
        self.progressive = self.progressive or passes

    def _read_application(self, body: bytes) -> None:
        if body.startswith(_EXIF):
            self.exif.append(orientation_of_exif(body[6:]))
        elif body.startswith(_XMP):
            self.xmp.append(orientation_of_xmp(body))
        elif body.startswith(_PROFILE) and len(body) > _PROFILE_HEAD:
            self.profile.append(body[len(_PROFILE) :])
        elif body.startswith(b"MPF\0") and "mpo" not in self.notes:
            self.notes.append("mpo")

    def _whole_profile(self) -> bytes:
        """The colour profile put together; empty where parts of it are missing, as decoders have it."""
        parts = sorted(self.profile)
        return b"".join(part[2:] for part in parts) if parts[0][1] == len(parts) else b""

    def result(self) -> Inspection:
        """The file as a whole."""
        orientation, agreed = settle(self.exif, self.xmp)
        if not agreed:
            self.notes.append("metadata")
        if self.bits != 8:
            self.notes.append(f"{self.bits}bit")
        if self.components == 4:
            self.notes.append("cmyk")
        elif self.components not in {1, 3}:
            self.notes.append(f"components:{self.components}")
        if self.profile and differs(self._whole_profile(), self.components):
            self.notes.append("profile")
        return Inspection(
            "JPEG",
            self.width,
            self.height,
            bits=self.bits,
            components=self.components,
            orientation=orientation,
            progressive=self.progressive,
            icc=bool(self.profile),
            notes=tuple(self.notes),
        )
