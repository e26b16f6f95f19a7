"""What a run has done so far, in numbers: progress, heartbeat, metrics, summary and logs read it.

Who runs the pipeline counts; this adds up. Nothing here knows a clock: whoever counts says when.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from batchsearch.telemetry.histogram import Histogram
from batchsearch.telemetry.sliding_count import SlidingCount

if TYPE_CHECKING:
    from datetime import datetime

    from _typeshed import DataclassInstance

RECENT_SECONDS: Final = 30.0
"""What `now` means where a rate or a share is given."""

ROW_SECONDS: Final = 300.0
"""Rows of so many seconds decide how long the rest will take."""

OK: Final = "ok"
"""What an answer without an error code is counted under."""

_FEWEST_CALLS: Final = 11
_LOCAL: Final = "Local."


@dataclass(slots=True)
class Stats:
    """Counters of one run. Only the event loop's thread writes them.

    Attributes:
        total: Rows of the manifest.
        resumed: Rows that earlier runs had finished.
        earlier_codes: How many of those ended with each code.
        ok: Rows that this run finished with success.
        failed: Rows that this run finished with a code.
        codes: How many rows of this run ended with each code.
        tier: Calls a second that the job may spend; None for no limit.
        ends: When the window or the deadline ends the run; None when nothing does.
        calls: HTTP requests sent.
        denied: Of these, refused by flow control.
        retries: Calls that were repeats.
        answers: How many calls were answered with each code, `ok` for success; lost ones included.
        sent_bytes: Bodies of the answered calls, bytes.
        latencies: How long the answers took, seconds.
        in_flight: Calls that wait for an answer now.
        preparing: Rows being fetched, checked and encoded now.
        ready: Requests that wait for a slot now.
        repeating: Rows that wait before their call is repeated.
        committing: Outcomes that wait for the ledger now.
        coalesced: Rows answered by the call of another row of this run.
        reused: Rows answered by a call of an earlier run.
        rejected: Rows that this run refused before any call.
        stood: Rows that were to be renewed and keep the outcome that they had.
        hits: Rows of `hits` written.
        first_sent: When the first call left, steady clock.
        last_sent: When the latest call left, steady clock.
        last_success: When a call or a row last ended well, steady clock.
        troubles: Endpoints that do not answer now, by host and port, and why.
        fresh_latencies: Where each latency is put as well, for who empties it; None where nobody does.
    """

    total: int = 0
    resumed: int = 0
    earlier_codes: Counter[str] = field(default_factory=Counter)
    ok: int = 0
    failed: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    tier: float | None = 0.0
    ends: datetime | None = None
    calls: int = 0
    denied: int = 0
    retries: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    latencies: Histogram = field(default_factory=Histogram)
    in_flight: int = 0
    preparing: int = 0
    ready: int = 0
    repeating: int = 0
    committing: int = 0
    coalesced: int = 0
    reused: int = 0
    rejected: int = 0
    stood: int = 0
    hits: int = 0
    first_sent: float | None = None
    last_sent: float | None = None
    last_success: float | None = None
    fresh_latencies: list[float] | None = None
    troubles: dict[str, str] = field(default_factory=dict)
    _sent: SlidingCount = field(default_factory=lambda: SlidingCount(RECENT_SECONDS))
    _answered: SlidingCount = field(default_factory=lambda: SlidingCount(RECENT_SECONDS))
    _denied: SlidingCount = field(default_factory=lambda: SlidingCount(RECENT_SECONDS))
    _rows: SlidingCount = field(default_factory=lambda: SlidingCount(ROW_SECONDS))

    @property
    def done(self) -> int:
        """Rows that have their outcome, earlier runs included."""
        return self.resumed + self.ok + self.failed

    @property
    def all_codes(self) -> Counter[str]:
        """How many rows of the manifest ended with each code, earlier runs included."""
        return self.earlier_codes + self.codes

    def sent(self, now: float) -> None:
        """Count a call that leaves at `now`, seconds of any steady clock."""
        self.calls += 1
        self.first_sent = now if self.first_sent is None else self.first_sent
        self.last_sent = now
        self._sent.add(now)

    def answered(
        self, latency: float, code: str | None, *, denied: bool, now: float, sent_bytes: int
    ) -> None:
        """Count an answer, or that none will come; `denied` itself is counted by who judges.

        Args:
            latency: Seconds that it took.
            code: Its error code; None for success.
            denied: Flow control refused the call.
            now: Seconds of the same clock as in `sent`.
            sent_bytes: Size of the request's body.
        """
        self.answers[OK if code is None else code] += 1
        self.sent_bytes += sent_bytes
        self.latencies.add(latency)
        self._answered.add(now)
        if denied:
            self._denied.add(now)
        if code is None:
            self.last_success = now
        if self.fresh_latencies is not None:
            self.fresh_latencies.append(latency)

    def finished(self, code: str | None, now: float) -> None:
        """Count a committed outcome; `ok`, `failed` and `codes` are counted by who commits.

        Args:
            code: The row's error code; None for success.
            now: Seconds of the same clock as in `sent`.
        """
        self._rows.add(now)
        if code is None:
            self.last_success = now
        elif code.startswith(_LOCAL):
            self.rejected += 1

    def kept(self, now: float) -> None:
        """Count a row that keeps the outcome it has: for the pace, and as nobody's success."""
        self._rows.add(now)

    def mean_rate(self) -> float | None:
        """Calls a second from the first call to the last; None when they are too few to say."""
        if self.first_sent is None or self.last_sent is None or self.calls < _FEWEST_CALLS:
            return None
        return (self.calls - 1) / max(self.last_sent - self.first_sent, 1e-9)

    def rate(self, now: float) -> float:
        """Calls a second over the last half minute, or since the first call."""
        return self._sent.rate(now)

    def denied_share(self, now: float) -> float:
        """Part of the answers of the last half minute that were denials, 0 to 1."""
        answered = self._answered.count(now)
        return self._denied.count(now) / answered if answered else 0.0

    def row_rate(self, now: float) -> float:
        """Rows finished a second over the last five minutes, or since the first."""
        return self._rows.rate(now)

    def seconds_left(self, now: float) -> float | None:
        """How long the rows that are left will take at this pace; None when nothing moves."""
        left, rate = self.total - self.done, self.row_rate(now)
        if left <= 0:
            return 0.0
        return left / rate if rate > 0 else None


COUNTERS: Final = tuple(each.name for each in fields(Stats) if each.type == "int")
"""The counters that are plain numbers: those of several runs add up."""


def counters_of(stats: Stats, kind: type[DataclassInstance]) -> dict[str, int]:
    """The counters that a record of this kind has as well, by name; one that is added there is filled."""
    there = {each.name for each in fields(kind)}
    return {name: getattr(stats, name) for name in COUNTERS if name in there}
