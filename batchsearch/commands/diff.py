"""`batchsearch diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batchsearch.commands.shared.options import file_option
from batchsearch.commands.shared.output_place import STORE_CONFIG, output_place
from batchsearch.commands.shared.showing import show_answer
from batchsearch.kept_out import let_pandas_in

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLES = """\b
Examples:
  batchsearch diff out/nightly/nights/20261120T220000Z-3f2a91 out/nightly
  batchsearch diff out/last-night out/tonight --json | jq .counts
  batchsearch diff out/last-night out/tonight --markdown --show 50 > changes.md
  batchsearch diff out/a out/b --least 0.01 --parquet changes.parquet
"""


@click.command(epilog=_EXAMPLES)
@click.argument("run_a", type=str)
@click.argument("run_b", type=str)
@STORE_CONFIG
@click.option(
    "--least",
    type=click.FloatRange(min=0, min_open=True),
    default=0.001,
    show_default=True,
    help="Scores that differ by less than this count as equal.",
)
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Changes of each kind that are shown.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of the page.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Markdown in place of the page.")
@file_option(
    "--parquet",
    meaning="Write every change to this Parquet file as well; an older one is replaced.",
)
def command(
    run_a: str,
    run_b: str,
    *,
    config: Path | None,
    least: float,
    show: int,
    as_json: bool,
    as_markdown: bool,
    parquet: Path | None,
) -> None:
    """Say what is new, gone or changed in score from RUN_A to RUN_B.

    Both are output folders: of `dedup` (pairs and clusters; earlier nights are in its `nights/`), or of two
    runs of one operation (rows and hits). Nothing in them is touched.
    """
    if as_json and as_markdown:
        raise click.UsageError("give --json or --markdown, not both")
    let_pandas_in()
    from batchsearch.tasks.diff.diff_page import diff_of

    with output_place(run_a, config) as a, output_place(run_b, config) as b:
        diff = diff_of(a.folder, b.folder, least=least, show=show, parquet=parquet)
        said = diff.as_json() if as_json else diff.as_markdown() if as_markdown else diff.as_text()
    said = a.named(b.named(said))
    if as_json or as_markdown:
        click.echo(said)
    else:
        show_answer(said)
