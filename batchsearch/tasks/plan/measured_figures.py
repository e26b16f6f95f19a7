"""What a plan for workers reckons with: figures measured here, and what has to be assumed (pure).

`tests/benchmarks/worker_figures.py` measures each figure anew, beside what stands here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError
from batchsearch.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: What `--assume` calls it.
        value: How much.
        unit: Of what.
        what: What it is of.
        command: Prints it; empty for what nobody can measure but the one who has the images and the machines.
        most: No more than this makes sense.
    """

    name: str
    value: float
    unit: str
    what: str
    command: str = ""
    most: float = math.inf


_MEASURED: Final = "python tests/benchmarks/worker_figures.py"


def _by(part: str) -> str:
    return f"{_MEASURED} --only {part}"


FIGURES: Final[Mapping[str, Figure]] = MappingProxyType(
    {
        figure.name: figure
        for figure in (
            Figure("image_mb", 0.5, "MB", "an image as it is stored"),
            Figure("sent_mb", 0.2, "MB", "an image as it is sent, where it is repaired"),
            Figure(
                "repaired", 1.0, "share", "images that have to be repaired; 1 is the most it can cost", most=1
            ),
            Figure("hits", 10, "hits", "hits in an answer"),
            Figure("pairs", 2, "pairs", "candidates of dedup that are compared, for each image"),
            Figure("latency_ms", 100, "ms", "until an image begins to come"),
            Figure("latency_spread", 0.5, "", "how much that differs: standard deviation of its logarithm"),
            Figure("line_mbps", 2_500, "Mbit/s", "a machine's line, each way"),
            Figure("cores", 8, "cores", "worker cores of a machine"),
            Figure("store_per_second", 5_500, "requests/s", "what the store of the images answers"),
            Figure("image_ms", 0.65, "ms CPU", "an image fetched and checked", _by("fetched")),
            Figure("image_mb_ms", 1.5, "ms CPU/MB", "the same, for its size", _by("fetched")),
            Figure("repair_ms", 23.0, "ms CPU", "a photograph of 12 megapixels repaired", _by("repaired")),
            Figure("look_ms", 16.0, "ms CPU", "an image's fingerprint and features", _by("looked_at")),
            Figure("pair_ms", 1.3, "ms CPU", "two images compared", _by("looked_at")),
            Figure("task_ms", 2.0, "ms CPU", "a task of the cluster, by the owner", _by("travelled")),
            Figure("travel_mb_ms", 2.5, "ms CPU/MB", "an image from worker to owner", _by("travelled")),
            Figure("call_ms", 0.95, "ms CPU", "a row called, committed and written", _by("called")),
            Figure("call_mb_ms", 9.5, "ms CPU/MB", "the same, for the image's size", _by("called")),
            Figure("ledger_row_bytes", 225, "bytes", "a row in the ledger", _by("called")),
            Figure("part_row_bytes", 73, "bytes", "a row in the parts, without hits", _by("called")),
            Figure("part_hit_bytes", 23, "bytes", "a hit in the parts", _by("called")),
            Figure("carry_requests", 6, "requests", "carrying an output to its store", _by("carried")),
            Figure("beat_requests", 2, "requests", "a renewal of its lease", _by("carried")),
            Figure("granted_share", 0.997, "share", "of a tier that is granted", _by("granted"), most=1),
        )
    }
)
"""By name: first what is assumed, then what is measured."""

MAY_BE_NONE: Final = frozenset({"repaired", "hits", "pairs", "latency_ms", "latency_spread"})
"""Figures that may be 0."""


def figures_with(texts: Iterable[str]) -> dict[str, float]:
    """The figures by name, some of them as the one who plans says: `image_mb=0.2`.

    Raises:
        ConfigError: A text names no figure, or its value makes no sense.
    """
    found = {name: figure.value for name, figure in FIGURES.items()}
    for text in texts:
        name, equals, said = text.partition("=")
        if not equals:
            raise ConfigError(f"--assume {text[:60]!r}: write NAME=VALUE, such as `--assume image_mb=0.2`")
        name = name.strip()
        if name not in FIGURES:
            raise ConfigError(f"--assume: there is no figure {name[:40]!r}{did_you_mean(name, FIGURES)}")
        found[name] = _value(FIGURES[name], said)
    return found


def _value(figure: Figure, said: str) -> float:
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    least = 0.0 if figure.name in MAY_BE_NONE else math.nextafter(0.0, 1.0)
    if not math.isfinite(value) or not least <= value <= figure.most:
        above = "from 0" if least == 0.0 else "above 0"
        most = "" if math.isinf(figure.most) else f" to {figure.most:g}"
        raise ConfigError(
            f"--assume {figure.name}={said[:20]!s}: it is a number {above}{most} ({figure.unit})"
        )
    return value
