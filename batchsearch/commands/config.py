"""`batchsearch config`: look at job files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.options import CONFIG, SET, load

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
    job = load(config, overrides)
    from batchsearch.config.show import render_resolved

    click.echo(render_resolved(job))


_EXPLAIN_EXAMPLES = """\b
Examples:
  batchsearch config explain
  batchsearch config explain dedup
  batchsearch config explain instance.qps
  batchsearch config explain parameters.filter
"""


@command.command("explain", short_help="Say what a setting means.", epilog=_EXPLAIN_EXAMPLES)
@click.argument("setting", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line in place of the page.")
def config_explain(setting: str | None, *, as_json: bool) -> None:
    """Say what a SETTING means, what it takes, its default, and where it may stand.

    SETTING is a path such as `instance.qps`, a name alone, a section, or a parameter of the operation
    (`parameters.num`). Without it, all sections are listed.
    """
    import json
    import shutil

    from batchsearch.config.setting_help import as_text, meaning_of, sections

    found = sections() if setting is None else meaning_of(setting)
    if as_json:
        for each in found:
            click.echo(json.dumps(each.as_dict(), ensure_ascii=False))
    else:
        click.echo(as_text(found, shutil.get_terminal_size((80, 24)).columns))


@command.command("schema", short_help="Print a JSON Schema of job files, for editors.")
def config_schema() -> None:
    """Print the JSON Schema of job files, for editors only: they complete and check by it.

    For people there is `batchsearch config explain`.
    """
    import json
    import sys

    from batchsearch.config.load import job_schema

    click.echo(json.dumps(job_schema(), indent=2))
    if sys.stdout.isatty():
        click.echo("batchsearch: this is for editors; to read: batchsearch config explain", err=True)
