"""`batchsearch compact`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batchsearch.commands.shared.options import fail, hand_on
from batchsearch.errors import BatchsearchError

_EXAMPLES = """\b
Examples:
  batchsearch compact out/tonight
  batchsearch compact out/tonight --rows 1000000
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
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
    as before. Needs room for a second copy of what is merged. DIR may be the folder of a dedup: then the
    parts of each of its runs are merged.
    """
    try:
        from dataclasses import asdict

        from batchsearch.tasks.compact.compacting import compact_all

        done = compact_all(folder, rows=rows)
    except BatchsearchError as error:
        fail(error)
    if as_json:
        told = {str(place): asdict(each) for place, each in done.items()}
        hand_on(json.dumps(told.get(str(folder)) or {"runs": told}))
        return
    for place, each in done.items():
        said = f"{each.before:,} parts are now {each.after:,}"
        if each.before == each.after:
            said = "nothing to merge"
        if each.renewed:
            said += f", {each.renewed:,} renewed outcomes of an interrupted run have taken their place"
        hand_on(f"{place}: {said}, with {each.rows:,} rows of results and {each.hits:,} of hits")
