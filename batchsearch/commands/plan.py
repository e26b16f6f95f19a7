"""`batchsearch plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.options import CONFIG, SET, fail, load
from batchsearch.errors import BatchsearchError

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = """\b
Examples:
  batchsearch plan nightly.yaml
  batchsearch plan nightly.yaml --sample 2000
  batchsearch plan nightly.yaml --json --set instance.qps=5 | jq .nights
"""


@click.command(epilog=_EXAMPLES)
@CONFIG
@SET
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the page.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Prepare only N rows, spread evenly over those to do, and scale up.",
)
def command(config: Path, *, overrides: tuple[str, ...], as_json: bool, sample: int | None) -> None:
    """Say what the job file CONFIG would take: calls, hours, nights, bytes and money.

    No call is made and nothing is written; a run that is going on is not disturbed. Every row is prepared
    as a run would: files are read and pictures with an address are fetched from there, so it takes a while
    for a large manifest. With --sample the counts are estimates, and the page says so.
    """
    try:
        job = load(config, overrides)
        import asyncio

        from batchsearch.compare.expansion import job_to_plan
        from batchsearch.engine.codes import advice_on
        from batchsearch.engine.planning import plan_job
        from batchsearch.reporting.plan_page import plan_page
        from batchsearch.reporting.row_counter import RowCounter

        with RowCounter() as counter, job_to_plan(job.settings) as settings:
            found = asyncio.run(plan_job(settings, sample=sample, counter=counter))
    except BatchsearchError as error:
        fail(error)
    click.echo(found.as_json() if as_json else plan_page(found, advice=advice_on))
