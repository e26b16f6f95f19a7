"""`batchsearch recover`."""

from __future__ import annotations

from pathlib import Path

import click

from batchsearch.commands.options import fail, hand_on
from batchsearch.errors import BatchsearchError

_EPILOG = """\b
Exit codes:
   0  recovered: run the job again, it goes on from there
   6  something is damaged and nothing was changed; it is named, with the ways on
  64  there is no such output folder
  75  a run is working there

\b
Examples:
  batchsearch recover out/tonight
  batchsearch recover out/tonight --without-damaged
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--without-damaged",
    is_flag=True,
    help="Give up files that are damaged: they are set aside, and the next run asks for their rows again.",
)
@click.option("--json", "only_json", is_flag=True, help="No page: the line of JSON alone.")
def command(folder: Path, *, without_damaged: bool, only_json: bool) -> None:
    """Make the ledger of the output folder DIR anew from its parts, so that nothing is paid for twice.

    For an output whose ledger is lost, damaged or an older copy. Every part is read from end to end; what an
    older ledger still says is taken over. Nothing is deleted: what has to make room is moved to `set-aside/`,
    the ledger that was there to `ledger/before-recovery/`. DIR may be the folder of a dedup job too.
    """
    try:
        from batchsearch.recovering.page import as_json, as_text
        from batchsearch.recovering.recovery import outputs_in, recover_folder

        done = [recover_folder(one, without_damaged=without_damaged) for one in outputs_in(folder)]
    except BatchsearchError as error:
        fail(error)
    if not only_json:
        click.echo(as_text(done), err=True)
    hand_on(as_json(done))
