"""The command line: thin, so that `--help` stays quick. A command's module is imported when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import click

from batchsearch import interrupts, streams
from batchsearch._version import __version__
from batchsearch.commands.shared.options import fail_with, tell_defect
from batchsearch.engine.run.collector import come_seldom
from batchsearch.errors import BatchsearchError, ExitCode, StoppedError
from batchsearch.kept_out import keep_out

_EXAMPLES = """\b
Examples:
  batchsearch demo                               everything, with no account
  batchsearch init catalogue.csv                 a job file for your own table
  batchsearch plan search.yaml                   what it would take
  batchsearch run search.yaml                    do it; once more to resume
  batchsearch report output/search               see what came out

"batchsearch COMMAND --help" says more, with examples.

\b
Exit codes:
   0  done                        64  bad configuration
   3  more rows failed than       65  bad manifest
      the job allows              70  a defect of batchsearch: please report it
   4  incomplete: run it again    74  the output cannot be written or read:
   5  ended by an answer that         mend that, run it again
      no row can survive          75  the output is in use by another run
   6  the output is damaged,
      nothing was deleted: see verify and recover
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A command as the help page lists it, before its module is imported.

    Attributes:
        section: Heading that it stands under.
        help: What it does, one line.
        module: Where it is, when the module's name is not the command's.
    """

    section: str
    help: str
    module: str | None = None


_BEFORE, _NIGHT, _AFTER, _KNOW = "Before the night", "Spend slots", "Afterwards", "To know"

COMMANDS: Final = {
    "demo": Listed(_BEFORE, "Write a demonstration and run it, with no account."),
    "init": Listed(_BEFORE, "Write a job file after looking at a manifest."),
    "config": Listed(_BEFORE, "Check a job file, explain its settings."),
    "ping": Listed(_BEFORE, "Check credentials, endpoint, clock, instance and rate of a job."),
    "instance": Listed(_BEFORE, "Say what an instance holds, and how it differs from a catalogue."),
    "check": Listed(_BEFORE, "Check every image of a job; no call is made."),
    "plan": Listed(_BEFORE, "Say what a job would take: calls, hours, nights, money."),
    "run": Listed(_NIGHT, "Work through a job file; run it again to resume."),
    "dedup": Listed(_NIGHT, "Find out which products are the same, night after night."),
    "load": Listed(_NIGHT, "Fill an instance by batch tasks: for millions of images.", module="load_images"),
    "compare": Listed(_NIGHT, "Say how alike images are, pair by pair."),
    "search": Listed(_NIGHT, "Search for one image, without a manifest."),
    "console": Listed(_NIGHT, "Try queries and judge duplicates on a page in your browser."),
    "retry": Listed(_NIGHT, "Ask again for failed rows of an output folder."),
    "status": Listed(_AFTER, "Say how a run stands, from another shell while it works."),
    "report": Listed(_AFTER, "Write one HTML page about an output folder, with images."),
    "export": Listed(_AFTER, "Write duplicates, results or scores as CSV, spreadsheet or Parquet."),
    "verify": Listed(_AFTER, "Verify an output: rows once, parts unchanged, ledger agrees."),
    "recover": Listed(_AFTER, "Make a lost or damaged ledger anew from the parts."),
    "diff": Listed(_AFTER, "Say what is new, gone or changed between two runs or nights."),
    "compact": Listed(_AFTER, "Merge the small parts of an output folder."),
    "usage": Listed(_AFTER, "State what was spent and spared, by day and instance."),
    "schema": Listed(_KNOW, "Say what the columns of the tables mean.", module="knowing.schema"),
    "codes": Listed(_KNOW, "Explain an error code, or all of them.", module="knowing.codes"),
    "events": Listed(_KNOW, "List every log event, or every metric.", module="knowing.events"),
    "emulator": Listed(_KNOW, "Serve an embedded instance over HTTP."),
    "completion": Listed(_KNOW, "Print what completes words in a shell.", module="knowing.completion"),
}
"""Every command, by the sections of the help page."""


class _Commands(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        listed = COMMANDS.get(cmd_name)
        if listed is None:
            return None
        module = importlib.import_module(f"batchsearch.commands.{listed.module or cmd_name}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from batchsearch.nearest import did_you_mean

            ctx.fail(f"there is no command {args[0]!r}{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error that it raises is told, and decides the exit code."""
        try:
            return super().invoke(ctx)
        except BatchsearchError as error:
            ctx.exit(fail_with(error))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        for section in dict.fromkeys(listed.section for listed in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name, listed.help) for name, listed in COMMANDS.items() if listed.section == section]
                )


@click.group(
    cls=_Commands,
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="batchsearch")
def cli() -> None:
    """Search an Alibaba Cloud Image Search instance for every row of a table.

    Reads a manifest of images, spends the instance's call slots at exactly the purchased rate, and writes
    Parquet in which every manifest row has exactly one outcome. Finds duplicates in a catalogue night after
    night (dedup), and says how alike images are (compare). Running the same command again resumes.
    """


def main() -> NoReturn:
    """Run the command line; every way out has its code in the table of `--help`."""
    keep_out()
    come_seldom()
    code = _ended()
    interrupts.hush()
    code = streams.settled(code)
    # The process ends: to look through all that was imported once more, for rings, is a tenth of a second.
    gc.freeze()
    interrupts.over(code)
    sys.exit(code)


def _ended() -> int:
    """Run the command; what it exits with."""
    try:
        if "_BATCHSEARCH_COMPLETE" in os.environ:
            from batchsearch.commands.knowing.completion import register

            register()
        ended = cli.main(prog_name="batchsearch", standalone_mode=False)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ExitCode.DONE)
    except click.ClickException as error:
        error.show()
        return int(ExitCode.BAD_CONFIG)
    except (click.Abort, KeyboardInterrupt):
        return fail_with(StoppedError())
    except Exception as error:  # noqa: BLE001 - told in full, and never as a code of another meaning
        return tell_defect(error)
    return ended if isinstance(ended, int) else int(ExitCode.DONE)
