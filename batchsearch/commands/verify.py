"""`batchsearch verify`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from batchsearch.commands.shared.options import file_option, hand_on
from batchsearch.commands.shared.output_place import output_place
from batchsearch.commands.shared.showing import show, wants_json

_EPILOG = """\b
Exit codes:
   0  whole: every row of the manifest once, everything agrees
   3  something is wrong; each finding says what to do
   4  nothing is wrong, but rows are still to come or the manifest cannot be read
  64  there is no such output folder
  74  the folder cannot be looked at

\b
Examples:
  batchsearch verify out/tonight
  batchsearch verify out/tonight --manifest /backup/catalogue.parquet
  batchsearch verify out/tonight --json | jq .folders[0].found
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=str)
@click.option(
    "--manifest", type=click.Path(path_type=Path), help="The manifest, when it is not where the job has it."
)
@file_option(
    "--config",
    meaning="The job file, in place of what the ledger knows of the job; it says, too, how the object store "
    "is reached where DIR is an address.",
)
@click.option("--json", "only_json", is_flag=True, help="No page: the line of JSON alone.")
def command(folder: str, *, manifest: Path | None, config: Path | None, only_json: bool) -> None:
    """Verify the output folder DIR of a job: nothing lost, nothing doubled, nothing changed.

    Compares every row of the sealed parts, the ledger and the manifest, every hit with its row, every file
    with its checksum; pairs, clusters and scores with the record of what was written. Nothing is changed,
    and a run may go on meanwhile. DIR may be the folder of a dedup job too, or the address of an output in an
    object store, which is brought down meanwhile. A page for people goes to stderr;
    the last line of stdout is JSON, with --json or where it is no terminal.
    """
    from batchsearch.tasks.verify.folder_check import verify_folders
    from batchsearch.tasks.verify.verify_page import VerifyPage

    with output_place(folder, config) as place:
        page = VerifyPage(verify_folders(place.folder, manifest=manifest, config=config))
    if not only_json:
        show(place.named(page.as_text()), int(page.verdict))
    if wants_json(asked=only_json):
        hand_on(place.named(page.as_json()))
    sys.exit(int(page.verdict))
