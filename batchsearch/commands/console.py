"""`batchsearch console`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchsearch.commands.shared.options import SET, load, logging_options
from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from batchsearch.config.load import LoadedJob

_EXAMPLES = """\b
Examples:
  batchsearch console
  batchsearch console search.yaml --max-calls 200
  batchsearch console dedup.yaml --output output --read-only
  ssh -L 8090:127.0.0.1:8090 host batchsearch console search.yaml --port 8090 --no-open
"""


@click.command(epilog=_EXAMPLES)
@click.argument("config", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--output",
    "outputs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of output folders that it lists; the one around the job's own when not given.",
)
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 picks a free one.")
@click.option("--open/--no-open", "open_", default=True, help="Open the page in a browser.")
@click.option("--read-only", is_flag=True, help="Change nothing at the instance, and write no judgement.")
@click.option(
    "--allow-changes", is_flag=True, help="Offer to add, change and delete on a purchased instance too."
)
@click.option("--max-calls", type=click.IntRange(min=0), metavar="N", help="Most calls of the session.")
@click.option("--no-history", is_flag=True, help="Keep no answers after the console has ended.")
@click.option(
    "--idle",
    default="8h",
    show_default=True,
    metavar="TIME",
    help="End after so long without a request: `30m`, `8h`; `0` for never.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; needs --i-know.")
@click.option(
    "--i-know",
    is_flag=True,
    help="Listen where others can reach it: whoever has the printed address spends your calls.",
)
@SET
@logging_options
def command(
    config: Path | None, *, overrides: tuple[str, ...], log_format: str, log_level: str, **options: Any
) -> None:
    """Try queries, look at answers and judge duplicates on a page in your browser.

    The instance, its credentials and the rules for images are those of the job file CONFIG; without one it
    is an embedded instance with a small catalogue, and no account is needed. Calls go through the pacer that
    runs share. The page is served to this machine alone; Ctrl+C ends it.
    """
    from batchsearch.commands.shared.showing import show
    from batchsearch.console.opening_console import WantedConsole, serve
    from batchsearch.telemetry.logs import configure

    configure("json" if log_format == "json" else "console", log_level)
    serve(
        _job(config, overrides),
        WantedConsole(**options),
        lambda address: show(f"The console is at {address}"),
    )
    sys.exit(ExitCode.DONE)


def _job(config: Path | None, overrides: tuple[str, ...]) -> LoadedJob:
    if config is not None:
        return load(config, overrides)
    from batchsearch.console.opening_console import demo_job

    return demo_job(overrides)
