"""Every metric there is, and how a run's counters give it (pure).

One row makes a metric: the exporters, its samples, the list for people, dashboard and alerts come from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.telemetry.stats import OK

if TYPE_CHECKING:
    from datetime import datetime

    from batchsearch.telemetry.stats import Stats

Kind = Literal["counter", "gauge", "histogram"]

COMMON_LABELS: Final = ("search_instance", "operation")
"""Labels of every metric; a job file may add its own. `instance` alone would be Prometheus' own label for
the address that was scraped, and ours would be renamed."""

PREFIX: Final = "batchsearch_"


@dataclass(frozen=True, slots=True)
class RunMoment:
    """A run at one moment, as metrics are read from it.

    Attributes:
        stats: The counters.
        now: Steady clock, the one that they were counted by.
        moment: Wall clock, UTC, at the same instant.
        started_at: When the run began, UTC.
        exit_code: What the run ended with; None while it works.
    """

    stats: Stats
    now: float
    moment: datetime
    started_at: datetime
    exit_code: int | None

    @property
    def last_success(self) -> float | None:
        """When a call or a row last ended well, seconds since 1970; None when none has."""
        last = self.stats.last_success
        return None if last is None else self.moment.timestamp() - max(0.0, self.now - last)


Value = float | Mapping[str, float] | None
"""What a metric is: a number; one for each value of its own label; None where it is absent."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Its full name; counters end in `_total`.
        kind: What it is.
        help: What it says, one sentence.
        of: Reads it; None for the histogram, whose classes are counted as they come.
        unit: Of its values, as OpenTelemetry writes units.
        label: A label beside the common ones; None for none.
    """

    name: str
    kind: Kind
    help: str
    of: Callable[[RunMoment], Value] | None = None
    unit: str = "1"
    label: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label of it."""
        return COMMON_LABELS if self.label is None else (*COMMON_LABELS, self.label)

    @property
    def series(self) -> tuple[str, ...]:
        """Names that a query may use."""
        if self.kind == "histogram":
            return f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count"
        return (self.name,)


def _counter(
    name: str, text: str, unit: str, of: Callable[[RunMoment], Value], label: str | None = None
) -> Metric:
    return Metric(f"{PREFIX}{name}_total", "counter", text, of, unit, label)


def _gauge(
    name: str, text: str, unit: str, of: Callable[[RunMoment], Value], label: str | None = None
) -> Metric:
    return Metric(PREFIX + name, "gauge", text, of, unit, label)


METRICS: Final = (
    _counter("calls", "Call slots used: HTTP requests sent.", "{call}", lambda at: at.stats.calls),
    _counter(
        "calls_granted",
        "Calls that were answered and not denied.",
        "{call}",
        lambda at: max(0, at.stats.answers.total() - at.stats.denied),
    ),
    _counter(
        "calls_denied",
        "Calls that the service's flow control refused.",
        "{call}",
        lambda at: at.stats.denied,
    ),
    _counter("calls_repeated", "Calls that repeated an earlier one.", "{call}", lambda at: at.stats.retries),
    _counter(
        "calls_saved",
        "Rows that needed no call of their own: refused before any, or answered by an equal request of this "
        "run or of an earlier one.",
        "{row}",
        lambda at: {
            "validation": at.stats.rejected,
            "coalescing": at.stats.coalesced,
            "reuse": at.stats.reused,
        },
        "reason",
    ),
    _counter(
        "answers",
        "Calls by the code of their answer; `ok` for success.",
        "{call}",
        lambda at: {OK: 0, **at.stats.answers},
        "code",
    ),
    _counter(
        "rows_finished",
        "Rows by outcome; `ok` for success.",
        "{row}",
        lambda at: {OK: at.stats.ok, **at.stats.codes},
        "code",
    ),
    _counter("hits", "Rows of `hits` written.", "{hit}", lambda at: at.stats.hits),
    _counter("sent_bytes", "Bodies of answered calls.", "By", lambda at: at.stats.sent_bytes),
    Metric(
        f"{PREFIX}call_latency_seconds",
        "histogram",
        "From a call's departure to the end of its answer.",
        unit="s",
    ),
    _gauge("rows", "Rows of the manifest.", "{row}", lambda at: at.stats.total),
    _gauge(
        "rows_done",
        "Rows that have their outcome, earlier runs included.",
        "{row}",
        lambda at: at.stats.done,
    ),
    _gauge(
        "queue_depth",
        "What waits at each stage of the pipeline.",
        "{row}",
        lambda at: {
            name: getattr(at.stats, name) for name in ("preparing", "ready", "repeating", "committing")
        },
        "stage",
    ),
    _gauge("calls_in_flight", "Calls that wait for an answer.", "{call}", lambda at: at.stats.in_flight),
    _gauge(
        "tier_calls_per_second",
        "Calls a second that the job may spend.",
        "{call}/s",
        lambda at: at.stats.tier,
    ),
    _gauge("run_active", "1 while the run works, 0 once it is over.", "1", lambda at: at.exit_code is None),
    _gauge(
        "run_exit_code",
        "Exit code of a run that is over; absent before.",
        "1",
        lambda at: at.exit_code,
    ),
    _gauge(
        "run_started_timestamp_seconds",
        "When the run began, seconds since 1970.",
        "s",
        lambda at: at.started_at.timestamp(),
    ),
    _gauge(
        "updated_timestamp_seconds",
        "When these values were read, seconds since 1970.",
        "s",
        lambda at: at.moment.timestamp(),
    ),
    _gauge(
        "last_success_timestamp_seconds",
        "When a call or a row last ended well, seconds since 1970; absent before the first.",
        "s",
        lambda at: at.last_success,
    ),
    _gauge(
        "run_ends_timestamp_seconds",
        "When the window or the deadline ends the run, seconds since 1970; absent where nothing does.",
        "s",
        lambda at: None if at.stats.ends is None else at.stats.ends.timestamp(),
    ),
    _gauge(
        "seconds_left",
        "How long the rest takes at this pace; absent when nothing moves.",
        "s",
        lambda at: at.stats.seconds_left(at.now),
    ),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}


def metrics_as_markdown() -> str:
    """The table of metrics, for documents."""
    rows = [
        " | ".join(
            (
                "",
                f"`{metric.name}`",
                metric.kind,
                ", ".join(f"`{name}`" for name in metric.labels),
                metric.help,
                "",
            )
        ).strip()
        for metric in METRICS
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows])
