"""`batchsearch status`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchsearch import streams
from batchsearch.commands.shared.output_place import STORE_CONFIG, connections_in, output_place
from batchsearch.commands.shared.showing import show_answer, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.tasks.status.run_status import RunStatus

_EXAMPLES = """\b
Examples:
  batchsearch status out/tonight
  batchsearch status out/tonight --watch
  batchsearch status out/tonight --json | jq .runs[0].progress.rate
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", metavar="DIR", type=str)
@STORE_CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the page.")
@click.option(
    "--watch", is_flag=True, help="Wait for a run to begin, and look again and again until it is over."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often, with --watch.",
)
def command(folder: str, *, config: Path | None, as_json: bool, watch: bool, every: float) -> None:
    """Say how the run of the output folder DIR stands, from another shell while it works.

    Progress, pace, what it waits for, failures by code, when it will be done; for a run that died, since
    when it is dead. DIR may be the folder of a dedup: then each of its runs is told. Of an output in an
    object store (DIR is its address) it tells who holds it and what was carried there. Nothing is changed,
    and the run is not disturbed.
    """
    from batchsearch.storage.output_layout import NoOutputError
    from batchsearch.tasks.status.run_status import look_at
    from batchsearch.tasks.status.status_page import status_as_json, status_page

    def look() -> list[RunStatus]:
        with output_place(folder, config, without_tables=True) as place:
            found = look_at(place.folder, datetime.now(UTC))
        if not place.is_address:
            return found
        from batchsearch.storage.remote.store_output import held_by

        named = [replace(run, folder=place.named(run.folder)) for run in found]
        holders = [held_by(run.folder, connections_in(config)) for run in named]
        return [
            run if holder is None else replace(run, state="running", holder=holder)
            for run, holder in zip(named, holders, strict=True)
        ]

    def look_when_there() -> list[RunStatus]:
        try:
            return look()
        except NoOutputError:
            if Path(folder).is_file():
                raise
            return []

    if not watch:
        if as_json:
            click.echo(status_as_json(look()))
        else:
            show_answer(status_page(look()))
    elif as_json or not sys.stdout.isatty():
        _print_each(look_when_there, folder, status_as_json if as_json else status_page, every)
    else:
        _redraw(look_when_there, folder, every)


def _print_each(
    look: Callable[[], list[RunStatus]],
    folder: str,
    shown: Callable[[list[RunStatus]], str],
    every: float,
) -> None:
    told = False
    while not streams.reader_has_gone():
        runs = look()
        if runs:
            click.echo(shown(runs))
        elif not told:
            told = True
            tell(f"batchsearch: {_waiting_for(folder)}", to_stderr=True)
        if _are_over(runs):
            return
        time.sleep(every)


def _redraw(look: Callable[[], list[RunStatus]], folder: str, every: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from batchsearch.pages.terminal import lines_on
    from batchsearch.tasks.status.status_page import status_page

    console = Console(highlight=False, emoji=False, markup=False)

    def drawn(runs: list[RunStatus]) -> Text:
        return Text("\n").join(lines_on(status_page(runs) if runs else _waiting_for(folder), console))

    runs = look()
    with Live(drawn(runs), console=console, auto_refresh=False) as live:
        while not _are_over(runs) and not streams.reader_has_gone():
            time.sleep(every)
            runs = look()
            live.update(drawn(runs), refresh=True)


def _are_over(runs: list[RunStatus]) -> bool:
    return bool(runs) and all(run.is_over for run in runs)


def _waiting_for(folder: str) -> str:
    return f"{folder}: no run has begun here yet; waiting for one, Ctrl-C ends it"
