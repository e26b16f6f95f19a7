"""The values of all metrics at a moment, read from a run's counters (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from batchsearch.telemetry.metrics.metric_catalogue import METRICS, RunMoment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from batchsearch.telemetry.histogram import Histogram
    from batchsearch.telemetry.metrics.metric_catalogue import Metric
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
class Samples:
    """All metrics at a moment; made by the run's thread, read by any.

    Attributes:
        values: Every counter and gauge.
        latency: How latencies were spread, seconds.
    """

    values: tuple[Sample, ...]
    latency: Histogram


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
    at = RunMoment(stats, now, moment, started_at, exit_code)
    found = [sample for metric in METRICS for sample in _samples(metric, at)]
    latency = replace(stats.latencies, counts=[*stats.latencies.counts])
    return Samples(tuple(found), latency)


def _samples(metric: Metric, at: RunMoment) -> Iterator[Sample]:
    value = None if metric.of is None else metric.of(at)
    if isinstance(value, Mapping):
        by_label = _bounded(value) if metric.label == "code" else value
        yield from (Sample(metric.name, float(count), label) for label, count in by_label.items())
    elif value is not None:
        yield Sample(metric.name, float(value))


def _bounded(counts: Mapping[str, float]) -> dict[str, float]:
    """As many codes as a label may have values; what is no name of a code is `other`."""
    kept: dict[str, float] = {}
    for code, count in counts.items():
        fits = _CODE.fullmatch(code) is not None and (code in kept or len(kept) < MOST_CODES)
        label = code if fits else OTHER
        kept[label] = kept.get(label, 0) + count
    return kept
