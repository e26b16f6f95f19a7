"""`batchsearch compact`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from batchsearch.commands.shared.options import hand_on
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place

_EXAMPLES = """\b
Examples:
  batchsearch compact out/tonight
  batchsearch compact out/tonight --rows 1000000
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=str)
@STORE_CONFIG
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    help="Rows that make a part, at least; the last one may have fewer.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the line.")
def command(folder: str, *, config: Path | None, rows: int, as_json: bool) -> None:
    """Merge the small parts of the output folder DIR into large ones.

    Readers find the old parts or the new ones, never both and never neither. Running the job again goes on
    as before. Needs room for a second copy of what is merged. DIR may be the folder of a dedup: then the
    parts of each of its runs are merged; or the address of an output in an object store.
    """
    from dataclasses import asdict

    from batchsearch.engine.job.job_of_output import job_of
    from batchsearch.storage.output_layout import runs_in
    from batchsearch.storage.stores.address import is_store_url
    from batchsearch.tasks.compact.compacting import compact_all, compact_in_store
    from batchsearch.telemetry.logs import configure

    # Warnings go to stderr; without this events would stand before the line that a program reads.
    configure("console", "warning")
    if is_store_url(folder):
        with output_place(folder, config, without_tables=True) as found:
            jobs = {
                found.named(str(place)): job_of(place, address=found.named(str(place)))
                for place in runs_in(found.folder)
            }
        done = {place: compact_in_store(job.settings, rows=rows) for place, job in jobs.items()}
    else:
        done = {str(place): each for place, each in compact_all(Path(folder), rows=rows).items()}
    if as_json:
        told = {place: asdict(each) for place, each in done.items()}
        hand_on(json.dumps(told.get(str(Path(folder))) or told.get(folder) or {"runs": told}))
        return
    for place, each in done.items():
        said = f"{each.before:,} parts are now {each.after:,}"
        if each.before == each.after:
            said = "nothing to merge"
        if each.renewed:
            said += f", {each.renewed:,} renewed outcomes of an interrupted run have taken their place"
        hand_on(f"{place}: {said}, with {each.rows:,} rows of results and {each.hits:,} of hits")
