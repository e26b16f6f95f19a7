"""How commands that make calls begin and end: a line of JSON for schedulers, whatever happens."""

from __future__ import annotations

import signal
import sys
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from batchsearch.commands.options import fail
from batchsearch.errors import BatchsearchError, StoppedEarlyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Ended(Protocol):
    """What a command that makes calls ends with."""

    @property
    def exit_code(self) -> int:
        """What the process exits with."""

    def as_text(self) -> str:
        """For people."""

    def as_dict(self) -> dict[str, Any]:
        """For schedulers: written as one line of JSON."""


def run_to_exit(work: Callable[[], Ended], *, log_format: str, log_level: str) -> NoReturn:
    """Do the work of a command and exit as it says: a page to stderr, a line of JSON to stdout.

    A termination signal that comes before the work has its own handling ends the command in good order.

    Args:
        work: Returns how it ended, or raises BatchsearchError.
        log_format: `console`, or `json` for events in place of the page.
        log_level: Events of this level and above.
    """
    signal.signal(signal.SIGTERM, _stopped_early)
    as_events = log_format == "json"
    try:
        ended = work()
    except BatchsearchError as error:
        from batchsearch.redaction import redacted

        message = redacted(str(error))
        hand_on({"status": "failed", "exit_code": int(error.exit_code), "message": message})
        if as_events:
            from batchsearch.reporting.logs import configure, logger

            configure("json", log_level)
            logger().error("command_failed", exit_code=int(error.exit_code), message=message)
            sys.exit(int(error.exit_code))
        fail(error)
    if not as_events:
        click.echo(ended.as_text(), err=True)
    hand_on(ended.as_dict())
    sys.exit(int(ended.exit_code))


def hand_on(result: Mapping[str, Any]) -> None:
    """Write the line of JSON that a scheduler reads; where it cannot be, the exit code still says the end."""
    import json

    try:
        click.echo(json.dumps(result, ensure_ascii=False))
    except OSError as error:
        click.echo(f"batchsearch: the summary cannot be written to stdout: {error.strerror}", err=True)
        sys.stdout = None  # or Python tries, and fails, to flush it at exit


def _stopped_early(_number: int, _frame: object) -> NoReturn:
    fail(StoppedEarlyError())


def moment(text: str | None) -> datetime | None:
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
        raise click.BadParameter(
            f"{text!r} is no time like 06:00 or 2026-11-22T06:00", param_hint="--until"
        ) from None
