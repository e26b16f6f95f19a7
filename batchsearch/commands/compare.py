"""`batchsearch compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import job_options, run_options, run_to_exit, terminal_options

if TYPE_CHECKING:
    from batchsearch.commands.shared.endings import AskedJob
    from batchsearch.engine.job.run_options import RunOptions
    from batchsearch.tasks.compare.comparison import Comparison
    from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch compare configs/similarity-report.yaml
  batchsearch compare variants.yaml --set compare.pairs=groups --set compare.group=product_id
  batchsearch compare one-logo.yaml --set compare.pairs=reference --set compare.reference=logo.png
"""


@click.command(epilog=_EXAMPLES)
@job_options(run_options())
@terminal_options
def command(*, asked: AskedJob, options: RunOptions, terminal: TerminalOptions) -> None:
    """Say how alike the images of the job file CONFIG are, pair by pair.

    The section `compare` of the job file says which pairs: those that the manifest gives in two columns,
    all images of a group with each other, or one image with all others. Each pair is one call; run the
    command again to resume. Into the output folder go `scores.parquet`, with what is known of both
    images, `compare.json` with statistics and a histogram, and a matrix for each small group.

    A page with the histogram, on stderr, says how it ended. With --json, and where stdout is no terminal,
    its last line is a JSON summary.
    """

    def work() -> Comparison:
        job = asked.load()
        from batchsearch.tasks.compare.comparison_job import compare_to_end

        return compare_to_end(job, terminal, options)

    run_to_exit(work, terminal)
