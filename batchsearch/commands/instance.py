"""`batchsearch instance`: what an instance holds."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from batchsearch.commands.shared.options import CONFIG, SET, file_option, load
from batchsearch.commands.shared.showing import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.tasks.instance.comparing import Compared
    from batchsearch.tasks.instance.mending_jobs import MendingJob

_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of lines.")
_INSTANCE = click.option(
    "--instance", metavar="NAME", help="Which of the job's instances; the first when not given."
)
_DIFFERENT: Final = 3
_LABEL: Final = 12


@click.group()
def command() -> None:
    """Say what the instance of a job holds: its details, an export of all its items, what differs."""


@command.command(
    epilog="""\b
Examples:
  batchsearch instance show search.yaml
  batchsearch instance show search.yaml --json | jq .instances[0].days_left
"""
)
@CONFIG
@SET
@_JSON
def show(config: Path, *, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show what the service says of the instances of the job file CONFIG (the operation Detail).

    Kind, region, images and capacity, queries per second, end, and a warning for each that is not as the job
    says. One call each, of a budget that searches do not draw on.
    """
    from batchsearch.tasks.instance.details import show_instances

    found = _done(config, overrides, show_instances)
    if as_json:
        click.echo(json.dumps({"instances": [each.as_dict() for each in found]}, ensure_ascii=False))
        return
    for each in found:
        tell(f"{each.instance} at {each.endpoint}")
        _lines(each.lines())
        for check in each.checks:
            if check.state != "ok":
                tell(check.said, mark=f"  {click.style('mind', fg='yellow'):<{_LABEL}} ")
                if check.advice:
                    tell(f"  {'':<{_LABEL}} -> {check.advice}")


@command.command(
    epilog="""\b
Examples:
  batchsearch instance export nightly.yaml
  batchsearch instance export nightly.yaml --to held.parquet
"""
)
@CONFIG
@file_option(
    "--to",
    "file",
    meaning="The Parquet file; `instance-NAME.parquet` in the job's output folder when not given.",
)
@_INSTANCE
@SET
@_JSON
def export(
    config: Path, *, file: Path | None, instance: str | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Export everything that the instance of the job file CONFIG holds, as Parquet (the operation DumpMeta).

    One row for each image: product, name, category, attributes. The instance writes the export by itself; an
    export that runs already is waited for. No slot of the searches is spent.
    """
    from batchsearch.engine.job.instance_worker import instance_named
    from batchsearch.tasks.instance.instance_export import export_instance

    async def work(settings: JobSettings) -> Any:
        chosen = instance_named(settings, instance)
        return await export_instance(settings, file or _held_file(settings, chosen), instance=chosen)

    found = _done(config, overrides, work)
    if as_json:
        click.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    tell(f"{found.instance}: {found.images:,} images in {found.file}")
    if found.unread:
        tell(f"  {found.unread:,} lines of the export are of no image; the file is kept: {found.raw}")
        for example in found.examples:
            tell(f"    {example}")


@command.command(
    epilog="""\b
Exit codes:
   0  nothing differs
   3  something differs; the page says what

\b
Examples:
  batchsearch instance diff load.yaml
  batchsearch instance diff nightly.yaml catalogue.parquet --export held.parquet
  batchsearch instance diff load.yaml --as-manifest mend && batchsearch run mend/add.yaml
"""
)
@CONFIG
@click.argument("manifest", required=False, type=click.Path(path_type=Path))
@file_option("--export", "exported", meaning="An export that is there; one is made when not given.")
@file_option(
    "--to",
    "file",
    meaning="All differences as Parquet; `instance-NAME.diff.parquet` in the output folder when not given.",
)
@click.option(
    "--as-manifest",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write job files that would mend what differs: add, update, delete. None is run.",
)
@_INSTANCE
@SET
@_JSON
def diff(
    config: Path,
    manifest: Path | None,
    *,
    exported: Path | None,
    file: Path | None,
    folder: Path | None,
    instance: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare what the instance of the job file CONFIG holds with the job's manifest, or with MANIFEST.

    Told are images that are on the instance and not in the catalogue, the reverse, and attributes that
    differ. Nothing is changed: --as-manifest writes jobs that would.
    """
    from batchsearch.engine.job.instance_worker import instance_named
    from batchsearch.errors import RunEndedError
    from batchsearch.tasks.instance.comparing import Chosen, catalogue_job, compared_from
    from batchsearch.tasks.instance.instance_export import export_instance, unread_of
    from batchsearch.tasks.instance.mending_jobs import write_mending_jobs

    if manifest is not None:
        overrides = (*overrides, f"manifest.path={manifest.absolute()}")

    async def work(settings: JobSettings) -> tuple[Compared, list[MendingJob]]:
        named = instance_named(settings, instance)
        catalogue = await asyncio.to_thread(catalogue_job, settings)
        held = exported or _held_file(settings, named)
        if exported is None:
            await export_instance(settings, held, instance=named)
        raw = unread_of(held)
        if raw.exists():
            # What was not read is told as missing, and would be added once more.
            what = (
                f"{raw}: has lines that cannot be read, so that nobody knows all that the instance holds: "
                "images told as missing may be there (`batchsearch instance export` shows the first lines)"
            )
            if folder is not None:
                raise RunEndedError("Export.Unread", f"{what}; no jobs are written that would add them")
            tell(f"batchsearch: {what}", to_stderr=True)
        target = file or _held_file(settings, named).with_suffix(".diff.parquet")
        chosen = Chosen() if folder is not None else None
        found = await compared_from(catalogue, named, held, target, chosen)
        if chosen is None or folder is None:
            return found, []
        return found, await asyncio.to_thread(write_mending_jobs, catalogue, named, chosen, folder)

    found, jobs = _done(config, overrides, work)
    if as_json:
        told = found.as_dict() | {"jobs": [{"file": job.file, "rows": job.rows} for job in jobs]}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        _show_diff(found, jobs)
    sys.exit(_DIFFERENT if found.total else 0)


def _show_diff(found: Compared, jobs: list[MendingJob]) -> None:
    tell(f"{found.instance}: {found.held:,} images held, {found.rows:,} rows in the catalogue")
    words = {
        "missing": "in the catalogue, not on the instance",
        "extra": "on the instance, not in the catalogue",
        "attributes": "with other attributes",
    }
    if not found.total:
        tell("  Nothing differs.")
    for change, what in words.items():
        count = found.counts.get(change, 0)
        if not count:
            continue
        tell(f"  {count:,} {what}")
        shown = [each for each in found.examples if each.change == change]
        for each in shown:
            values = ", ".join(
                f"{name}: {each.instance.get(name)!r} -> {each.catalogue.get(name)!r}" for name in each.fields
            )
            tell(f"    {each.product_id} / {each.pic_name}{': ' if values else ''}{values}")
        if count > len(shown):
            tell(f"    … and {count - len(shown):,} more")
    if found.unusable:
        tell(f"  {found.unusable:,} rows of the catalogue cannot be added as they are: `batchsearch check`")
    if found.repeated:
        tell(f"  {found.repeated:,} rows name an image that another row has named")
    tell(f"  compared: {', '.join(found.compared) or 'names alone'}")
    tell(f"  all of it: {found.file}")
    for job in jobs:
        tell(f"  {job.operation:<12} {job.rows:,} rows: batchsearch run {shlex.quote(job.file)}")


def _done(
    config: Path, overrides: tuple[str, ...], work: Callable[[JobSettings], Coroutine[Any, Any, Any]]
) -> Any:
    """What a coroutine returns of the job's settings; an error ends the command."""
    job = load(config, overrides)
    from batchsearch.engine.run.remote_output import localised
    from batchsearch.telemetry.logs import configure

    # That an export takes a while is news to whoever waits; to a script it is not.
    configure("console", "info" if sys.stderr.isatty() else "warning")
    return asyncio.run(work(localised(job.settings)))


def _held_file(settings: JobSettings, instance: InstanceSettings) -> Path:
    return Path(settings.output.dir) / f"instance-{_file_name(instance.name)}.parquet"


def _file_name(name: str) -> str:
    """An instance's name as part of a file's."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in name)


def _lines(lines: Iterable[tuple[str, str]]) -> None:
    for label, text in lines:
        tell(f"  {label:<{_LABEL}} {text}")
