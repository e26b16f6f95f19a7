"""Every metric there is (pure). The exporters, the list for people, dashboard and alerts come from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

COMMON_LABELS: Final = ("search_instance", "operation")
"""Labels of every metric; a job file may add its own. `instance` alone would be Prometheus' own label for
the address that was scraped, and ours would be renamed."""

PREFIX: Final = "batchsearch_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Its full name; counters end in `_total`.
        kind: What it is.
        help: What it says, one sentence.
        unit: Of its values, as OpenTelemetry writes units.
        label: A label beside the common ones; None for none.
    """

    name: str
    kind: Kind
    help: str
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


def _metric(name: str, kind: Kind, text: str, unit: str = "1", label: str | None = None) -> Metric:
    return Metric(PREFIX + name, kind, text, unit, label)


METRICS: Final = (
    _metric("calls_total", "counter", "Call slots used: HTTP requests sent.", "{call}"),
    _metric("calls_granted_total", "counter", "Calls that were answered and not denied.", "{call}"),
    _metric("calls_denied_total", "counter", "Calls that the service's flow control refused.", "{call}"),
    _metric("calls_repeated_total", "counter", "Calls that repeated an earlier one.", "{call}"),
    _metric(
        "calls_saved_total",
        "counter",
        "Rows that needed no call of their own: refused before any, or answered by an equal request of this "
        "run or of an earlier one.",
        "{row}",
        "reason",
    ),
    _metric(
        "answers_total", "counter", "Calls by the code of their answer; `ok` for success.", "{call}", "code"
    ),
    _metric("rows_finished_total", "counter", "Rows by outcome; `ok` for success.", "{row}", "code"),
    _metric("hits_total", "counter", "Rows of `hits` written.", "{hit}"),
    _metric("sent_bytes_total", "counter", "Bodies of answered calls.", "By"),
    _metric("call_latency_seconds", "histogram", "From a call's departure to the end of its answer.", "s"),
    _metric("rows", "gauge", "Rows of the manifest.", "{row}"),
    _metric("rows_done", "gauge", "Rows that have their outcome, earlier runs included.", "{row}"),
    _metric("queue_depth", "gauge", "What waits at each stage of the pipeline.", "{row}", "stage"),
    _metric("calls_in_flight", "gauge", "Calls that wait for an answer.", "{call}"),
    _metric("tier_calls_per_second", "gauge", "Calls a second that the job may spend.", "{call}/s"),
    _metric("run_active", "gauge", "1 while the run works, 0 once it is over."),
    _metric("run_exit_code", "gauge", "Exit code of a run that is over; absent before."),
    _metric("run_started_timestamp_seconds", "gauge", "When the run began, seconds since 1970.", "s"),
    _metric("updated_timestamp_seconds", "gauge", "When these values were read, seconds since 1970.", "s"),
    _metric(
        "last_success_timestamp_seconds",
        "gauge",
        "When a call or a row last ended well, seconds since 1970; absent before the first.",
        "s",
    ),
    _metric(
        "run_ends_timestamp_seconds",
        "gauge",
        "When the window or the deadline ends the run, seconds since 1970; absent where nothing does.",
        "s",
    ),
    _metric("seconds_left", "gauge", "How long the rest takes at this pace; absent when nothing moves.", "s"),
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
