"""Where what a command has to say goes: pages to people, JSON to programs.

On a terminal there is no JSON unless `--json` asks for it. Where stdout is a pipe or a file, programs get
it as ever.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

import click

from batchsearch.errors import ExitCode
from batchsearch.streams import printable, printable_lines

if TYPE_CHECKING:
    from typing import TextIO

    from batchsearch.pages.terminal import Mood

JSON = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="The JSON summary on stdout in place of the page, on a terminal as well.",
)
_MIXED: Final = frozenset({ExitCode.TOO_MANY_FAILED, ExitCode.INCOMPLETE})


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at a stream."""
    return stream is not None and stream.isatty()


def wants_json(*, asked: bool) -> bool:
    """Whether stdout gets the line of JSON: where it was asked for, and where a program reads."""
    return asked or not is_terminal(sys.stdout)


def show(page: str, exit_code: int | None = None) -> None:
    """Write a page for people to stderr, and to stdout where that alone is a terminal.

    Args:
        page: Its text.
        exit_code: What the command exits with, where the page says how it ended.
    """
    _write(page, sys.stderr, exit_code)
    if is_terminal(sys.stdout) and not is_terminal(sys.stderr):
        _write(page, sys.stdout, exit_code)


def tell(text: str, *, mark: str = "", to_stderr: bool = False) -> None:
    """Write a line that may hold what comes from outside.

    Args:
        text: The line.
        mark: What stands before it, with its colours.
        to_stderr: It is no part of the answer.
    """
    click.echo(f"{mark}{printable(text)}", err=to_stderr)


def columns_of_stdout() -> int | None:
    """How wide the terminal is that stdout goes to; None where it goes elsewhere."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else None


def show_answer(page: str) -> None:
    """Write a page that is what the command was asked for to stdout."""
    _write(page, sys.stdout, None)


def _write(page: str, stream: TextIO, exit_code: int | None) -> None:
    page = printable_lines(page)
    if not is_terminal(stream):
        click.echo(page, file=stream)
        return
    from batchsearch.pages.terminal import show_page

    show_page(page, stream, _mood_of(exit_code))


def _mood_of(exit_code: int | None) -> Mood:
    if exit_code is None:
        return "plain"
    if exit_code == ExitCode.DONE:
        return "good"
    return "mixed" if exit_code in _MIXED else "bad"
