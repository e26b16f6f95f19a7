"""WebP: the RIFF chunks and the bitstream's first bytes (RFC 9649)."""

# ruff: noqa: PLR2004 - the numbers are the format's own, in the order of its specification

from __future__ import annotations

from typing import Final

from batchsearch.images.headers.exif import orientation_of_exif, orientation_of_xmp, settle
from batchsearch.images.headers.icc import differs
from batchsearch.images.headers.structure_facts import MAX_BLOCKS, DamagedError, Inspection

_ANIMATION_FLAG: Final = 0x02
_ALPHA_FLAG: Final = 0x10
_START_CODE: Final = b"\x9d\x01\x2a"
_LOSSLESS: Final = 0x2F


def scan(data: bytes) -> Inspection:
    """Reads a WebP file's chunks.

    Raises:
        DamagedError: The file is shorter than it declares, or its chunks contradict each other.
        IndexError: The file ends inside a chunk's head.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        width, height = _canvas(data)
        raise DamagedError("truncated", "the file is shorter than it declares", width=width, height=height)
    found = _Chunks()
    at = 12
    for _ in range(MAX_BLOCKS):
        if at + 8 > end:
            break
        kind = data[at : at + 4]
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise DamagedError("truncated", "a chunk is cut off", width=found.size[0], height=found.size[1])
        found.read(kind, data, at + 8, length)
        at += 8 + length + (length & 1)
    else:
        raise DamagedError("broken", f"more than {MAX_BLOCKS} chunks")
    return found.result(trailing=end + (end & 1) < len(data))


class _Chunks:
    """What the chunks say."""

    def __init__(self) -> None:
        self.canvas: tuple[int, int] | None = None
        self.image: tuple[int, int] | None = None
        self.frames = 0
        self.alpha = False
        self.animated = False
        self.profile = b""
        self.exif: list[int | None] = []
        self.xmp: list[int | None] = []

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as far as known, else zeros."""
        return self.canvas or self.image or (0, 0)

    def read(self, kind: bytes, data: bytes, at: int, length: int) -> None:
        """Takes note of one chunk whose content starts at `at`."""
        if kind == b"VP8X":
            if self.canvas or self.image or length < 10:
                raise DamagedError("broken", "the extended header is not the first chunk")
            self.canvas = _extended_size(data, at)
            self.alpha = bool(data[at] & _ALPHA_FLAG)
            self.animated = bool(data[at] & _ANIMATION_FLAG)
        elif kind in {b"VP8 ", b"VP8L"} and self.image is None:
            lossy = kind == b"VP8 "
            self.image = _lossy_size(data, at) if lossy else _lossless_size(data, at)
            # The first partition's length stands in the upper 19 bits of the frame's tag.
            if lossy and int.from_bytes(data[at : at + 3], "little") >> 5 > length - 10:
                raise DamagedError("broken", "the bitstream is shorter than it declares")
            # The bit is a hint that the format allows to be wrong, so it only ever adds care.
            self.alpha = self.alpha or (kind == b"VP8L" and bool(data[at + 4] & 0x10))
        elif kind == b"ANMF":
            self.frames += 1
        elif kind == b"ALPH":
            self.alpha = True
        elif kind == b"ICCP" and not self.profile:
            self.profile = data[at : at + length]
        elif kind == b"EXIF":
            self.exif.append(orientation_of_exif(data[at : at + length].removeprefix(b"Exif\0\0")))
        elif kind == b"XMP ":
            self.xmp.append(orientation_of_xmp(data[at : at + length]))

    def result(self, *, trailing: bool) -> Inspection:
        """The file as a whole."""
        width, height = self.size
        if not width or not height or (self.image is None and not self.frames):
            raise DamagedError("broken", "no image in the file", width=width, height=height)
        if not self.animated and self.image is not None and self.image != (width, height):
            raise DamagedError("broken", "canvas and image differ in size", width=width, height=height)
        notes: list[str] = []
        if trailing:
            notes.append("trailing")
        if self.alpha:
            notes.append("alpha")
        if self.animated or self.frames:
            notes.append("animated")
        if self.profile and differs(self.profile, 3):
            notes.append("profile")
        orientation, agreed = settle(self.exif, self.xmp)
        if not agreed:
            notes.append("metadata")
        return Inspection(
            "WEBP",
            width,
            height,
            frames=max(1, self.frames),
            components=4 if self.alpha else 3,
            orientation=orientation,
            icc=bool(self.profile),
            notes=tuple(notes),
        )


def _canvas(data: bytes) -> tuple[int, int]:
    """Size from the first chunk, for a file whose rest is missing; zeros if that is missing too."""
    kind = data[12:16]
    try:
        if kind == b"VP8X":
            return _extended_size(data, 20)
        if kind == b"VP8 ":
            return _lossy_size(data, 20)
        if kind == b"VP8L":
            return _lossless_size(data, 20)
    except (IndexError, DamagedError):
        pass
    return 0, 0


def _extended_size(data: bytes, at: int) -> tuple[int, int]:
    width = 1 + int.from_bytes(data[at + 4 : at + 7], "little")
    height = 1 + int.from_bytes(data[at + 7 : at + 10], "little")
    return width, height


def _lossy_size(data: bytes, at: int) -> tuple[int, int]:
    if data[at] & 1 or data[at + 3 : at + 6] != _START_CODE:
        raise DamagedError("broken", "the bitstream does not start with a key frame")
    width = (data[at + 6] | data[at + 7] << 8) & 0x3FFF
    return width, (data[at + 8] | data[at + 9] << 8) & 0x3FFF


def _lossless_size(data: bytes, at: int) -> tuple[int, int]:
    if data[at] != _LOSSLESS:
        raise DamagedError("broken", "the lossless bitstream has no signature")
    bits = int.from_bytes(data[at + 1 : at + 5], "little")
    if bits >> 29:
        raise DamagedError("broken", "the lossless bitstream has an unknown version")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
