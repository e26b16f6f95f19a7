"""`batchsearch ping`."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Final

import click

from batchsearch.commands.shared.options import CONFIG, SET, load
from batchsearch.commands.shared.showing import tell
from batchsearch.streams import printable_lines

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.tasks.ping.checks import Check
    from batchsearch.tasks.ping.pinging import Pinged

_EPILOG = """\b
Exit codes:
   0  a job can run; warnings say what to look at
   4  the service cannot be reached, or is failing: try again later
   5  the service refuses: credentials, permission, instance, clock
  64  no credentials, or the job does not fit the instance: correct it

\b
Examples:
  batchsearch ping search.yaml
  batchsearch ping search.yaml --set instance.region=ap-southeast-1
  batchsearch ping search.yaml --json | jq .instances[0].checks
"""
_MARKS: Final = {
    "ok": ("ok", "green"),
    "warn": ("warn", "yellow"),
    "fail": ("FAIL", "red"),
    "unknown": ("?", "cyan"),
}
_INDENT: Final = 22
_WIDEST: Final = 120


@click.command(epilog=_EPILOG)
@CONFIG
@SET
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout in place of the lines.")
def command(config: Path, *, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check that the instances of the job file CONFIG can be called as it says.

    One line for each check: credentials, endpoint, clock, the instance (its kind, region, images, end), and
    the rate that was bought. Each instance is asked once for its details (the operation Detail), which takes
    no slot of the searches. No manifest is read and nothing is written.
    """
    job = load(config, overrides)
    from batchsearch.tasks.ping.pinging import exit_code_of, ping

    found = asyncio.run(ping(job.settings))
    code = exit_code_of(found)
    if as_json:
        instances = [each.as_dict() for each in found]
        click.echo(json.dumps({"exit_code": int(code), "instances": instances}, ensure_ascii=False))
    else:
        for each in found:
            _show(each)
    sys.exit(int(code))


def _show(found: Pinged) -> None:
    tell(f"{found.instance} at {found.endpoint}")
    for check in found.checks:
        for line in _lines(check):
            click.echo(line)


def _lines(check: Check) -> list[str]:
    word, colour = _MARKS[check.state]
    width = max(60, min(_WIDEST, shutil.get_terminal_size((100, 24)).columns)) - _INDENT
    said = textwrap.wrap(printable_lines(check.said), width, break_long_words=False) or [""]
    lines = [f"  {click.style(f'{word:<5}', fg=colour)} {check.name:<13} {said[0]}"]
    lines += [" " * _INDENT + line for line in said[1:]]
    if check.advice:
        advice = textwrap.wrap(printable_lines(check.advice), width - 3, break_long_words=False)
        lines += [" " * _INDENT + ("-> " if not place else "   ") + line for place, line in enumerate(advice)]
    return lines
