"""What a run has done so far, in numbers; the progress bar, the summary and the logs read it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

_RECENT_SECONDS: Final = 30.0
_FEWEST_CALLS: Final = 11


@dataclass(slots=True)
class Stats:
    """Counters of one run. Only the event loop's thread writes them.

    Attributes:
        total: Rows of the manifest.
        resumed: Rows that earlier runs had finished.
        ok: Rows that this run finished with success.
        failed: Rows that this run finished with a code.
        codes: How many rows of this run ended with each code.
        calls: HTTP requests sent.
        denied: Of these, refused by flow control.
        retries: Calls that were repeats.
        in_flight: Calls that wait for an answer now.
        preparing: Rows being fetched, checked and encoded now.
        repeating: Rows that wait before their call is repeated.
        committing: Outcomes that wait for the ledger now.
        coalesced: Rows answered by the call of another row of this run.
        reused: Rows answered by a call of an earlier run.
        hits: Rows of `hits` written.
        first_sent: When the first call left, steady clock.
        last_sent: When the latest call left, steady clock.
    """

    total: int = 0
    resumed: int = 0
    ok: int = 0
    failed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    denied: int = 0
    retries: int = 0
    in_flight: int = 0
    preparing: int = 0
    repeating: int = 0
    committing: int = 0
    coalesced: int = 0
    reused: int = 0
    hits: int = 0
    first_sent: float | None = None
    last_sent: float | None = None
    _recent: deque[float] = field(default_factory=deque)

    @property
    def done(self) -> int:
        """Rows that have their outcome, earlier runs included."""
        return self.resumed + self.ok + self.failed

    def sent(self, now: float) -> None:
        """Count a call that leaves at `now`, seconds of any steady clock."""
        self.calls += 1
        self.first_sent = now if self.first_sent is None else self.first_sent
        self.last_sent = now
        self._recent.append(now)
        while self._recent and self._recent[0] < now - _RECENT_SECONDS:
            self._recent.popleft()

    def mean_rate(self) -> float | None:
        """Calls a second from the first call to the last; None when they are too few to say."""
        if self.first_sent is None or self.last_sent is None or self.calls < _FEWEST_CALLS:
            return None
        return (self.calls - 1) / max(self.last_sent - self.first_sent, 1e-9)

    def rate(self, now: float) -> float:
        """Calls a second over the last half minute, or since the first call."""
        if self.first_sent is None:
            return 0.0
        seconds = min(_RECENT_SECONDS, now - self.first_sent)
        recent = sum(moment >= now - seconds for moment in self._recent)
        return recent / max(seconds, 1.0)

    def row_rate(self, now: float) -> float:
        """Rows finished a second, since the first call."""
        if self.first_sent is None:
            return 0.0
        return (self.ok + self.failed) / max(now - self.first_sent, 1.0)
