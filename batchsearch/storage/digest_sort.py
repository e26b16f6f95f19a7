"""Bringing equal digests together in memory that does not grow with their number.

Records that begin with the two halves of a digest (`high`, `low`) come in runs, each sorted by `high`, and go
to one temporary file. At the end equal digests of all runs are in the same slice, and one slice is in memory
at once.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SLICES: Final = 64


def halves(digests: bytes) -> NDArray[np.uint64]:
    """Digests of sixteen bytes, one after the other, as two numbers each, which sort as the bytes do."""
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64).reshape(-1, 2)


class SortedRuns:
    """Runs of records, taken one by one and given back slice by slice; a context manager.

    Args:
        record: What a record is; its field `high` is the first half of a digest.
        name: What the temporary file's name begins with.
        slices: How many there are, a power of two: so much less than all is in memory at once.

    Raises:
        OSError: From `write` and `slices`: the temporary folder is full or not writable.
    """

    def __init__(self, record: np.dtype[Any], name: str, *, slices: int = _SLICES) -> None:
        self._record = record
        self._name = name
        self._bounds = np.arange(1, slices, dtype=np.uint64) * np.uint64(2**64 // slices)
        self._file: IO[bytes] | None = None
        self._cuts: list[list[int]] = []
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return self._file is not None

    def write(self, run: NDArray[Any]) -> None:
        """Take a run, sorted by `high`."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix=self._name)  # noqa: SIM115 - closed by __exit__
        self._file.seek(self._written * self._record.itemsize)
        self._file.write(run.tobytes())
        self._file.flush()
        inside = np.searchsorted(run["high"], self._bounds).tolist()
        self._cuts.append([self._written + cut for cut in (0, *inside, len(run))])
        self._written += len(run)

    def slices(self, least: int = 0) -> Iterator[NDArray[Any]]:
        """All records, a slice of the digests at a time, run after run within each; slices come in order.

        Args:
            least: Slices that follow one another are given as one until they have so many records: many
                small ones take as many reads of the disk as large ones.
        """
        begin = 0
        for end in self._ends(least):
            pieces = (self._read(cuts[begin], cuts[end]) for cuts in self._cuts)
            yield np.frombuffer(b"".join(pieces), self._record)
            begin = end

    def _ends(self, least: int) -> list[int]:
        """The number of the slice that each piece ends before."""
        last = len(self._bounds) + 1
        cuts = np.array(self._cuts, dtype=np.int64).reshape(-1, last + 1)
        sizes = np.diff(cuts, axis=1).sum(axis=0).tolist()
        ends, held = [], 0
        for number, size in enumerate(sizes, start=1):
            held += size
            if held >= least or number == last:
                ends.append(number)
                held = 0
        return ends

    def _read(self, start: int, stop: int) -> bytes:
        if self._file is None or start == stop:
            return b""
        size = self._record.itemsize
        return os.pread(self._file.fileno(), (stop - start) * size, start * size)
