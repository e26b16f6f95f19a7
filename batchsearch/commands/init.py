"""`batchsearch init`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.options import SET, file_option, hand_on
from batchsearch.commands.shared.showing import show
from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from batchsearch.tasks.init.guess_records import Kind
    from batchsearch.tasks.init.starting import Started

_EXAMPLES = """\b
Examples:
  batchsearch init catalogue.csv
  batchsearch init catalogue.parquet --kind dedup -o nightly.yaml
  batchsearch init images/
  batchsearch init products_export.csv --yes --set images.root=photos
  batchsearch init pairs.csv --kind compare --region ap-southeast-1 --name shop --qps 5
"""


@click.command(epilog=_EXAMPLES)
@click.argument("manifest", required=False, type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["search", "compare", "dedup"]),
    help="What the job is to do.  [default: by the manifest's columns, search or compare]",
)
@file_option(
    "-o",
    "--output",
    "file",
    meaning="Where to write the job file; never over one that is there.  [default: KIND.yaml]",
)
@click.option("--region", help="Region of a purchased instance.  [default: the embedded instance]")
@click.option("--name", help="Name of the instance.")
@click.option("--qps", type=click.FloatRange(min=0, min_open=True), help="Queries per second bought.")
@SET
@click.option("--yes", is_flag=True, help="Write the file without asking, as is done without a terminal.")
def command(
    *,
    manifest: Path | None,
    kind: Kind | None,
    file: Path | None,
    region: str | None,
    name: str | None,
    qps: float | None,
    overrides: tuple[str, ...],
    yes: bool,
) -> None:
    """Write a commented job file after looking at the columns of MANIFEST.

    MANIFEST is a table (CSV, Parquet, JSON Lines, Arrow, Excel, a product feed), a folder of them, a list of
    paths or addresses, or a folder of images. The exports of the usual shops are known. Which columns have
    the images, what names a product, where files lie: all is guessed from names, checked against the values,
    told on stderr, and yours to change. Without MANIFEST the file is a form to fill in. The file's name is
    printed on stdout; where something has to be mended first, the exit code is 65.
    """
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    try:
        from batchsearch.tasks.init.starting import NotWrittenError, start

        started = start(
            manifest,
            kind,
            file,
            region=region,
            name=name,
            qps=qps,
            overrides=overrides,
            agreed=_agreed if asks else lambda _: True,
        )
    except NotWrittenError:
        click.echo("nothing was written", err=True)
        return
    if not asks:
        show(started.as_text())
    hand_on(str(started.file))
    if not started.is_ready:
        sys.exit(int(ExitCode.BAD_MANIFEST))


def _agreed(started: Started) -> bool:
    show(started.as_text())
    return click.confirm(f"Write {started.file}?", default=True, err=True)
