"""The job file's `metrics` section: where a run's numbers go while it works."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field, field_validator

from batchsearch.config.sections.section import Settings
from batchsearch.config.shape import IS_PATH

TAKEN_LABELS: Final = frozenset(
    {"search_instance", "operation", "code", "reason", "stage", "le", "quantile", "instance", "job"}
)
"""Labels that the metrics have themselves, or Prometheus gives to whatever it reads."""

_LABEL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}")


class MetricsSettings(Settings):
    """Where a run's numbers go while it works: counters, latencies and queue depths."""

    textfile: Annotated[str | None, IS_PATH] = Field(
        None,
        description="File for the Prometheus node exporter's textfile collector, ending in `.prom`; always "
        "whole. Needs the extra `metrics`.",
    )
    every: float = Field(15.0, ge=1, description="Seconds between two writes of the file.")
    port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Serve the metrics over HTTP on this port; 0 takes a free one. Needs the extra "
        "`metrics`.",
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to serve them on; this machine's alone."
    )
    opentelemetry: bool | None = Field(
        None,
        description="Hand the numbers to OpenTelemetry's API, for the meter provider that the program has "
        "set up. Where its package is installed when absent. Needs the extra `otel`.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels of every metric, such as `team: search`; one job's series are told from "
        "another's on the same instance by them.",
    )

    @field_validator("textfile")
    @classmethod
    def _name_is_collected(cls, textfile: str | None) -> str | None:
        if textfile is not None and not textfile.endswith(".prom"):
            raise ValueError("must end in `.prom`: the collector takes no other files")
        return textfile

    @field_validator("labels")
    @classmethod
    def _labels_are_free(cls, labels: dict[str, str]) -> dict[str, str]:
        for name in labels:
            if not _LABEL.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name[:40]!r} is no name of a label: letters, digits and `_`")
            if name in TAKEN_LABELS:
                raise ValueError(
                    f"{name!r} is a label that the metrics or Prometheus have already; choose another"
                )
        return labels
