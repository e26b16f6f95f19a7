"""Counting different requests in memory that does not grow with their number.

Each request is kept as the first 16 bytes of its key with what it takes. Runs of them are sorted, freed of
their own repeats and written to one temporary file; at the end the runs are compared slice by slice, so
that only a 64th of the requests is in memory at once.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from batchsearch.errors import OutputError
from batchsearch.storage.digest_sort import SortedRuns
from batchsearch.tasks.plan.estimate import Needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RUN_REQUESTS: Final = 1 << 16
"""Requests in memory before a run is written: 2 MB."""

DIGEST_BYTES: Final = 16
_ENTRY: Final = np.dtype([("high", "<u8"), ("low", "<u8"), ("calls", "<u4"), ("bytes", "<u8")])


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
        self._runs = SortedRuns(_ENTRY, "batchsearch-requests-")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runs.__exit__()

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
        if not self._runs:
            return _sum(last)
        self._write(last)
        total = Needed(0, 0, 0)
        for entries in self._slices():
            part = _sum(_first_of_each(entries))
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
        try:
            self._runs.write(run)
        except OSError as error:
            raise _unusable(error) from error

    def _slices(self) -> Iterator[NDArray[Any]]:
        try:
            yield from self._runs.slices()
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
