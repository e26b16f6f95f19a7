"""The values of all metrics at a moment, read from a run's counters (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from batchsearch.telemetry.metrics.metric_catalogue import PREFIX
from batchsearch.telemetry.stats import OK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from batchsearch.telemetry.stats import Stats

MOST_CODES: Final = 64
"""Most values of the label `code`: those that come first keep their name, the rest are `other`."""

OTHER: Final = "other"

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One value.

    Attributes:
        name: Full name of its metric.
        value: The value.
        label: Value of the metric's own label, where it has one.
    """

    name: str
    value: float
    label: str | None = None


@dataclass(frozen=True, slots=True)
class LatencySample:
    """How latencies were spread.

    Attributes:
        bounds: Upper bound of each class, seconds.
        cumulative: Values not above each bound, then all of them.
        total: Sum of all values, seconds.
    """

    bounds: tuple[float, ...]
    cumulative: tuple[int, ...]
    total: float


@dataclass(frozen=True, slots=True)
class Samples:
    """All metrics at a moment; made by the run's thread, read by any.

    Attributes:
        values: Every counter and gauge.
        latency: The histogram.
    """

    values: tuple[Sample, ...]
    latency: LatencySample


def samples_of(
    stats: Stats, now: float, moment: datetime, *, started_at: datetime, exit_code: int | None
) -> Samples:
    """A run's metrics.

    Args:
        stats: The counters.
        now: Steady clock, the one that they were counted by.
        moment: Wall clock, UTC, at the same instant.
        started_at: When the run began, UTC.
        exit_code: What the run ended with; None while it works.
    """
    answered = stats.answers.total()
    found = [
        _sample("calls_total", stats.calls),
        _sample("calls_granted_total", max(0, answered - stats.denied)),
        _sample("calls_denied_total", stats.denied),
        _sample("calls_repeated_total", stats.retries),
        _sample("calls_saved_total", stats.rejected, "validation"),
        _sample("calls_saved_total", stats.coalesced, "coalescing"),
        _sample("calls_saved_total", stats.reused, "reuse"),
        *_by_code("answers_total", {OK: 0, **stats.answers}),
        *_by_code("rows_finished_total", {OK: stats.ok, **stats.codes}),
        _sample("hits_total", stats.hits),
        _sample("sent_bytes_total", stats.sent_bytes),
        _sample("rows", stats.total),
        _sample("rows_done", stats.done),
        _sample("queue_depth", stats.preparing, "preparing"),
        _sample("queue_depth", stats.ready, "ready"),
        _sample("queue_depth", stats.repeating, "repeating"),
        _sample("queue_depth", stats.committing, "committing"),
        _sample("calls_in_flight", stats.in_flight),
        _sample("run_active", exit_code is None),
        _sample("run_started_timestamp_seconds", started_at.timestamp()),
        _sample("updated_timestamp_seconds", moment.timestamp()),
    ]
    if stats.tier is not None:
        found.append(_sample("tier_calls_per_second", stats.tier))
    if exit_code is not None:
        found.append(_sample("run_exit_code", exit_code))
    if stats.last_success is not None:
        found.append(
            _sample("last_success_timestamp_seconds", moment.timestamp() - max(0.0, now - stats.last_success))
        )
    if stats.ends is not None:
        found.append(_sample("run_ends_timestamp_seconds", stats.ends.timestamp()))
    left = stats.seconds_left(now)
    if left is not None:
        found.append(_sample("seconds_left", left))
    latencies = stats.latencies
    latency = LatencySample(latencies.bounds, tuple(latencies.cumulative()), latencies.total)
    return Samples(tuple(found), latency)


def _sample(name: str, value: float, label: str | None = None) -> Sample:
    return Sample(PREFIX + name, float(value), label)


def _by_code(name: str, counts: Mapping[str, int]) -> list[Sample]:
    """One sample for each code, as many as a label may have values; what is no name of a code is `other`."""
    kept: dict[str, int] = {}
    for code, count in counts.items():
        fits = _CODE.fullmatch(code) is not None and (code in kept or len(kept) < MOST_CODES)
        label = code if fits else OTHER
        kept[label] = kept.get(label, 0) + count
    return [_sample(name, count, code) for code, count in kept.items()]
