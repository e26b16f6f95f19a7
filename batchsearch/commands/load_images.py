"""`batchsearch load`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import job_options, run_to_exit, terminal_options

if TYPE_CHECKING:
    from batchsearch.commands.shared.endings import AskedJob
    from batchsearch.tasks.load.load_page import LoadSummary
    from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch plan load.yaml
  batchsearch load load.yaml
  batchsearch load load.yaml --set load.images_per_task=200000
  batchsearch load load.yaml --log-format json | jq .tasks
"""


@click.command(epilog=_EXAMPLES)
@job_options()
@terminal_options
def command(*, asked: AskedJob, terminal: TerminalOptions) -> None:
    """Fill the instance of the job file CONFIG by batch tasks, as the vendor advises for millions of images.

    The job calls AddImage (or DeleteImage) and has a `load` section, which names a bucket in the instance's
    region. Every image is checked and repaired as by `run` and put into the bucket; their list beside them is
    what a task reads. Images that are there unchanged are not put again. A task that runs when this command
    is stopped goes on: run the command again to follow it. Every row of the manifest gets one outcome in the
    output folder, as of any job.

    A page on stderr says how it ended. With --json, and where stdout is no terminal, its last line is a JSON
    summary.
    """

    def work() -> LoadSummary:
        job = asked.load()
        from batchsearch.tasks.load.loading import load_to_end

        return load_to_end(job, terminal)

    run_to_exit(work, terminal)
