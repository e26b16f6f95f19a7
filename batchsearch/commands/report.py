"""`batchsearch report`."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batchsearch.commands.shared.options import DASK, file_option, hand_on
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place
from batchsearch.tasks.report import limits as options

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.tasks.report.reporting import Report

_EXAMPLES = """\b
Examples:
  batchsearch report out/tonight
  batchsearch report out/tonight --output tonight.html --images 10000 --image-mb 60
  batchsearch report out/tonight --no-page --markdown - | mail -s tonight team@example.com
  batchsearch report out/tonight --parquet facts/
  batchsearch report out/dedup --images /mnt/images
"""
_PAGE = "report.html"
_DEFAULTS = options.ReportOptions()

_BOUNDS = (
    ("--rows", "rows", (0, 20_000), "Most rows of a search."),
    ("--pairs", "pairs", (0, 100_000), "Most pairs."),
    ("--clusters", "clusters", (0, 100_000), "Most clusters."),
    ("--thumbnails", "thumbnails", (0, 50_000), "Most thumbnails; 0 for a page without images."),
    ("--thumbnail-side", "side", (48, 512), "Longest side of a thumbnail, pixels."),
    ("--thumbnail-mb", "megabytes", (1, 500), "Most megabytes of all thumbnails."),
    (
        "--close-ups",
        "close_ups",
        (0, 5_000),
        "Most of them that are kept larger, 480 pixels, for a close look at two images.",
    ),
)
"""How much is shown: option, field of `ReportOptions`, least and most, meaning."""


def _bounds(command: Callable[..., Any]) -> Callable[..., Any]:
    for flag, name, (least, most), meaning in reversed(_BOUNDS):
        usual, kind = getattr(_DEFAULTS, name), click.IntRange(least, most)
        command = click.option(flag, name, type=kind, default=usual, show_default=True, help=meaning)(command)
    return command


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=str)
@STORE_CONFIG
@file_option(
    "--output",
    meaning="Where the page goes; DIR/report.html when not given, report.html in this folder when DIR is an "
    "address. An older one is replaced.",
)
@click.option("--page/--no-page", "page", default=True, help="Write the page at all.")
@click.option(
    "--parquet",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Write the facts as Parquet too: one file in long form when PATH ends with .parquet, else a folder "
    "with a file for each table.",
)
@file_option("--markdown", meaning="Write the facts as Markdown too; - is stdout.", allow_dash=True)
@_bounds
@click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Where images are now, in place of the job's `images.root`.",
)
@click.option(
    "--fetch-images",
    "fetch",
    is_flag=True,
    help="Fetch images that are given by their addresses, by the job's own rules; else nothing is fetched.",
)
@DASK
# What these options were called up to 0.1.0.
@click.option("--fetch-pictures", "fetch_before", is_flag=True, hidden=True)
@click.option("--pictures", "thumbnails_before", type=click.IntRange(0, 50_000), hidden=True)
@click.option("--picture-side", "side_before", type=click.IntRange(48, 512), hidden=True)
@click.option("--picture-mb", "mb_before", type=click.IntRange(1, 500), hidden=True)
def command(
    folder: str,
    *,
    config: Path | None,
    output: Path | None,
    page: bool,
    parquet: Path | None,
    markdown: Path | None,
    thumbnails: int,
    side: int,
    megabytes: int,
    fetch: bool,
    fetch_before: bool,
    thumbnails_before: int | None,
    side_before: int | None,
    mb_before: int | None,
    **others: Any,
) -> None:
    """Write one HTML page about an output folder, and the same facts as Parquet and Markdown.

    DIR is the output folder of a run, of `batchsearch compare` or of `batchsearch dedup`, or the address of
    an output in an object store. It is only read, also while a run works on it: the page says what it is as
    of. The page holds everything it shows and asks for nothing when opened. How much it shows is bounded, and
    it says so when a bound was reached.
    """
    from batchsearch.tasks.report.reporting import make_report, write_page
    from batchsearch.telemetry.logs import configure

    configure("console", "warning")

    wanted = options.ReportOptions(
        thumbnails=(thumbnails if thumbnails_before is None else thumbnails_before) if page else 0,
        side=side_before or side,
        megabytes=mb_before or megabytes,
        fetch=fetch or fetch_before,
        **others,
    )
    with output_place(folder, config) as found:
        report = make_report(found.folder, wanted, now=datetime.now(UTC), named=found.given)
        if page:
            place = output or (Path(_PAGE) if found.is_address else found.folder / _PAGE)
            written = write_page(report, place)
            _tell_written(f"{place} ({written / 1e6:,.1f} MB)", markdown)
            _offer_to_fetch(report, found.given)
        _write_facts(report, parquet, markdown)


def _offer_to_fetch(report: Report, given: str) -> None:
    """Say how the grey boxes of a page are filled, where that is all that is missing."""
    if not report.not_fetched:
        return
    many = (
        "1 image is a grey box"
        if report.not_fetched == 1
        else f"{report.not_fetched:,} images are grey boxes"
    )
    click.echo(
        f"batchsearch: {many} on this page: they are given by address, and nothing was fetched. To fetch "
        f"them by the job's rules: batchsearch report {shlex.quote(given)} --fetch-images",
        err=True,
    )


def _write_facts(report: Report, parquet: Path | None, markdown: Path | None) -> None:
    if parquet is not None:
        from batchsearch.tasks.report.fact_files import write_facts

        for path in write_facts(report, parquet):
            _tell_written(path, markdown)
    if markdown is None:
        return
    from batchsearch.publish import write_text
    from batchsearch.tasks.report.markdown import markdown_of

    text = markdown_of(report)
    if str(markdown) == "-":
        click.echo(text, nl=False)
    else:
        write_text(markdown, text)
        _tell_written(markdown, markdown)


def _tell_written(what: object, markdown: Path | None) -> None:
    """Say which file was written, where it does not stand between the lines of a Markdown page."""
    if str(markdown) == "-":
        click.echo(what, err=True)
    else:
        hand_on(str(what))
