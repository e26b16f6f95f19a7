"""How commands that make calls begin and end: a line of JSON for schedulers, whatever happens."""

from __future__ import annotations

import sys
from datetime import datetime, time, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import click

from batchsearch import interrupts
from batchsearch.commands.shared.options import DEFECT, PROGRESS, hand_on, logging_options, tell_error
from batchsearch.commands.shared.showing import JSON, show, wants_json
from batchsearch.errors import BatchsearchError, ExitCode, StoppedEarlyError
from batchsearch.telemetry.terminal_options import TerminalOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from batchsearch.pages.next_steps import NextStep


class Ended(Protocol):
    """What a command that makes calls ends with."""

    @property
    def exit_code(self) -> int:
        """What the process exits with."""

    def as_text(self) -> str:
        """For people."""

    def next_steps(self) -> Sequence[NextStep]:
        """Commands that come next."""

    def as_dict(self) -> dict[str, Any]:
        """For schedulers: written as one line of JSON."""


def terminal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--progress`, `--json`, `--log-level` and `--log-format`; the command gets them as `terminal`."""

    @wraps(command)
    def gathered(
        *arguments: Any, progress: bool, as_json: bool, log_format: str, log_level: str, **others: Any
    ) -> Any:
        terminal = TerminalOptions(
            progress=progress, as_json=as_json, log_format=log_format, log_level=log_level
        )
        return command(*arguments, terminal=terminal, **others)

    return PROGRESS(JSON(logging_options(gathered)))


def run_to_exit(work: Callable[[], Ended], terminal: TerminalOptions) -> NoReturn:
    """Do the work of a command and exit as it says: a page to people, a line of JSON to programs.

    Args:
        work: Returns how it ended, or raises BatchsearchError.
        terminal: How it shows what it does.
    """
    as_events, log_level = terminal.as_events, terminal.log_level
    told = wants_json(asked=terminal.as_json)
    try:
        ended = work()
    except (BatchsearchError, KeyboardInterrupt) as ending:
        interrupts.hush()
        error = ending if isinstance(ending, BatchsearchError) else StoppedEarlyError()
        message = _failed(error.exit_code, str(error), told=told, as_events=as_events, log_level=log_level)
        if not as_events:
            tell_error(message)
        sys.exit(int(error.exit_code))
    except Exception as error:
        said = f"{type(error).__name__}: {error}. {DEFECT}"
        _failed(ExitCode.DEFECT, said, told=told, as_events=as_events, log_level=log_level)
        raise
    interrupts.hush()
    if not as_events and not terminal.as_json:
        show(with_next(ended.as_text(), ended.next_steps()), int(ended.exit_code))
    if told:
        _hand_on(ended.as_dict())
    sys.exit(int(ended.exit_code))


def with_next(page: str, steps: Sequence[NextStep]) -> str:
    """A page that ends with what comes next."""
    if not steps:
        return page
    lines = []
    for number, step in enumerate(steps):
        lines += [f"  {'' if number else 'next':<9}  {step.why}", f"             {step.command}"]
    return "\n".join([page.rstrip("\n"), *lines, ""])


def _failed(code: ExitCode, message: str, *, told: bool, as_events: bool, log_level: str) -> str:
    """Tell schedulers and the log of an error; its message as it may be shown."""
    from batchsearch.redaction import redacted

    message = redacted(message)
    if told:
        _hand_on({"status": "failed", "exit_code": int(code), "message": message})
    if as_events:
        from batchsearch.telemetry.logs import configure, logger

        configure("json", log_level)
        logger().error("command_failed", exit_code=int(code), message=message)
    return message


def _hand_on(result: Mapping[str, Any]) -> None:
    import json

    hand_on(json.dumps(result, ensure_ascii=False))


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
