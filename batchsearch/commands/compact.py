"""`batchsearch compact`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batchsearch.commands.options import fail, hand_on
from batchsearch.errors import BatchsearchError

_EXAMPLES = """\b
Examples:
  batchsearch compact out/tonight
  batchsearch compact out/tonight --rows 1000000
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    help="Rows that make a part, at least; the last one may have fewer.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the line.")
def command(folder: Path, *, rows: int, as_json: bool) -> None:
    """Merge the small parts of the output folder DIR into large ones.

    Readers find the old parts or the new ones, never both and never neither. Running the job again goes on
    as before. Needs room for a second copy of what is merged.
    """
    try:
        from dataclasses import asdict

        from batchsearch.engine.compacting import compact

        done = compact(folder, rows=rows)
    except BatchsearchError as error:
        fail(error)
    if as_json:
        hand_on(json.dumps(asdict(done)))
        return
    said = (
        "nothing to merge" if done.before == done.after else f"{done.before:,} parts are now {done.after:,}"
    )
    if done.renewed:
        said += f", {done.renewed:,} renewed outcomes of an interrupted run have taken their place"
    hand_on(f"{folder}: {said}, with {done.rows:,} rows of results and {done.hits:,} of hits")
