"""`batchsearch retry`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import run_options, run_to_exit, terminal_options
from batchsearch.commands.shared.options import DASK, SET, file_option, laid_over
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place
from batchsearch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.engine.job.run_options import RunOptions
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch retry out/tonight --origin transport
  batchsearch retry out/tonight --codes 'PictureError,InternalError*'
  batchsearch retry out/tonight --failed --max-calls 1000
  batchsearch retry out/tonight --rows 4711 --rows 4712
  batchsearch retry out/tonight --rows-from keys.txt
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=str)
@STORE_CONFIG
@click.option(
    "--codes",
    metavar="A,B",
    default="",
    help="Rows that failed with these codes; `*` stands for anything, as in `Transport.*`.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    type=click.Choice(["local", "api", "transport"]),
    help="Rows that were refused before a call, by the service, or lost on the way. May be repeated.",
)
@click.option("--failed", is_flag=True, help="Every failed row.")
@click.option(
    "--rows",
    "keys",
    metavar="KEY",
    multiple=True,
    help="The row with this `row_key`, good or failed. May be repeated.",
)
@file_option(
    "--rows-from",
    "keys_file",
    meaning="Rows with the keys in this file, one a line; `-` is stdin.",
    allow_dash=True,
)
@click.option(
    "--where",
    metavar="EXPR",
    help='Only rows whose cells meet conditions, as `manifest.where` has them: \'brand = "Acme" AND price > '
    "10'. Alone: all of them, good or failed.",
)
@SET
@DASK
@run_options()
@terminal_options
def command(
    folder: str,
    *,
    config: Path | None,
    codes: str,
    origins: tuple[str, ...],
    failed: bool,
    keys: tuple[str, ...],
    keys_file: Path | None,
    where: str | None,
    overrides: tuple[str, ...],
    dask: str | None,
    options: RunOptions,
    terminal: TerminalOptions,
) -> None:
    """Ask again for failed rows of the job whose output folder is DIR, or for the rows that you name.

    No other rows are worked on. The job's settings are those of its latest run. A new outcome takes the place
    of the one before, which is kept in `history/`. Of the folder of a dedup it is the search; run
    `batchsearch dedup` again to have pairs and clusters follow, and `compare` for the scores of a comparison.
    DIR may be the address of an output in an object store.

    A page on stderr says how it ended. With --json, and where stdout is no terminal, its last line is a JSON
    summary.
    """

    def work() -> Summary:
        from batchsearch.engine.job.job_of_output import job_of
        from batchsearch.engine.renewal.row_selector import RowSelector
        from batchsearch.engine.run.job import run_to_end
        from batchsearch.tasks.lanes.whole_run import run_whole

        chosen = RowSelector(
            tuple(filter(None, map(str.strip, codes.split(",")))),
            origins,
            failed=failed,
            rows=(*keys, *_keys_in(keys_file)),
            where=where,
        )
        if chosen == RowSelector():
            raise ConfigError(
                "say which rows are to be asked for again: --codes, --origin, --failed, --rows, "
                "--rows-from or --where"
            )
        with output_place(folder, config, without_tables=True) as place:
            address = place.given if place.is_address else None
            job = job_of(place.folder, address=address, overrides=laid_over(overrides, dask=dask))
        return run_to_end(
            job,
            terminal,
            replace(options, chosen=chosen),
            working=run_whole,
        )

    run_to_exit(work, terminal)


def _keys_in(file: Path | None) -> list[str]:
    """The keys in a file, one a line; raises ConfigError when it cannot be read."""
    if file is None:
        return []
    try:
        with click.open_file(str(file), encoding="utf-8-sig") as lines:
            return [key for line in lines if (key := line.rstrip("\r\n"))]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"--rows-from {file}: cannot be read: {reason}") from None
