"""The command line: thin, so that `--help` stays quick. Each command imports what it needs itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from batchsearch import __version__
from batchsearch.errors import BatchsearchError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from batchsearch.config.load import LoadedJob

_EXAMPLES = """\b
Examples:
  batchsearch run configs/demo.yaml
  batchsearch run nightly.yaml --set instance.qps=5 --set output.dir=out/tonight
  batchsearch config check nightly.yaml
  batchsearch emulator --port 8088 --data emulator-data

\b
Exit codes:
   0  done                        64  bad configuration
   3  more rows failed than       65  bad manifest
      the job allows              75  the output is in use by another run
   4  incomplete, run again to resume
   5  ended by an error that no row can survive
"""

_CONFIG = click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
_SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override a setting of the job file, such as `instance.qps=5`. May be repeated.",
)


def _fail(error: BatchsearchError) -> NoReturn:
    click.echo(f"batchsearch: {error}", err=True)
    sys.exit(int(error.exit_code))


def _logging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    level = click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        envvar="BATCHSEARCH_LOG_LEVEL",
        show_default=True,
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


def _moment(text: str | None) -> datetime | None:
    """The coming moment that `--until` means, by this machine's clock and time zone."""
    if text is None:
        return None
    from datetime import datetime, time, timedelta

    now = datetime.now().astimezone()
    try:
        if ":" in text and "-" not in text:
            moment = datetime.combine(now.date(), time.fromisoformat(text)).astimezone()
            return moment if moment > now else (moment.replace(tzinfo=None) + timedelta(days=1)).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no time like 06:00 or 2026-11-22T06:00", param_hint="--until"
        ) from None


def _load(config: Path, overrides: tuple[str, ...]) -> LoadedJob:
    from batchsearch.config.load import load_job

    return load_job(config, overrides=overrides)


@click.group(
    epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="batchsearch")
def cli() -> None:
    """Search an Alibaba Cloud Image Search instance for every row of a table.

    Reads a manifest of pictures, spends the instance's call slots at exactly the purchased rate, and writes
    Parquet in which every manifest row has exactly one outcome. Running the same command again resumes.
    """


@cli.command()
@_CONFIG
@_SET
@click.option(
    "--until", metavar="TIME", help="Stop at this local time, `06:00` or `2026-11-22T06:00`; exit code 4."
)
@click.option("--max-calls", type=click.IntRange(min=1), help="Stop after so many calls; exit code 4.")
@click.option("--progress/--no-progress", default=True, help="Show progress on stderr.")
@_logging_options
def run(
    config: Path,
    *,
    overrides: tuple[str, ...],
    until: str | None,
    max_calls: int | None,
    progress: bool,
    log_format: str,
    log_level: str,
) -> None:
    """Work through the job file CONFIG; run it again to resume.

    The last line of stdout is a JSON summary; everything else goes to stderr.
    """
    try:
        job = _load(config, overrides)
        from batchsearch.engine.job import run_to_end

        summary = run_to_end(
            job,
            until=_moment(until),
            max_calls=max_calls,
            show_progress=progress,
            log_format=log_format,
            log_level=log_level,
        )
    except BatchsearchError as error:
        _fail(error)
    click.echo(summary.as_text(), err=True)
    click.echo(summary.as_json())
    sys.exit(summary.exit_code)


@cli.group()
def config() -> None:
    """Look at job files."""


@config.command("check")
@_CONFIG
@_SET
def config_check(config: Path, overrides: tuple[str, ...]) -> None:
    """Check the job file CONFIG and print every setting with where it comes from.

    All problems are reported at once. No call is made and no manifest is read.
    """
    try:
        job = _load(config, overrides)
        from batchsearch.config.show import render_resolved

        click.echo(render_resolved(job))
    except BatchsearchError as error:
        _fail(error)


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    import json

    from batchsearch.config.load import job_schema

    click.echo(json.dumps(job_schema(), indent=2))


@cli.command()
@click.argument("code", required=False)
def codes(code: str | None) -> None:
    """Explain an error CODE, or print the table of all of them as Markdown."""
    from batchsearch.engine.codes import codes_page, explain

    click.echo(codes_page() if code is None else explain(code))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8088, show_default=True, help="Port to listen on; 0 picks a free one.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder that keeps the items.")
@click.option("--instance", "name", default="demo", show_default=True, help="Name of the instance.")
@click.option("--qps", default=10.0, show_default=True, help="Queries per second that it grants.")
@click.option("--service-type", default="generic", show_default=True, help="Kind of instance.")
@click.option("--capacity", default=100_000, show_default=True, help="Most pictures that it takes.")
@click.option(
    "--access-key-id", default="emulator", show_default=True, envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_ID"
)
@click.option(
    "--access-key-secret",
    default="emulator-secret",
    envvar="BATCHSEARCH_EMULATOR_ACCESS_KEY_SECRET",
    help="Secret that requests must be signed with; a local, made-up one by default.",
)
@_logging_options
def emulator(log_format: str, log_level: str, **options: Any) -> None:
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
        _fail(error)
    sys.exit(ExitCode.DONE)
