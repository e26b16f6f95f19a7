"""`batchsearch usage`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.options import file_option
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place
from batchsearch.commands.shared.showing import columns_of_stdout, show_answer, tell
from batchsearch.errors import BatchsearchError, ConfigError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = """\b
Examples:
  batchsearch usage out/tonight
  batchsearch usage out/* --parquet usage.parquet
  batchsearch usage out/tonight --json | jq .totals.slots_used
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=str)
@STORE_CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the table.")
@file_option("--parquet", meaning="Write the lines to this Parquet file as well; an older one is replaced.")
def command(folders: tuple[str, ...], *, config: Path | None, as_json: bool, parquet: Path | None) -> None:
    """State what was spent and spared: call slots by day, instance and operation.

    Each DIR is the output folder (`output.dir`) of a job, or its address in an object store; of the folder of
    a dedup all its runs count. Ledgers are only read, also while a run is going on. A DIR that cannot be read
    is named on stderr, and the others are counted; the command fails when none could be. Days are UTC.
    """
    from batchsearch.redaction import redacted
    from batchsearch.tasks.usage.statement import read_usage, usage_as_json, usage_page

    unread: list[tuple[BatchsearchError, str]] = []
    named = list(dict.fromkeys(folders))
    with ExitStack() as stack:
        places = []
        for given in named:
            try:
                places.append(stack.enter_context(output_place(given, config, without_tables=True)))
            except BatchsearchError as error:
                unread.append((error, str(error)))
        found = read_usage([place.folder for place in places])
    for problem in found.unread:
        said = str(problem)
        for place in places:
            said = place.named(said)
        unread.append((problem, said))
    if len(unread) >= len(named) and not found.lines:
        kind = ConfigError if any(isinstance(each, ConfigError) for each, _ in unread) else OutputError
        raise kind("\n".join(said for _, said in unread))
    lines = found.lines
    for _, said in unread:
        tell(f"batchsearch: not counted: {redacted(said)}", to_stderr=True)
    if parquet is not None:
        from batchsearch.storage.parts.usage_table import write_usage

        write_usage(parquet, lines)
    if as_json:
        click.echo(usage_as_json(lines))
    else:
        show_answer(usage_page(lines, width=columns_of_stdout()))
