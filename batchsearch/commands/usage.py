"""`batchsearch usage`."""

from __future__ import annotations

from pathlib import Path

import click

from batchsearch.commands.options import fail
from batchsearch.errors import BatchsearchError

_EXAMPLES = """\b
Examples:
  batchsearch usage out/tonight
  batchsearch usage out/* --parquet usage.parquet
  batchsearch usage out/tonight --json | jq .totals.slots_used
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the table.")
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the lines to this Parquet file as well; an older one is replaced.",
)
def command(folders: tuple[Path, ...], *, as_json: bool, parquet: Path | None) -> None:
    """State what was spent and spared: call slots by day, instance and operation.

    Each DIR is the output folder (`output.dir`) of a job. Its ledger is only read, also while a run is
    going on. Days are UTC.
    """
    try:
        from batchsearch.reporting.usage_statement import read_usage, usage_as_json, usage_page

        lines = read_usage(folders)
        if parquet is not None:
            from batchsearch.output.usage_table import write_usage

            write_usage(parquet, lines)
    except BatchsearchError as error:
        fail(error)
    click.echo(usage_as_json(lines) if as_json else usage_page(lines))
