"""`batchsearch plan --workers`: what the options ask for, how they are read, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import click

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.plan.estimate import Plan
    from batchsearch.tasks.plan.seen_images import SeenImages
    from batchsearch.tasks.plan.worker_plan import WorkerPlan


_NOWHERE: Final = "output"
"""Where the output of a job would be that there is none of."""


@dataclass(frozen=True, slots=True)
class WorkersOnPaper:
    """What is asked; None stands for what nobody said.

    Attributes:
        workers: Worker cores to show.
        images: Numbers of images in place of the job's.
        instances: Numbers of instances that share the calls.
        tier: Calls per second of each.
        assume: Figures by those who know better, `NAME=VALUE`.
    """

    workers: tuple[int, ...]
    images: tuple[int, ...] | None
    instances: tuple[int, ...] | None
    tier: float | None
    assume: tuple[str, ...]

    @classmethod
    def asked(cls, config: Path | None, workers: tuple[int, ...] | None, **sizes: Any) -> Self | None:
        """What the options say; None without `--workers`.

        Raises:
            UsageError: They do not go together.
        """
        if workers is None:
            for name, value in sizes.items():
                if value:
                    raise click.UsageError(f"--{name} goes with --workers; add `--workers`")
            if config is None:
                raise click.UsageError(
                    "Missing argument 'CONFIG'; without a job file: `batchsearch plan --workers`"
                )
            return None
        asked = cls(workers=workers, **sizes)
        if config is not None and asked.images is None:
            for name, given in (("instances", asked.instances), ("tier", asked.tier)):
                if given:
                    raise click.UsageError(
                        f"--{name} goes with --images: a job's own rows go to the instances that it names; "
                        "add `--images`, or remove it"
                    )
        return asked

    def planned(self, settings: JobSettings | None, plans: Mapping[str, Plan]) -> WorkersPlanned:
        """What was asked, planned.

        Args:
            settings: The job; None on paper.
            plans: The plans of its runs, its own first.

        Raises:
            ConfigError: A figure that is assumed makes no sense, or the job's rows have no images.
        """
        from batchsearch.config.model import OutputSettings
        from batchsearch.service.facts import TIERS
        from batchsearch.storage.remote.rhythm import Rhythm
        from batchsearch.tasks.plan import worker_sizes
        from batchsearch.tasks.plan.measured_figures import figures_with

        figures = figures_with(self.assume)
        main = next(iter(plans.values()), None)
        dedup = settings is None or settings.dedup is not None
        lanes = () if main is None else main.instances or (main,)
        if lanes and self.images is None:
            loads = worker_sizes.loads_of_job(plans, figures, dedup=dedup)
            rates = {lane.pace.rate for lane in lanes}
        else:
            rate = self.tier or (lanes[0].pace.rate if lanes else float(max(TIERS)))
            rates = {rate}
            loads = worker_sizes.loads_of_sizes(
                self.images or worker_sizes.SIZES,
                self.instances or worker_sizes.INSTANCES,
                rate,
                figures,
                seen=None if main is None else main.seen,
                dedup=dedup,
            )
        workers = self.workers or worker_sizes.TRIED
        output = OutputSettings(dir=_NOWHERE) if settings is None else settings.output
        found = worker_sizes.plans_of(
            loads,
            figures,
            workers,
            rows_per_part=output.rows_per_part,
            rhythm=Rhythm.of(lease=output.lease_seconds, carry=output.carry_seconds),
        )
        return WorkersPlanned(found, figures, workers, rates, None if main is None else main.seen)


@dataclass(frozen=True, slots=True)
class WorkersPlanned:
    """What workers are worth.

    Attributes:
        plans: One for each kind of work and size.
        figures: What was reckoned with, by name.
        workers: Worker cores to show.
        rates: Calls per second of an instance, those that there are.
        seen: What was found of the job's own images.
    """

    plans: list[WorkerPlan]
    figures: dict[str, float]
    workers: tuple[int, ...]
    rates: set[float]
    seen: SeenImages | None

    def page(self) -> str:
        """For people."""
        from batchsearch.tasks.plan.worker_page import worker_page

        return worker_page(self.plans, self.figures, self.workers, rates=self.rates, seen=self.seen)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they go into JSON."""
        from batchsearch.tasks.plan.measured_figures import FIGURES

        return {
            "figures": [
                {
                    "name": name,
                    "value": value,
                    "unit": FIGURES[name].unit,
                    "what": FIGURES[name].what,
                    "measured_by": (FIGURES[name].command or None) if value == FIGURES[name].value else None,
                }
                for name, value in self.figures.items()
            ],
            "seen": None if self.seen is None else self.seen.as_dict(),
            "plans": [plan.as_dict() for plan in self.plans],
        }


_TIMES: Final[Mapping[str, int]] = {"k": 10**3, "m": 10**6, "b": 10**9}
_MOST: Final = 10**13


class Counts(click.ParamType):  # type: ignore[type-arg] # only later versions of click take one
    """Whole numbers from 1, apart by commas; `k`, `M` and `B` stand for a thousand, a million, a billion."""

    name = "counts"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers, smallest first; empty for an option without any."""
        if not isinstance(value, str):
            return tuple(value)
        if not value:
            return ()
        return tuple(sorted({self._count(each.strip(), value, param, ctx) for each in value.split(",")}))

    def _count(self, text: str, whole: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        times = _TIMES.get(text[-1:].lower(), 1)
        number = text if times == 1 else text[:-1]
        try:
            value = float(number.replace("_", "")) * times
        except ValueError:
            value = math.nan
        if not (1 <= value <= _MOST and value == int(value)):
            self.fail(
                f"{whole[:40]!r}: write whole numbers from 1, apart by commas, such as `1,4,16` or "
                "`1M,100M`; a job file stands before the options",
                param,
                ctx,
            )
        return int(value)


COUNTS: Final = Counts()
