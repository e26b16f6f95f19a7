"""Charts as plain geometry: rectangles, lines and labels in a box that the template draws as SVG (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from batchsearch.tasks.report.words import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.tasks.report.bin_counts import Bin
    from batchsearch.tasks.report.spans import Step

WIDTH, HEIGHT, LOW_HEIGHT = 560, 232, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 10, 18, 30
_Y_TICKS: Final = 4
_TIME_TICKS: Final = 5
_MOST_X_LABELS: Final = 9
_DAY: Final = 86_400
Series = Literal["main", "second", "bad"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, and what a pointer resting on it is told."""

    x: float
    y: float
    width: float
    height: float
    series: Series
    tip: str


@dataclass(frozen=True, slots=True)
class Label:
    """A short text at a place along an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across the chart at a value, with what it means."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of bars.

    Attributes:
        title: What it shows; also what a screen reader says first.
        says: What is to be seen in it, one sentence, for people who do not see it.
        bars: In drawing order.
        x_labels: Along the bottom.
        y_labels: Along the left, each with a thin line.
        across: Horizontal lines, such as the purchased rate.
        upright: Vertical lines, such as a threshold.
        x_title: Unit along the bottom.
        y_title: Unit along the left.
        legend: Series and their names; empty for a single one.
        chooses: The gallery whose scores a range of it chooses; empty for none.
        ends: Between which values it is drawn, where it chooses.
        bins: Into how many bins.
    """

    title: str
    says: str
    bars: tuple[Bar, ...]
    x_labels: tuple[Label, ...]
    y_labels: tuple[Label, ...]
    across: tuple[Mark, ...] = ()
    upright: tuple[Mark, ...] = ()
    x_title: str = ""
    y_title: str = ""
    legend: tuple[tuple[Series, str], ...] = ()
    chooses: str = ""
    ends: tuple[float, float] = (0.0, 1.0)
    bins: int = 0
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


def rate_chart(steps: Sequence[Step], tier: float | None) -> Chart | None:
    """Calls a second over time, the denied ones on top; None when no call was made."""
    if not steps or not any(step.attempts for step in steps):
        return None
    peak = max(step.granted_rate + step.denied_rate for step in steps)
    scale = _Scale(max(peak, tier or 0.0))
    wide = _inner() / len(steps)
    bars = []
    for place, step in enumerate(steps):
        x = _LEFT + place * wide
        tip = (
            f"{step.start:%Y-%m-%d %H:%M:%S} UTC, {step.seconds:,} s: {step.attempts:,} calls, "
            f"{step.denied:,} denied"
        )
        bars += _stack(x, wide, scale, ((step.granted_rate, "main"), (step.denied_rate, "bad")), tip)
    denied = sum(step.denied for step in steps)
    calls = sum(step.attempts for step in steps)
    across = () if tier is None else (Mark(scale.y(tier), f"{tier:g} a second may be spent"),)
    legend: tuple[tuple[Series, str], ...] = (("main", "granted"), ("bad", "denied")) if denied else ()
    return Chart(
        "Calls a second over time",
        f"{calls:,} calls, {denied:,} of them denied; at most {peak:,.2f} a second in one step.",
        tuple(bars),
        tuple(_time_labels(steps, wide)),
        scale.labels(),
        across,
        x_title="UTC",
        y_title="calls a second",
        legend=legend,
    )


def histogram_chart(
    title: str,
    bins: Sequence[Bin],
    *,
    kind: Literal["ms", "score"],
    what: str,
    second: tuple[str, Sequence[Bin]] | None = None,
    first: str = "",
    marks: Sequence[tuple[float, str]] = (),
    chooses: str = "",
    x_title: str = "score",
) -> Chart | None:
    """A histogram; None when nothing was counted.

    Args:
        title: What it shows.
        bins: Neighbouring bins.
        kind: How the edges are meant. Bins of milliseconds are drawn equally wide, scores to scale.
        what: What is counted, such as `rows`.
        second: A part of the same counts, drawn in front, with its name.
        first: Name of the rest beside it.
        marks: Values at which a line stands, with its meaning.
        chooses: The gallery whose scores a range of it chooses; empty for none.
        x_title: What scores are called along the bottom.
    """
    total = sum(each.count for each in bins)
    if not total:
        return None
    height = LOW_HEIGHT if chooses else HEIGHT
    scale = _Scale(max(each.count for each in bins), height, whole=True)
    wide = _inner() / len(bins)
    bars = []
    for place, each in enumerate(bins):
        x = _LEFT + place * wide
        inside = second[1][place].count if second is not None else 0
        edges = f"{written(each.start, kind)} to {written(each.end, kind)}"
        tip = f"{edges}: {each.count:,} {what}"
        if second is not None:
            tip += f", {inside:,} {second[0]}"
        bars += (
            _stack(x, wide, scale, ((inside, "main"), (each.count - inside, "second")), tip)
            if (second is not None)
            else _stack(x, wide, scale, ((each.count, "main"),), tip)
        )
    span = bins[-1].end - bins[0].start
    upright = tuple(
        Mark(_LEFT + (value - bins[0].start) / span * _inner(), text)
        for value, text in marks
        if kind == "score" and bins[0].start <= value <= bins[-1].end
    )
    most = max(bins, key=lambda each: each.count)
    legend: tuple[tuple[Series, str], ...] = ()
    if second is not None:
        legend = (("main", second[0]), ("second", first))
    return Chart(
        title,
        f"{total:,} {what}; most of them between {written(most.start, kind)} and {written(most.end, kind)}.",
        tuple(bars),
        tuple(_edge_labels(bins, wide, kind)),
        scale.labels(),
        upright=upright,
        x_title=x_title if kind == "score" else "",
        y_title=what,
        legend=legend,
        chooses=chooses,
        ends=(bins[0].start, bins[-1].end),
        bins=len(bins),
        height=height,
        bottom=height - _BOTTOM,
    )


def _inner() -> float:
    return WIDTH - _LEFT - _RIGHT


class _Scale:
    """Values up the left side, from 0 to a round number above the highest; `whole` for whole numbers only."""

    def __init__(self, highest: float, height: int = HEIGHT, *, whole: bool = False) -> None:
        self._bottom = height - _BOTTOM
        raw = max(highest, 1e-9) / _Y_TICKS
        if whole:
            raw = max(1.0, raw)
        power = 10.0 ** math.floor(math.log10(raw))
        self._step = next(
            nice * power
            for nice in (1, 2, 2.5, 5, 10)
            if nice * power >= raw * (1 - 1e-9) and not (whole and nice * power % 1)
        )
        self._top = self._step * math.ceil(highest / self._step * (1 - 1e-9))

    def y(self, value: float) -> float:
        """Where a value is, pixels from the top."""
        return self._bottom - self.tall(value)

    def tall(self, value: float) -> float:
        """How tall a bar of this value is, pixels."""
        return value / self._top * (self._bottom - _TOP)

    def labels(self) -> tuple[Label, ...]:
        """A label at each step."""
        steps = round(self._top / self._step)
        return tuple(
            Label(self.y(place * self._step), f"{place * self._step:,.6g}") for place in range(steps + 1)
        )


def _stack(
    x: float, wide: float, scale: _Scale, values: Sequence[tuple[float, Series]], tip: str
) -> list[Bar]:
    gap = min(1.0, wide * 0.15)
    bars: list[Bar] = []
    below = 0.0
    for value, series in values:
        if value > 0:
            tall = scale.tall(value)
            y = scale.y(0) - below - tall
            bars.append(
                Bar(round(x + gap / 2, 2), round(y, 2), round(wide - gap, 2), round(tall, 2), series, tip)
            )
            below += tall
    return bars


def _time_labels(steps: Sequence[Step], wide: float) -> list[Label]:
    """Moments at even distances; days where a day or more passes between two of them."""
    every = max(1, math.ceil(len(steps) / _TIME_TICKS))
    apart = every * steps[0].seconds
    one_day = steps[0].start.date() == steps[-1].start.date()
    pattern = "%m-%d" if apart >= _DAY else "%H:%M:%S" if one_day and apart < 120 else "%H:%M"  # noqa: PLR2004 - seconds matter below two minutes
    if not one_day and apart < _DAY:
        pattern = "%m-%d %H:%M"
    return [
        Label(_LEFT + place * wide, f"{step.start:{pattern}}")
        for place, step in enumerate(steps)
        if place % every == 0
    ]


def _edge_labels(bins: Sequence[Bin], wide: float, kind: Literal["ms", "score"]) -> list[Label]:
    if kind == "score":
        return [Label(_LEFT + _inner() * tenth / 10, f"{tenth / 10:g}") for tenth in range(0, 11, 2)]
    every = max(1, math.ceil((len(bins) + 1) / _MOST_X_LABELS))
    edges = [each.start for each in bins] + [bins[-1].end]
    return [
        Label(_LEFT + place * wide, _brief_ms(edge)) for place, edge in enumerate(edges) if place % every == 0
    ]


def _brief_ms(value: float) -> str:
    return f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms"  # noqa: PLR2004 - a second
