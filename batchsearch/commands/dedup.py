"""`batchsearch dedup`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import job_options, run_options, run_to_exit, terminal_options

if TYPE_CHECKING:
    from batchsearch.commands.shared.endings import AskedJob
    from batchsearch.engine.job.run_options import RunOptions
    from batchsearch.tasks.dedup.dedup_page import DedupSummary
    from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch dedup configs/nightly-dedup.yaml
  batchsearch dedup nightly.yaml --until 06:00
  batchsearch dedup nightly.yaml --set dedup.threshold=0.85 --set dedup.sync=add
  batchsearch diff out/nightly/nights/20261121T220000Z-3f2a91 out/nightly
"""


_SEARCHING = run_options(
    click.option(
        "--max-calls", metavar="N", type=click.IntRange(min=1), help="Stop the search after so many calls."
    )
)
_DELETING = click.option(
    "--delete-all-missing",
    is_flag=True,
    help="Delete every image that has left the manifest, however many: `dedup.max_deleted` is not asked.",
)


@click.command(epilog=_EXAMPLES)
@job_options(lambda command: _SEARCHING(_DELETING(command)))
@terminal_options
def command(
    *, asked: AskedJob, options: RunOptions, delete_all_missing: bool, terminal: TerminalOptions
) -> None:
    """Find out which products of the job file CONFIG are the same, night after night.

    Searches every new or changed image, joins what was found to pairs of products, and pairs to clusters.
    A run that was stopped goes on when it is run again; the tables are computed anew each time, without a
    call. In the output folder: `pairs/`, `clusters/` and `dedup.json`, the search in `search/`, the upkeep of
    the instance in `sync/`, earlier nights in `nights/`.

    A page on stderr says how it ended. With --json, and where stdout is no terminal, its last line is a JSON
    summary.
    """

    def work() -> DedupSummary:
        from batchsearch.kept_memory import keep_memory

        keep_memory()
        job = asked.load()
        from batchsearch.tasks.dedup.night import dedup_to_end

        return dedup_to_end(job, terminal, options, delete_all_missing=delete_all_missing)

    run_to_exit(work, terminal)
