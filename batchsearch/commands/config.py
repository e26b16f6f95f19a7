"""`batchsearch config`: look at job files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.options import CONFIG, SET, fail, load
from batchsearch.errors import BatchsearchError

if TYPE_CHECKING:
    from pathlib import Path


@click.group()
def command() -> None:
    """Look at job files."""


_EXAMPLES = """\b
Examples:
  batchsearch config check nightly.yaml
  batchsearch config check nightly.yaml --set instance.qps=5
"""


@command.command("check", short_help="Check a job file, show every setting.", epilog=_EXAMPLES)
@CONFIG
@SET
def config_check(config: Path, overrides: tuple[str, ...]) -> None:
    """Check the job file CONFIG and print every setting with where it comes from.

    All problems are reported at once. No call is made and no manifest is read.
    """
    try:
        job = load(config, overrides)
        from batchsearch.config.show import render_resolved

        click.echo(render_resolved(job))
    except BatchsearchError as error:
        fail(error)


@command.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    import json

    from batchsearch.config.load import job_schema

    click.echo(json.dumps(job_schema(), indent=2))
