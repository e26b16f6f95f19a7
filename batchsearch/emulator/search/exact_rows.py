"""The vectors themselves, float32: the first ones in memory, more of them in a temporary file.

A search asks for a few of a million. The file has no name and goes with the process; where there is no room
for one, all stays in memory.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK: Final = 8_192
"""Rows of a block; 8 MB of 256 dimensions."""

IN_MEMORY: Final = 8
"""Blocks that stay in memory."""

_READ_WHOLE: Final = 4
"""Where more than one in so many rows of a block is wanted, the block is read as a whole."""


class ExactRows:
    """Vectors by row; one thread at a time.

    Args:
        dimensions: Of each.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._row_bytes = 4 * dimensions
        self._blocks: list[NDArray[np.float32] | None] = []
        self._file: IO[bytes] | None = None
        self._has_room = True

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def write(self, row: int, vectors: NDArray[np.float32]) -> None:
        """Put vectors at a row and the ones after it; no row is left out."""
        done = 0
        while done < len(vectors):
            number, place = divmod(row + done, BLOCK)
            if number == len(self._blocks):
                self._spill(number - 1)
                self._blocks.append(np.zeros((BLOCK, self._dimensions), dtype=np.float32))
            taken = min(BLOCK - place, len(vectors) - done)
            block, part = self._blocks[number], vectors[done : done + taken]
            if block is None:
                self._write_file(row + done, part)
            else:
                block[place : place + taken] = part
            done += taken

    def gather(self, rows: NDArray[np.int64], into: NDArray[Any]) -> None:
        """Copy the vectors of some rows, ascending."""
        blocks = rows // BLOCK
        edges = np.flatnonzero(np.diff(blocks, prepend=-1)).tolist()
        for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
            number = int(blocks[start])
            block, places = self._blocks[number], rows[start:stop] % BLOCK
            if block is None and len(places) * _READ_WHOLE > BLOCK:
                block = self._read(number * BLOCK, BLOCK)
            if block is not None:
                into[start:stop] = block[places]
                continue
            for place, row in enumerate(rows[start:stop].tolist(), start):
                into[place] = self._read(row, 1)[0]

    def keep(self, kept: NDArray[np.int64]) -> None:
        """Keep these rows, ascending, as the first ones."""
        # Every kept row moves down or stays, so block after block can be filled from what is not yet moved.
        for number, start in enumerate(range(0, len(kept), BLOCK)):
            moved = np.zeros((BLOCK, self._dimensions), dtype=np.float32)
            self.gather(kept[start : start + BLOCK], moved)
            if self._blocks[number] is None:
                self._write_file(number * BLOCK, moved)
            else:
                self._blocks[number] = moved
        del self._blocks[-(-len(kept) // BLOCK) :]

    def _spill(self, number: int) -> None:
        """Move a full block to the file, beyond those that stay in memory."""
        if number < IN_MEMORY or not self._has_room:
            return
        block = self._blocks[number]
        if block is None:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="batchsearch-vectors-")  # noqa: SIM115 - closed by close
            self._write_file(number * BLOCK, block)
        except OSError:
            self._has_room = False
            return
        self._blocks[number] = None

    def _write_file(self, row: int, vectors: NDArray[np.float32]) -> None:
        if self._file is None:
            raise AssertionError("a block that is not in memory is in the file")
        self._file.seek(row * self._row_bytes)
        self._file.write(np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
        self._file.flush()

    def _read(self, row: int, count: int) -> NDArray[np.float32]:
        if self._file is None:
            raise AssertionError("a block that is not in memory is in the file")
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), count * self._row_bytes, row * self._row_bytes)
        else:
            self._file.seek(row * self._row_bytes)
            data = self._file.read(count * self._row_bytes)
        return np.frombuffer(data, np.float32).reshape(count, self._dimensions)

    def __del__(self) -> None:
        """Nobody may have closed it."""
        with suppress(OSError):
            self.close()
