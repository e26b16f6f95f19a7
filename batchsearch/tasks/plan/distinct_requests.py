"""Counting different requests in memory that does not grow with their number.

Each request is kept as the first 16 bytes of its key with what it takes. Runs of them are sorted, freed of
their own repeats and written to one temporary file; at the end the runs are compared slice by slice, so
that only a 64th of the requests is in memory at once.
"""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any, Final, Self

import numpy as np

from batchsearch.errors import OutputError
from batchsearch.tasks.plan.estimate import Needed

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

RUN_REQUESTS: Final = 1 << 16
"""Requests in memory before a run is written: 2 MB."""

DIGEST_BYTES: Final = 16
_SLICES: Final = 64
_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("calls", "<u4"), ("bytes", "<u8")])
_BOUNDS: Final = (np.arange(1, _SLICES, dtype=np.uint64) << np.uint64(58)).astype(np.uint64)


class DistinctRequests:
    """Takes requests one by one and says what the different ones among them take.

    A context manager: its temporary file goes with it. Of equal requests the one with the fewest calls
    counts, since the others wait for its answer.

    Args:
        run_requests: Requests in memory before they are written.
    """

    def __init__(self, *, run_requests: int = RUN_REQUESTS) -> None:
        self._run_requests = run_requests
        self._digests = bytearray()
        self._calls: list[int] = []
        self._bytes: list[int] = []
        self._file: IO[bytes] | None = None
        self._runs: list[list[int]] = []
        self._written = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, request_key: bytes, *, calls: int, byte_count: int) -> None:
        """Take a request.

        Args:
            request_key: Its SHA-256.
            calls: Calls that it takes.
            byte_count: Bytes that these upload.

        Raises:
            OutputError: The temporary folder is full or not writable.
        """
        self._digests += request_key[:DIGEST_BYTES]
        self._calls.append(calls)
        self._bytes.append(byte_count)
        if len(self._calls) >= self._run_requests:
            self._write(self._take_run())

    def needed(self) -> Needed:
        """What the different ones of all requests take; to be asked once, after the last.

        Raises:
            OutputError: The temporary file cannot be written or read.
        """
        last = self._take_run()
        if self._file is None:
            return _sum(last)
        self._write(last)
        total = Needed(0, 0, 0)
        for number in range(_SLICES):
            slices = [self._read(run[number], run[number + 1]) for run in self._runs]
            part = _sum(_first_of_each(np.concatenate(slices)))
            total = Needed(total.requests + part.requests, total.calls + part.calls, total.bytes + part.bytes)
        return total

    def _take_run(self) -> NDArray[Any]:
        """The requests held, sorted, each once; none are held afterwards."""
        entries = np.empty(len(self._calls), dtype=_ENTRY)
        digests = np.frombuffer(bytes(self._digests), dtype="<u8").reshape(-1, 2)
        entries["high"], entries["low"] = digests[:, 0], digests[:, 1]
        entries["calls"], entries["bytes"] = self._calls, self._bytes
        self._digests, self._calls, self._bytes = bytearray(), [], []
        return _first_of_each(entries)

    def _write(self, run: NDArray[Any]) -> None:
        inside = np.searchsorted(run["high"], _BOUNDS).tolist()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="batchsearch-requests-")  # noqa: SIM115 - closed by __exit__
            self._file.seek(self._written * _ENTRY.itemsize)
            self._file.write(run.tobytes())
            self._file.flush()
        except OSError as error:
            raise _unusable(error) from error
        self._runs.append([self._written + bound for bound in (0, *inside, len(run))])
        self._written += len(run)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if self._file is None:
            return np.empty(0, dtype=_ENTRY)
        try:
            self._file.seek(start * _ENTRY.itemsize)
            return np.frombuffer(self._file.read((stop - start) * _ENTRY.itemsize), dtype=_ENTRY)
        except OSError as error:
            raise _unusable(error) from error


def _first_of_each(entries: NDArray[Any]) -> NDArray[Any]:
    """In order of digest, each once: the one with the fewest calls."""
    entries = entries[np.lexsort((entries["calls"], entries["low"], entries["high"]))]
    high, low = entries["high"], entries["low"]
    new = np.ones(len(entries), dtype=bool)
    new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return entries[new]


def _sum(entries: NDArray[Any]) -> Needed:
    calls, byte_count = entries["calls"], entries["bytes"]
    return Needed(len(entries), int(calls.sum(dtype=np.uint64)), int(byte_count.sum(dtype=np.uint64)))


def _unusable(error: OSError) -> OutputError:
    return OutputError(
        f"{tempfile.gettempdir()}: the temporary folder cannot be used: {error.strerror}; "
        "make room there, or name another one in TMPDIR"
    )
