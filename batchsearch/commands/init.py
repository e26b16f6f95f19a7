"""`batchsearch init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch.commands.options import fail, hand_on
from batchsearch.errors import BatchsearchError

if TYPE_CHECKING:
    from batchsearch.starting.guesses import Kind

_EXAMPLES = """\b
Examples:
  batchsearch init catalogue.csv
  batchsearch init catalogue.parquet --kind dedup -o nightly.yaml
  batchsearch init pairs.csv --kind compare --region ap-southeast-1 --name shop --qps 5
"""


@click.command(epilog=_EXAMPLES)
@click.argument("manifest", required=False, type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["search", "compare", "dedup"]),
    help="What the job is to do.  [default: by the manifest's columns, search or compare]",
)
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the job file; never over one that is there.  [default: KIND.yaml]",
)
@click.option("--region", help="Region of a purchased instance.  [default: the embedded instance]")
@click.option("--name", help="Name of the instance.")
@click.option("--qps", type=click.FloatRange(min=0, min_open=True), help="Queries per second bought.")
def command(
    *,
    manifest: Path | None,
    kind: Kind | None,
    file: Path | None,
    region: str | None,
    name: str | None,
    qps: float | None,
) -> None:
    """Write a commented job file after looking at the columns of MANIFEST.

    MANIFEST is a CSV or Parquet file, or a folder of them. Which column has the pictures, what names a row,
    where picture files lie: all is guessed from names and values, told on stderr, and yours to change.
    Without MANIFEST the file is a form to fill in. The file's name is printed on stdout.
    """
    try:
        from batchsearch.starting.starting import start

        started = start(manifest, kind, file, region=region, name=name, qps=qps)
    except BatchsearchError as error:
        fail(error)
    click.echo(started.as_text(), err=True)
    hand_on(str(started.file))
