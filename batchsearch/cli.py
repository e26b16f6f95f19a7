"""The command line: thin, so that `--help` stays quick. Each command imports what it needs itself."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from batchsearch import __version__
from batchsearch.errors import BatchsearchError, ExitCode, StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from batchsearch.config.load import LoadedJob

_EXAMPLES = """\b
Examples:
  batchsearch run configs/demo.yaml
  batchsearch run nightly.yaml --set instance.qps=5 --set output.dir=out/tonight
  batchsearch plan nightly.yaml
  batchsearch usage out/tonight out/last-night
  batchsearch config check nightly.yaml
  batchsearch check nightly.yaml --save out/pictures
  batchsearch emulator --port 8088 --data emulator-data

\b
Exit codes:
   0  done                        64  bad configuration
   3  more rows failed than       65  bad manifest
      the job allows              75  the output is in use by another run
   4  incomplete, run again to resume
   5  ended by an error that no row can survive
"""

_PLAN_EXAMPLES = """\b
Examples:
  batchsearch plan nightly.yaml
  batchsearch plan nightly.yaml --sample 2000
  batchsearch plan nightly.yaml --json --set instance.qps=5 | jq .nights
"""

_USAGE_EXAMPLES = """\b
Examples:
  batchsearch usage out/tonight
  batchsearch usage out/* --parquet usage.parquet
  batchsearch usage out/tonight --json | jq .totals.slots_used
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
    signal.signal(signal.SIGTERM, _stopped_early)
    as_events = log_format == "json"
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
        _hand_on({"status": "failed", "exit_code": int(error.exit_code), "message": str(error)})
        if as_events:
            from batchsearch.reporting.logs import configure, logger

            configure("json", log_level)
            logger().error("command_failed", exit_code=int(error.exit_code), message=str(error))
            sys.exit(int(error.exit_code))
        _fail(error)
    if not as_events:
        click.echo(summary.as_text(), err=True)
    _hand_on(summary.as_dict())
    sys.exit(summary.exit_code)


def _hand_on(result: Mapping[str, Any]) -> None:
    """Write the line of JSON that a scheduler reads; where it cannot be, the exit code still says the end."""
    import json

    try:
        click.echo(json.dumps(result, ensure_ascii=False))
    except OSError as error:
        click.echo(f"batchsearch: the summary cannot be written to stdout: {error.strerror}", err=True)
        sys.stdout = None  # or Python tries, and fails, to flush it at exit


def _stopped_early(_number: int, _frame: object) -> NoReturn:
    _fail(StoppedEarlyError())


@cli.command(epilog=_PLAN_EXAMPLES)
@_CONFIG
@_SET
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the page.")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="Prepare only N rows, spread evenly over those to do, and scale up.",
)
def plan(config: Path, *, overrides: tuple[str, ...], as_json: bool, sample: int | None) -> None:
    """Say what the job file CONFIG would take: calls, hours, nights, bytes and money.

    No call is made and nothing is written; a run that is going on is not disturbed. Every row is prepared
    as a run would: files are read and pictures with an address are fetched from there, so it takes a while
    for a large manifest. With --sample the counts are estimates, and the page says so.
    """
    try:
        job = _load(config, overrides)
        import asyncio

        from batchsearch.engine.codes import advice_on
        from batchsearch.engine.planning import plan_job
        from batchsearch.reporting.plan_page import plan_page
        from batchsearch.reporting.row_counter import RowCounter

        with RowCounter() as counter:
            found = asyncio.run(plan_job(job.settings, sample=sample, counter=counter))
    except BatchsearchError as error:
        _fail(error)
    click.echo(found.as_json() if as_json else plan_page(found, advice=advice_on))


@cli.command(epilog=_USAGE_EXAMPLES)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the table.")
@click.option(
    "--parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the lines to this Parquet file as well; an older one is replaced.",
)
def usage(folders: tuple[Path, ...], *, as_json: bool, parquet: Path | None) -> None:
    """State what was spent and spared: call slots by day, instance and operation.

    Each DIR is the output folder (`output.dir`) of a job. Its ledger is only read, also while a run is
    going on. Days are UTC.
    """
    try:
        from batchsearch.reporting.usage_statement import read_usage, usage_as_json, usage_page

        lines = read_usage(folders)
        if parquet is not None:
            from batchsearch.output.usage_table import write_usage

            write_usage(parquet, lines)
    except BatchsearchError as error:
        _fail(error)
    click.echo(usage_as_json(lines) if as_json else usage_page(lines))


@cli.command()
@_CONFIG
@_SET
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for `verdicts.parquet`; `check` in the job's output folder when not given.",
)
@click.option(
    "--save", type=click.Path(path_type=Path, file_okay=False), help="Folder to write what would be sent to."
)
@click.option("--json", "only_json", is_flag=True, help="No page and no progress: the line of JSON alone.")
@click.option("--progress/--no-progress", default=True, help="Show progress on stderr.")
@_logging_options
def check(config: Path, overrides: tuple[str, ...], only_json: bool, progress: bool, **options: Any) -> None:
    """Check the pictures of the job file CONFIG and write a verdict for each as Parquet.

    Fetches and prepares as a run would, and makes no call: no credentials are needed, no slot is spent.
    The last line of stdout is a JSON summary; a page for people goes to stderr. Exits with 3 when more rows
    are unusable than `max_failed` allows.
    """
    try:
        job = _load(config, overrides)
        from batchsearch.engine.checking import check_to_end

        page = check_to_end(job, show_progress=progress and not only_json, **options)
    except BatchsearchError as error:
        _fail(error)
    if not only_json:
        click.echo(page.as_text(), err=True)
    click.echo(page.as_json())
    sys.exit(int(page.exit_code))


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

    try:
        click.echo(codes_page() if code is None else explain(code))
    except BatchsearchError as error:
        _fail(error)


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


def main() -> NoReturn:
    """Run the command line; every way out has its code in the table of `--help`."""
    try:
        ended = cli.main(prog_name="batchsearch", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(int(ExitCode.BAD_CONFIG))
    except (click.Abort, KeyboardInterrupt):
        _fail(StoppedEarlyError())
    sys.exit(ended if isinstance(ended, int) else int(ExitCode.DONE))
