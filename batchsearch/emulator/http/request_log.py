"""What the emulator was asked and what it did: a bounded record that tests and people read.

Entries hold no secret, no signature and no image: of a body only its size and hash. With a path, each
entry is also appended to a file as one JSON line, whole lines at a time, so that another process can read
it after the client, or the emulator itself, was killed.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DEFAULT_SIZE: Final = 100_000

Verdict = Literal["granted", "denied", "refused", "upload", "file", "direct"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One request.

    Attributes:
        number: Position among all requests of this emulator, from 1, in order of arrival.
        arrived: When its head had been read, seconds of the monotonic clock (the same for all processes of a
            machine).
        wall: The same moment, seconds since 1970.
        judged: The moment that flow control went by (its body had been read), monotonic; None when flow
            control never saw it.
        seconds: From `arrived` to the last byte of the answer handed over.
        action: The operation, or None when the request did not say.
        instance: The instance named, or None.
        access_key_id: Public half of the key that signed it, or None when the signature did not hold.
        nonce: Its signature nonce, or None.
        verdict: `granted` or `denied` by flow control; `refused` before it was asked; `upload` for the
            parts of the object upload, `file` for what a signed address leads to, `direct` for what the
            process asked its own instance without HTTP.
        status: HTTP status answered, or None when a fault cut the connection first.
        code: Error code answered, or None for a success.
        request_id: The answer's request id.
        body_sha256: Hash of the body, hexadecimal.
        body_bytes: Size of the body.
        product_id: Product named, or None.
        pic_name: Image named, or None.
        fault: What a fault did to it, or None.
    """

    number: int
    arrived: float
    wall: float
    judged: float | None
    seconds: float
    action: str | None
    instance: str | None
    access_key_id: str | None
    nonce: str | None
    verdict: Verdict
    status: int | None
    code: str | None
    request_id: str
    body_sha256: str
    body_bytes: int
    product_id: str | None
    pic_name: str | None
    fault: str | None


_NAMES: Final = frozenset(field.name for field in fields(Entry))


class RequestLog:
    """Keeps the last entries, in order of being finished; safe to read from any thread."""

    def __init__(self, *, size: int = DEFAULT_SIZE, path: Path | None = None) -> None:
        """Start a record.

        Args:
            size: Most entries kept in memory.
            path: File that entries are appended to, or None.
        """
        self._entries: deque[Entry] = deque(maxlen=size)
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def next_number(self) -> int:
        """The number of a request that has come in."""
        return next(self._numbers)

    def add(self, entry: Entry) -> None:
        """Record one finished request."""
        with self._changed:
            self._entries.append(entry)
            if self._file is not None:
                # One write of one line, handed to the system at once: a kill cuts none in two.
                self._file.write(json.dumps(asdict(entry), ensure_ascii=True) + "\n")
                self._file.flush()
            self._changed.notify_all()

    def entries(self, action: str | None = None, *, verdict: Verdict | None = None) -> tuple[Entry, ...]:
        """The kept entries, oldest first; only those of an action or verdict when given."""
        with self._changed:
            kept = tuple(self._entries)
        return tuple(
            entry
            for entry in kept
            if (action is None or entry.action == action) and (verdict is None or entry.verdict == verdict)
        )

    def wait_for(
        self, count: int, *, action: str | None = None, verdict: Verdict | None = None, timeout: float = 30.0
    ) -> tuple[Entry, ...]:
        """Wait until at least `count` such entries are kept; raises TimeoutError after `timeout` seconds."""

        def enough() -> bool:
            return (
                sum(
                    (action is None or entry.action == action)
                    and (verdict is None or entry.verdict == verdict)
                    for entry in self._entries
                )
                >= count
            )

        with self._changed:
            if not self._changed.wait_for(enough, timeout):
                raise TimeoutError(f"fewer than {count} requests came within {timeout:g} s")
        return self.entries(action, verdict=verdict)

    def clear(self) -> None:
        """Forget the entries in memory; the file keeps them."""
        with self._changed:
            self._entries.clear()

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            if self._file is not None:
                self._file.close()
                self._file = None


def read_log(path: Path) -> tuple[Entry, ...]:
    """Entries of a log file; a last line that a kill cut short is left out."""
    entries = []
    for line in path.read_text("utf-8").split("\n")[:-1]:
        values: dict[str, Any] = json.loads(line)
        entries.append(Entry(**{name: value for name, value in values.items() if name in _NAMES}))
    return tuple(entries)


def most_within(times: Iterable[float], seconds: float = 1.0) -> int:
    """The largest number of `times` that lie within any window of `seconds` (its end not included)."""
    ordered = sorted(times)
    most = first = 0
    for last, time in enumerate(ordered):
        while time - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
