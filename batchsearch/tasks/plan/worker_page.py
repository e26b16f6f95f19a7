"""What workers are worth, for people."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Final

from batchsearch.tasks.plan.measured_figures import FIGURES
from batchsearch.tasks.plan.plan_page import hours_text, size_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from batchsearch.tasks.plan.seen_images import SeenImages
    from batchsearch.tasks.plan.worker_plan import WorkerPlan

_WORK: Final = 22
_CELL: Final = 12


def worker_page(
    plans: Sequence[WorkerPlan],
    figures: Mapping[str, float],
    workers: Sequence[int],
    *,
    rates: Collection[float],
    seen: SeenImages | None = None,
) -> str:
    """The page.

    Args:
        plans: What was found, plans of one size side by side.
        figures: What was reckoned with, by name.
        workers: Worker cores to show.
        rates: Calls per second of an instance, those that there are.
        seen: What was found of the job's own images.
    """
    head = "".join(f"{f'{count:,} core' + 's' * (count > 1):>{_CELL}}" for count in workers)
    lines = [
        "What workers are worth, on paper (no call was made, no cluster was asked)",
        "",
        *_reckoned(plans, figures, _rates(rates), seen),
        "",
        f"  {'':<{_WORK}}{head}  worth having",
    ]
    for images, of_size in groupby(plans, key=lambda plan: plan.load.images):
        found = list(of_size)
        lines.append(f"  {images:,} images")
        for plan in found:
            cells = "".join(f"{_cell(plan, count):>{_CELL}}" for count in workers)
            lines.append(f"    {_named(plan):<{_WORK - 2}}{cells}  {_worth(plan)}")
        lines += _moved(found)
    lines += [
        "",
        "  * more cores are worth having. What limits from there on: the calls by their rate, the store of",
        "  the images by its requests, the network by its lines, or the images by their CPU.",
        "  Figures that are assumed: --assume NAME=VALUE. All of them: --json.",
    ]
    return "\n".join(lines)


def _named(plan: WorkerPlan) -> str:
    count = len(plan.load.lanes)
    if not count:
        return plan.load.work
    return f"{plan.load.work}, {count:,} instance{'s' * (count > 1)}"


def _cell(plan: WorkerPlan, count: int) -> str:
    timing = next(each for each in plan.timings if each.workers == count)
    return hours_text(timing.hours, days=False) + ("*" if count < plan.worth_having else " ")


def _worth(plan: WorkerPlan) -> str:
    if plan.worth_having == 1:
        cores = "1 core"
    else:
        on = "one machine" if plan.machines == 1 else f"{plan.machines:,} machines"
        cores = f"{plan.worth_having:,} cores, {on}"
    hours = next(each.hours for each in plan.timings if each.workers == plan.worth_having)
    owners = f"; {plan.owners:,} owners" if plan.owners > 1 else ""
    return f"{cores}: {hours_text(hours, days=False)}, {plan.limit}{owners}"


def _moved(plans: Sequence[WorkerPlan]) -> list[str]:
    """Bytes and requests of a size: they hardly differ by the number of instances."""
    run = next((plan for plan in plans if plan.load.lanes), plans[0])
    traffic = run.traffic
    lines = [
        f"      CPU: {_core_time(sum(plan.load.core_hours for plan in _kinds(plans)))} of workers"
        + (f", {_core_time(run.load.owner_hours)} of owners" if run.load.lanes else ""),
        f"      bytes: {size_text(traffic.fetched)} fetched"
        + (
            f", {size_text(traffic.moved)} to owners, {size_text(traffic.sent)} sent, "
            f"{size_text(traffic.parts)} of tables, {size_text(traffic.ledger)} of ledger"
            if run.load.lanes
            else ""
        ),
    ]
    most = max((plan for plan in plans if plan.load.lanes), key=lambda plan: plan.traffic.writes, default=run)
    lines.append(
        f"      store: {traffic.reads:,} reads for each kind of work"
        + (
            f"; an output there takes up to {most.traffic.writes:,} requests and "
            f"{size_text(most.traffic.carried)}"
            if run.load.lanes
            else ""
        )
    )
    return lines


def _kinds(plans: Sequence[WorkerPlan]) -> list[WorkerPlan]:
    """One of each kind of work: however many instances call, images are prepared once."""
    return list({plan.load.work: plan for plan in plans}.values())


def _core_time(hours: float) -> str:
    days = hours / 24
    return f"{days:,.1f} core-days" if days >= 1 else f"{hours:,.1f} core-hours"


def _reckoned(
    plans: Sequence[WorkerPlan], figures: Mapping[str, float], rates: str, seen: SeenImages | None
) -> list[str]:
    load = plans[0].load
    if seen is not None and seen.images:
        share = f"{seen.repaired / seen.images:.0%} repaired, as {seen.images:,} of the job's own were here"
    else:
        share = f"{figures['repaired']:.0%} repaired"
    where = f"{figures['latency_ms']:g} ms until it begins to come" if load.remote else "from a folder"
    own = [name for name, value in figures.items() if FIGURES[name].value != value]
    said = f" (said: {', '.join(f'{name}={figures[name]:g}' for name in own)})" if own else ""
    return [
        f"  an image   {load.image_mb:.3g} MB, {where}; {share}",
        f"  CPU        {load.worker_ms:.3g} ms of a worker to check it and make it ready{said}",
        f"  instances  {rates}",
        f"  machines   {figures['cores']:g} cores and {figures['line_mbps']:,g} Mbit/s each",
    ]


def _rates(rates: Collection[float]) -> str:
    if any(map(math.isinf, rates)):
        return "embedded, as fast as the cores allow"
    return f"{' or '.join(f'{rate:g}' for rate in sorted(rates))} calls a second each"
