"""`batchsearch run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch.commands.endings import moment, run_to_exit
from batchsearch.commands.options import CONFIG, SET, begin_in, load_for, logging_options

if TYPE_CHECKING:
    from batchsearch.reporting.summary import Summary


_EXAMPLES = """\b
Examples:
  batchsearch run configs/demo.yaml
  batchsearch run nightly.yaml --until 06:00
  batchsearch run nightly.yaml --set instance.qps=5 --fresh out/again
  batchsearch run nightly.yaml --log-format json | jq .status
"""


@click.command(epilog=_EXAMPLES)
@CONFIG
@SET
@click.option(
    "--until", metavar="TIME", help="Stop at this local time, `06:00` or `2026-11-22T06:00`; exit code 4."
)
@click.option(
    "--max-calls", metavar="N", type=click.IntRange(min=1), help="Stop after so many calls; exit code 4."
)
@click.option(
    "--fresh",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Begin anew, in this folder in place of `output.dir`; it must be empty or not there.",
)
@click.option("--progress/--no-progress", default=True, help="Show progress on stderr.")
@logging_options
def command(
    config: Path,
    *,
    overrides: tuple[str, ...],
    until: str | None,
    max_calls: int | None,
    fresh: Path | None,
    progress: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Work through the job file CONFIG; run it again to resume.

    The last line of stdout is a JSON summary; everything else goes to stderr.
    """

    def work() -> Summary:
        job = load_for("run", config, overrides if fresh is None else (*overrides, begin_in(fresh)))
        from batchsearch.engine.job import run_to_end

        return run_to_end(
            job,
            until=moment(until),
            max_calls=max_calls,
            show_progress=progress,
            log_format=log_format,
            log_level=log_level,
        )

    run_to_exit(work, log_format=log_format, log_level=log_level)
