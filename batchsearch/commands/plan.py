"""`batchsearch plan`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from batchsearch.commands.shared.options import CONFIG, DASK, RENEW, SET, fail, laid_over, load
from batchsearch.commands.shared.showing import show_answer
from batchsearch.errors import BatchsearchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from batchsearch.config.model import JobSettings

_MAIN: Final = "search"
_EXAMPLES = """\b
Examples:
  batchsearch plan nightly.yaml
  batchsearch plan nightly.yaml --sample 2000
  batchsearch plan nightly.yaml --json --set instance.qps=5 | jq .nights
"""


@click.command(epilog=_EXAMPLES)
@CONFIG
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
def command(
    config: Path,
    *,
    overrides: tuple[str, ...],
    renew: bool,
    dask: str | None,
    as_json: bool,
    sample: int | None,
) -> None:
    """Say what the job file CONFIG would take: calls, hours, nights, bytes and money.

    For a job with a `dedup` section these are the runs of a night: the search, and the upkeep that
    `dedup.sync` names, a page each; as JSON the search's plan, with the others under `sync`.

    No call is made and nothing is written; a run that is going on is not disturbed. Every row is prepared
    as a run would: files are read and images with an address are fetched from there, so it takes a while
    for a large manifest. With --sample the counts are estimates, and the page says so.
    """
    try:
        job = load(config, laid_over(overrides, renew=renew, dask=dask))
        import asyncio

        from batchsearch.service.codes.lookup import advice_on
        from batchsearch.tasks.plan.plan_page import plan_page
        from batchsearch.tasks.plan.planning import plan_job
        from batchsearch.telemetry.progress import progress_for, shown

        with shown(progress_for()), _runs_of(job.settings) as runs:
            found = {name: asyncio.run(plan_job(settings, sample=sample)) for name, settings in runs.items()}
    except BatchsearchError as error:
        fail(error)
    if not as_json:
        show_answer("\n\n".join(plan_page(plan, advice=advice_on) for plan in found.values()))
        return
    page = found.pop(_MAIN).as_dict()
    if found:
        page["sync"] = {name: plan.as_dict() for name, plan in found.items()}
    click.echo(json.dumps(page, ensure_ascii=False, indent=2))


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
