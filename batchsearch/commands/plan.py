"""`batchsearch plan`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from batchsearch.commands.shared.options import DASK, RENEW, SET, laid_over, load
from batchsearch.commands.shared.showing import show_answer
from batchsearch.commands.shared.workers_on_paper import COUNTS, WorkersOnPaper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.plan.estimate import Plan

_MAIN: Final = "search"
_EXAMPLES = """\b
Examples:
  batchsearch plan nightly.yaml
  batchsearch plan nightly.yaml --sample 2000
  batchsearch plan nightly.yaml --json --set instance.qps=5 | jq .nights
  batchsearch plan nightly.yaml --sample 2000 --workers 4,16
  batchsearch plan --workers --images 1M,100M --instances 1,10
"""


@click.command(epilog=_EXAMPLES)
@click.argument("config", required=False, type=click.Path(path_type=Path, dir_okay=False))
@SET
@RENEW
@DASK
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the page.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Prepare only N rows, spread evenly over those to do, and scale up.",
)
@click.option(
    "--workers",
    is_flag=False,
    flag_value="",
    type=COUNTS,
    metavar="[N,…]",
    help="Also say what so many worker cores of a cluster are worth: hours, what limits, bytes, requests.",
)
@click.option(
    "--images",
    type=COUNTS,
    metavar="N,…",
    help="With --workers: for so many images (`1M,100M`) in place of the job's; needs no job file.",
)
@click.option(
    "--instances", type=COUNTS, metavar="N,…", help="With --images: so many instances share the calls."
)
@click.option(
    "--tier",
    type=click.FloatRange(min=0, min_open=True),
    metavar="QPS",
    help="With --images: calls per second of each; the job's first instance's, else 10.",
)
@click.option(
    "--assume",
    multiple=True,
    metavar="NAME=VALUE",
    help="With --workers: another figure than the measured or assumed one, `image_mb=0.2`. May be repeated.",
)
def command(
    config: Path | None,
    *,
    overrides: tuple[str, ...],
    renew: bool,
    dask: str | None,
    as_json: bool,
    sample: int | None,
    workers: tuple[int, ...] | None,
    **sizes: Any,
) -> None:
    """Say what the job file CONFIG would take: calls, hours, nights, bytes and money.

    For a job with a `dedup` section these are the runs of a night: the search, and the upkeep that
    `dedup.sync` names, a page each; as JSON the search's plan, with the others under `sync`.

    No call is made and nothing is written; a run that is going on is not disturbed. Every row is prepared
    as a run would: files are read and images with an address are fetched from there, so it takes a while
    for a large manifest. With --sample the counts are estimates, and the page says so.

    With --workers it also says how many worker cores of a Dask cluster are worth having. The job's own
    images tell what one costs; without CONFIG it is a plan on paper, for --images that nobody has yet.
    """
    on_paper = WorkersOnPaper.asked(config, workers, **sizes)
    of_job = {"--set": overrides, "--renew": renew, "--dask": dask, "--sample": sample}
    for name, given in of_job.items():
        if given and config is None:
            raise click.UsageError(f"{name} is about a job: name its file before the options")
    plans: dict[str, Plan] = {}
    settings = None
    if config is not None:
        settings, plans = _planned(config, laid_over(overrides, renew=renew, dask=dask), sample)
    sized = None if on_paper is None else on_paper.planned(settings, plans)
    if not as_json:
        from batchsearch.service.codes.lookup import advice_on
        from batchsearch.tasks.plan.plan_page import plan_page

        pages = [plan_page(plan, advice=advice_on) for plan in plans.values()]
        show_answer("\n\n".join([*pages, *([] if sized is None else [sized.page()])]))
        return
    values: dict[str, Any] = {} if sized is None else {"workers": sized.as_dict()}
    if plans:
        main, *others = plans.items()
        values = main[1].as_dict() | values
        if others:
            values["sync"] = {name: plan.as_dict() for name, plan in others}
    click.echo(json.dumps(values, ensure_ascii=False, indent=2))


def _planned(
    config: Path, overrides: tuple[str, ...], sample: int | None
) -> tuple[JobSettings, dict[str, Plan]]:
    """The job, and the plan of each of its runs, its own first."""
    job = load(config, overrides)
    import asyncio

    from batchsearch.images.workshop import workers_held
    from batchsearch.tasks.plan.planning import plan_job
    from batchsearch.telemetry.logs import configure
    from batchsearch.telemetry.progress import progress_for, shown

    configure("console", "warning")
    with shown(progress_for()), workers_held(job.settings.workers), _runs_of(job.settings) as runs:
        found = {name: asyncio.run(plan_job(settings, sample=sample)) for name, settings in runs.items()}
    main = found.pop(_MAIN)
    return job.settings, {_MAIN: main, **found}


def _runs_of(settings: JobSettings) -> AbstractContextManager[dict[str, JobSettings]]:
    """The runs that a job is made of, by name: one, or those of a night of dedup."""
    if settings.dedup is not None:
        from batchsearch.tasks.dedup.night_plan import night_to_plan

        return night_to_plan(settings)
    return _one_run(settings)


@contextmanager
def _one_run(settings: JobSettings) -> Iterator[dict[str, JobSettings]]:
    from batchsearch.tasks.compare.expansion import job_to_plan

    with job_to_plan(settings) as to_plan:
        yield {_MAIN: to_plan}
