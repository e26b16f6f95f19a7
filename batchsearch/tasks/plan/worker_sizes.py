"""Which sizes are planned for workers: those that somebody names, or a job's own (pure)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from batchsearch.errors import ConfigError
from batchsearch.tasks.plan.worker_plan import plan_workers
from batchsearch.tasks.plan.workloads import loads_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.storage.remote.rhythm import Rhythm
    from batchsearch.tasks.plan.estimate import Plan
    from batchsearch.tasks.plan.seen_images import SeenImages
    from batchsearch.tasks.plan.worker_plan import WorkerPlan
    from batchsearch.tasks.plan.workloads import Workload

TRIED: Final = (1, 4, 16, 64)
"""Worker cores that are shown where nobody says how many."""

SIZES: Final = (1_000_000, 100_000_000, 1_000_000_000)
INSTANCES: Final = (1, 10, 100)
"""Images and instances that are planned where nobody says how many."""


def loads_of_sizes(
    sizes: Sequence[int],
    instances: Sequence[int],
    rate: float,
    figures: Mapping[str, float],
    *,
    seen: SeenImages | None = None,
    dedup: bool = True,
) -> list[Workload]:
    """The work on each number of images: each kind of it once, its calls for each number of instances.

    Args:
        sizes: Numbers of images.
        instances: Numbers of instances, which share the images evenly.
        rate: Calls per second of each.
        figures: By name; see `measured_figures`.
        seen: What was found of a job's own images.
        dedup: The images are compared as well.
    """
    remote = seen is None or bool(seen.remote) or not seen.images
    found: list[Workload] = []
    for images in sizes:
        of_size = [
            loads_of(images, [rate] * count, figures, seen=seen, remote=remote, dedup=dedup)
            for count in instances
        ]
        check, _, *rest = of_size[0]
        found += [check, *(run for _, run, *_ in of_size), *rest]
    return found


def loads_of_job(plans: Mapping[str, Plan], figures: Mapping[str, float], *, dedup: bool) -> list[Workload]:
    """The work that a job's rows are.

    Args:
        plans: By name; the first is the job's own, others are the upkeep of a night of dedup.
        figures: By name; see `measured_figures`.
        dedup: Its images are compared as well.

    Raises:
        ConfigError: Its rows have no image that could be looked at.
    """
    found: list[Workload] = []
    for name, plan in plans.items():
        seen = plan.seen
        if seen is None or not seen.images:
            continue
        images = round(seen.images * plan.to_do / plan.looked_at)
        lanes = plan.instances or (plan,)
        check, run, *rest = loads_of(
            images,
            [lane.pace.rate for lane in lanes],
            figures,
            calls=[lane.calls for lane in lanes],
            seen=seen,
            remote=bool(seen.remote),
            dedup=dedup and not found,
        )
        if found:
            found.append(replace(run, work=name))
        else:
            found += [check, run, *rest]
    if not found:
        raise ConfigError(
            "--workers: no row that is to be done has an image that may be sent; "
            "workers would have nothing to prepare"
        )
    return found


def plans_of(
    loads: Sequence[Workload],
    figures: Mapping[str, float],
    workers: Sequence[int],
    *,
    rows_per_part: int,
    rhythm: Rhythm,
) -> list[WorkerPlan]:
    """A plan for each."""
    return [
        plan_workers(load, figures, workers, rows_per_part=rows_per_part, rhythm=rhythm) for load in loads
    ]
