"""`batchsearch demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.endings import run_to_exit, terminal_options
from batchsearch.commands.shared.options import SET, load_for
from batchsearch.commands.shared.showing import show

if TYPE_CHECKING:
    from batchsearch.telemetry.summary import Summary
    from batchsearch.telemetry.terminal_options import TerminalOptions

_EXAMPLES = """\b
Examples:
  batchsearch demo
  batchsearch demo try-it --set instance.qps=5
  batchsearch run try-it/configs/demo.yaml
  batchsearch report try-it/output/demo
"""


@click.command(epilog=_EXAMPLES)
@click.argument(
    "folder", default=Path("batchsearch-demo"), metavar="[FOLDER]", type=click.Path(path_type=Path)
)
@SET
@terminal_options
def command(
    folder: Path,
    *,
    overrides: tuple[str, ...],
    terminal: TerminalOptions,
) -> None:
    """Write the demonstration into FOLDER and run it, with no account.

    A small real catalogue goes into an embedded instance and is searched for changed copies of its images;
    that takes half a minute. FOLDER is `batchsearch-demo` when it is not given. Running it again resumes:
    files that are there stay as they are, so change `configs/demo.yaml` there as you like.

    A page on stderr says how it ended. With --json, and where stdout is no terminal, its last line is a JSON
    summary.
    """

    def work() -> Summary:
        from batchsearch.emulator.installed import check_installed
        from batchsearch.tasks.init.demo_files import OUTPUT, write_demo

        check_installed()
        job_file = write_demo(folder)
        show(f"The job file is {job_file}; the results go to {folder / OUTPUT}.")
        from batchsearch.engine.run.job import run_to_end

        return run_to_end(
            load_for("run", job_file, overrides),
            terminal,
        )

    run_to_exit(work, terminal)
