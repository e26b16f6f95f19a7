"""`batchsearch check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from batchsearch.commands.shared.options import (
    CONFIG,
    DASK,
    PROGRESS,
    SET,
    hand_on,
    laid_over,
    load_for,
    logging_options,
)
from batchsearch.commands.shared.showing import show, wants_json
from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch check nightly.yaml
  batchsearch check nightly.yaml --save out/images
  batchsearch check nightly.yaml --json | jq .unusable_rows
"""


@click.command(epilog=_EXAMPLES)
@CONFIG
@SET
@DASK
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for `verdicts.parquet`; `check` in the job's output folder when not given.",
)
@click.option(
    "--save", type=click.Path(path_type=Path, file_okay=False), help="Folder to write what would be sent to."
)
@click.option("--json", "only_json", is_flag=True, help="No page and no progress: the line of JSON alone.")
@PROGRESS
@logging_options
def command(
    config: Path,
    *,
    overrides: tuple[str, ...],
    dask: str | None,
    only_json: bool,
    progress: bool,
    log_format: str,
    log_level: str,
    **options: Any,
) -> None:
    """Check the images of the job file CONFIG and write a verdict for each as Parquet.

    Fetches and prepares as a run would, and makes no call: no credentials are needed, no slot is spent.
    A page for people goes to stderr; with --json, and where stdout is no terminal, its last line is a JSON
    summary. Exits with 3 when more rows are unusable than `max_failed` allows.
    """
    job = load_for("check", config, laid_over(overrides, dask=dask))
    from batchsearch.tasks.check.checking import check_to_end

    terminal = TerminalOptions(
        progress=progress and not only_json, log_format=log_format, log_level=log_level
    )
    page = check_to_end(job, terminal, **options)
    if not only_json:
        show(page.as_text(), int(page.exit_code))
    if wants_json(asked=only_json):
        hand_on(page.as_json())
    sys.exit(int(page.exit_code))
