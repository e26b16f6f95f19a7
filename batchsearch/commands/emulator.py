"""`batchsearch emulator`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from batchsearch.commands.options import fail, logging_options
from batchsearch.errors import BatchsearchError, ExitCode

_EXAMPLES = """\b
Examples:
  batchsearch emulator --port 8088 --data emulator-data
  batchsearch emulator --qps 5 --faults faults.yaml
"""


@click.command(epilog=_EXAMPLES)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8088, show_default=True, help="Port to listen on; 0 picks a free one.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps the items.")
@click.option("--instance", "name", default="demo", show_default=True, help="Name of the instance.")
@click.option("--qps", default=10.0, show_default=True, help="Queries per second that it grants.")
@click.option("--service-type", default="generic", show_default=True, help="Kind of instance.")
@click.option("--capacity", default=100_000, show_default=True, help="Most pictures that it takes.")
@click.option(
    "--access-key-id",
    default="emulator",
    show_default=True,
    envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_ID",
    help="Key that requests must be signed with.",
)
@click.option(
    "--access-key-secret",
    default="emulator-secret",
    envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_SECRET",
    help="Secret that requests must be signed with; a local, made-up one by default.",
)
@click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="YAML file of what goes wrong, to practise on: as `emulator.faults` in configs/bad-night.yaml.",
)
@logging_options
def command(log_format: str, log_level: str, **options: Any) -> None:
    """Serve an embedded Image Search instance over HTTP, until interrupted.

    It speaks the vendor's protocol, checks signatures, grants the given rate, and keeps what is added in
    --data. Needs the extra `emulator`.
    """
    try:
        from batchsearch.emulator.command import serve
        from batchsearch.reporting.logs import configure

        configure("json" if log_format == "json" else "console", log_level)
        serve(**options)
    except BatchsearchError as error:
        fail(error)
    sys.exit(ExitCode.DONE)
