"""GIF: screen, frames and their data blocks (GIF89a specification)."""

from __future__ import annotations

from typing import Final, Literal

from batchsearch.images.headers.structure_facts import MAX_BLOCKS, DamagedError, Inspection

_EXTENSION: Final = 0x21
_FRAME: Final = 0x2C
_TRAILER: Final = 0x3B
_GRAPHIC_CONTROL: Final = 0xF9


def scan(data: bytes, *, frame: int = 0) -> Inspection:
    """Reads a GIF's blocks.

    A file that ends between two blocks after its first frame is taken as whole: many lack only the trailer.

    Args:
        data: The file.
        frame: Which frame will be decoded; the canvas includes every frame up to it.

    Raises:
        DamagedError: The file ends inside a block or holds no frame.
        IndexError: The file ends inside its header.
    """
    blocks = _Blocks(data, frame)
    try:
        blocks.walk(13 + _table(data[10]))
    except IndexError:
        raise blocks.damaged("truncated", "a block is cut off") from None
    return blocks.result()


class _Blocks:
    """What the blocks say."""

    def __init__(self, data: bytes, frame: int) -> None:
        self.data = data
        self.frame = frame
        self.width = data[6] | data[7] << 8
        self.height = data[8] | data[9] << 8
        self.frames = 0
        self.notes = ["palette"]

    def damaged(self, kind: Literal["truncated", "broken"], detail: str) -> DamagedError:
        """The error to raise, with what is known of the sides."""
        return DamagedError(kind, detail, width=self.width, height=self.height)

    def walk(self, at: int) -> None:
        """Goes over all blocks from the first one after the screen's colour table."""
        data = self.data
        while at < len(data):
            kind = data[at]
            if kind == _EXTENSION:
                if data[at + 1] == _GRAPHIC_CONTROL and data[at + 3] & 1 and not self.frames:
                    self.notes.append("alpha")
                at = self._skip(at + 2)
            elif kind == _FRAME:
                at = self._read_frame(at)
            elif kind == _TRAILER or self.frames:
                if at + 1 < len(data):
                    self.notes.append("trailing")
                return
            else:
                raise self.damaged("broken", "an unknown block")

    def _read_frame(self, at: int) -> int:
        data = self.data
        right = (data[at + 1] | data[at + 2] << 8) + (data[at + 5] | data[at + 6] << 8)
        bottom = (data[at + 3] | data[at + 4] << 8) + (data[at + 7] | data[at + 8] << 8)
        if self.frames <= self.frame:
            # Decoders widen the canvas to a frame that is larger: that is the size to judge by.
            self.width, self.height = max(self.width, right), max(self.height, bottom)
        after = self._skip(at + 11 + _table(data[at + 9]))
        self.frames += 1
        return after

    def _skip(self, at: int) -> int:
        """The offset after a row of sub-blocks."""
        data = self.data
        for _ in range(MAX_BLOCKS):
            length = data[at]
            at += 1 + length
            if not length:
                return at
        raise self.damaged("broken", f"more than {MAX_BLOCKS} blocks of data in one frame")

    def result(self) -> Inspection:
        """The file as a whole."""
        if not self.frames:
            raise self.damaged("truncated", "the file ends before its first frame")
        if not self.width or not self.height:
            raise self.damaged("broken", "the canvas has no size")
        if self.frames > 1:
            self.notes.append("animated")
        return Inspection(
            "GIF", self.width, self.height, frames=self.frames, components=1, notes=tuple(self.notes)
        )


def _table(flags: int) -> int:
    """Bytes of the colour table that follows a block with these flags."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
