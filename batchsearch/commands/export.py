"""`batchsearch export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.options import hand_on
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place
from batchsearch.commands.shared.showing import tell

if TYPE_CHECKING:
    from batchsearch.tasks.export.exporting import Exported, FormatName

_TABLES = ("clusters", "pairs", "products", "results", "hits", "scores")
_SEPARATORS = {",": ",", ";": ";", "tab": "\t"}
_MOST_HITS = 20

_EPILOG = """\b
Tables:
  clusters   of a dedup: each product found more than once, cluster by cluster
  pairs      of a dedup: each two products found alike, with verdict and reason
  products   of a dedup: each product of the manifest, and what it duplicates
  results    each row of the manifest, with its outcome and its first hits
  hits       of a search: each hit, with the row that it was found for
  scores     of a comparison: each pair with its score
The first that an output has is exported when none is named.

\b
Examples:
  batchsearch export out/dedup --xlsx
  batchsearch export out/dedup --table products -o products.csv
  batchsearch export out/tonight --table hits --parquet -o hits.parquet
  batchsearch export out/tonight -o - | head
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="DIR", type=str)
@STORE_CONFIG
@click.option("--csv", "form", flag_value="csv", help="CSV, in UTF-8 with a mark for Excel; the default.")
@click.option("--xlsx", "form", flag_value="xlsx", help="A spreadsheet (extra `xlsx`).")
@click.option("--parquet", "form", flag_value="parquet", help="One Parquet file, with types.")
@click.option("--table", type=click.Choice(_TABLES), help="Which table.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where it goes; DIR/export/TABLE.FORM when not given, TABLE.FORM in this folder when DIR is an "
    "address; - is stdout. The end of its name says the form, too.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--all-columns", "everything", is_flag=True, help="Also the columns that are for machines.")
@click.option(
    "--hits",
    type=click.IntRange(0, _MOST_HITS),
    default=3,
    show_default=True,
    help="First hits beside each row of `results`.",
)
@click.option(
    "--separator",
    type=click.Choice(list(_SEPARATORS)),
    default=",",
    show_default=True,
    help="Between cells of CSV; Excel in much of Europe wants `;`.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the line.")
def command(
    folder: str,
    *,
    config: Path | None,
    form: FormatName | None,
    table: str | None,
    output: Path | None,
    force: bool,
    everything: bool,
    hits: int,
    separator: str,
    as_json: bool,
) -> None:
    """Write a table of the output folder DIR as one file that opens in a spreadsheet.

    DIR is the output folder of a run, of `batchsearch compare` or of `batchsearch dedup`, or the address of
    an output in an object store. The manifest's own columns stand beside what was found. Nothing in a cell
    can run as a formula. The output is only read, once it is known to be whole; the file appears whole or not
    at all, and replaces none that is there.
    """
    from batchsearch.tasks.export.exporting import ExportOptions, export
    from batchsearch.telemetry.progress import progress_for, shown

    # A bar among the lines of a table on the same terminal would be in their way.
    with output_place(folder, config) as found, shown(progress_for(wanted=str(output) != "-")):
        options = ExportOptions(
            table=table,
            form=form,
            file=output,
            place=Path() if found.is_address else None,
            force=force,
            everything=everything,
            hits=hits,
            separator=_SEPARATORS[separator],
        )
        made = export(found.folder, options)
    for note in made.notes:
        tell(f"batchsearch: {note}", to_stderr=True)
    _tell(made, as_json=as_json)


def _tell(made: Exported, *, as_json: bool) -> None:
    to_stdout = made.path is None
    if as_json:
        click.echo(json.dumps(made.as_dict(), ensure_ascii=False), err=to_stdout)
    elif not to_stdout:
        size = f"{made.rows:,} rows, {made.columns} columns, {made.bytes / 1e6:,.1f} MB"
        hand_on(f"{made.path} ({made.table}: {size})")
