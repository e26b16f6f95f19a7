"""Arguments, options and endings that several commands share."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from batchsearch import streams
from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.config.load import LoadedJob
    from batchsearch.errors import BatchsearchError


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """The coming moment that `--until` means, by this machine's clock and time zone."""
    if text is None:
        return None
    now = datetime.now().astimezone()
    try:
        if ":" in text and "-" not in text:
            moment = datetime.combine(now.date(), time.fromisoformat(text)).astimezone()
            return moment if moment > now else (moment.replace(tzinfo=None) + timedelta(days=1)).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time like 06:00 or 2026-11-22T06:00") from None


def file_option(
    *names: str, meaning: str, **kind: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that takes the path of a file.

    Args:
        names: As click takes them.
        meaning: Its help.
        kind: What `click.Path` is told besides, such as `exists`.
    """
    return click.option(*names, type=click.Path(path_type=Path, dir_okay=False, **kind), help=meaning)


CONFIG = click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override a setting of the job file, such as `instance.qps=5`. May be repeated.",
)
UNTIL = click.option(
    "--until",
    metavar="TIME",
    callback=_moment,
    help="Stop at this local time, `06:00` or `2026-11-22T06:00`; exit code 4.",
)
MAX_CALLS = click.option(
    "--max-calls", metavar="N", type=click.IntRange(min=1), help="Stop after so many calls; exit code 4."
)
FRESH = click.option(
    "--fresh",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Begin anew, in this folder in place of `output.dir`; it must be empty or not there.",
)
RENEW = click.option(
    "--renew",
    is_flag=True,
    help="Where a setting that decides answers has changed, ask again for the rows that it touches.",
)
DASK = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Have images made ready by a Dask cluster: `tcp://scheduler:8786`, or `local[:N]` for workers on "
    "this machine.",
)
DEFECT: Final = (
    "this is a defect of batchsearch, not of your data: please report it with the lines above. "
    "What was answered is kept; run the same command again to go on"
)
"""What is said of an error that nobody foresaw."""

PROGRESS = click.option("--progress/--no-progress", default=True, help="Show progress on stderr.")


def fail_with(error: BatchsearchError) -> int:
    """Write the error's message to stderr; the exit code to end with."""
    tell_error(str(error))
    return int(error.exit_code)


def tell_error(message: str) -> None:
    """Write to stderr what ended the command, without secrets; on a terminal wrapped to its width."""
    from batchsearch.commands.shared.showing import show
    from batchsearch.redaction import redacted

    show(f"batchsearch: {redacted(message)}", int(ExitCode.DEFECT))


def tell_defect(error: BaseException) -> int:
    """Write what a report needs to stderr; the exit code to end with."""
    import traceback

    from batchsearch.redaction import redacted

    click.echo(redacted("".join(traceback.format_exception(error))), err=True, nl=False)
    click.echo(f"batchsearch: {DEFECT}", err=True)
    return int(ExitCode.DEFECT)


def hand_on(result: str) -> None:
    """Write the line that a scheduler reads; where it cannot be, the exit code still says the end."""
    click.echo(result)
    problem = streams.let_stdout_be()
    if problem is not None:
        streams.tell_unwritten("the summary", problem)


def logging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--log-level` and `--log-format`."""
    level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default=None,
        callback=_level_or_default,
        envvar="BATCHSEARCH_LOG_LEVEL",
        show_default="info; warning where a bar is shown",
        show_envvar=True,
        help="Events of this level and above.",
    )
    log_format = click.option(
        "--log-format",
        type=click.Choice(["console", "json"]),
        default="console",
        envvar="BATCHSEARCH_LOG_FORMAT",
        show_default=True,
        show_envvar=True,
        help="Lines for people, or one JSON object a line; on stderr.",
    )
    return level(log_format(command))


def _level_or_default(_: click.Context, __: click.Parameter, level: str | None) -> str:
    """What the bar and the summary say is not logged as well."""
    from batchsearch.telemetry.logs import on_live_terminal

    return level or ("warning" if on_live_terminal() else "info")


def begin_in(folder: Path) -> str:
    """The override that makes a job begin anew in a folder; raises ConfigError when something is in there."""
    from batchsearch.errors import ConfigError

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--fresh {folder}: the folder is not empty; name another one")
    return f"output.dir={folder.absolute()}"


def laid_over(
    overrides: tuple[str, ...], *, fresh: Path | None = None, renew: bool = False, dask: str | None = None
) -> tuple[str, ...]:
    """The overrides with what these options say; raises ConfigError as `begin_in` does."""
    begun = () if fresh is None else (begin_in(fresh),)
    renewed = ("reuse.changed_job=renew",) if renew else ()
    elsewhere = () if dask is None else (f"workers.dask={dask}",)
    return (*overrides, *begun, *renewed, *elsewhere)


def load_for(command: str, config: Path, overrides: tuple[str, ...]) -> LoadedJob:
    """The job file for a command that works on the manifest as it is; raises ConfigError as `load` does.

    A comparison whose pairs are made from a list has no such manifest: its own command makes them.
    """
    from batchsearch.errors import ConfigError

    job = load(config, overrides)
    if job.settings.compare is not None and job.settings.compare.makes_pairs:
        raise ConfigError(
            f"{config}: `compare.pairs: {job.settings.compare.pairs}` makes the pairs that are compared; "
            f"use `batchsearch compare` in place of `{command}`"
        )
    return job


def load(config: Path, overrides: tuple[str, ...]) -> LoadedJob:
    """The job file with its overrides; raises ConfigError with every problem."""
    from batchsearch.config.load import load_job

    return load_job(config, overrides=overrides)
