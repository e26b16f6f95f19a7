"""`batchsearch run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import job_options, run_options, run_to_exit, terminal_options

if TYPE_CHECKING:
    from batchsearch.commands.shared.endings import AskedJob
    from batchsearch.engine.job.run_options import RunOptions
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions


_EXAMPLES = """\b
Examples:
  batchsearch run nightly.yaml
  batchsearch run nightly.yaml --until 06:00
  batchsearch run nightly.yaml --set instance.qps=5 --fresh out/again
  batchsearch run nightly.yaml --log-format json | jq .status
"""


@click.command(epilog=_EXAMPLES)
@job_options(run_options())
@terminal_options
def command(*, asked: AskedJob, options: RunOptions, terminal: TerminalOptions) -> None:
    """Work through the job file CONFIG; run it again to resume.

    A page on stderr says how it ended. With --json, and where stdout is no terminal, its last line is a JSON
    summary.
    """

    def work() -> Summary:
        from batchsearch.engine.run.collector import off_while_loading

        with off_while_loading():
            job = asked.load("run")
            from batchsearch.engine.run.job import run_to_end
            from batchsearch.tasks.lanes.whole_run import run_whole

        return run_to_end(job, terminal, options, working=run_whole)

    run_to_exit(work, terminal)
