"""How commands that make calls begin and end: a line of JSON for schedulers, whatever happens."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

from batchsearch import interrupts
from batchsearch.commands.shared.options import (
    CONFIG,
    DASK,
    DEFECT,
    FRESH,
    MAX_CALLS,
    PROGRESS,
    RENEW,
    SET,
    UNTIL,
    hand_on,
    laid_over,
    load,
    load_for,
    logging_options,
    tell_error,
)
from batchsearch.commands.shared.showing import JSON, show, wants_json
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.errors import BatchsearchError, ExitCode, StoppedEarlyError
from batchsearch.telemetry.terminal_options import TerminalOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from batchsearch.config.load import LoadedJob
    from batchsearch.pages.next_steps import NextStep


AnyCommand: TypeAlias = "Callable[..., Any]"
"""A command before click makes one of it."""


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


@dataclass(frozen=True, slots=True)
class AskedJob:
    """The job file of a command, and what its options change in it."""

    config: Path
    overrides: tuple[str, ...]
    fresh: Path | None
    renew: bool
    dask: str | None

    def load(self, command: str | None = None) -> LoadedJob:
        """The job; for a command that works on the manifest as it is, its name (see `load_for`)."""
        overrides = laid_over(self.overrides, fresh=self.fresh, renew=self.renew, dask=self.dask)
        return load(self.config, overrides) if command is None else load_for(command, self.config, overrides)


def job_options(
    between: Callable[[AnyCommand], AnyCommand] | None = None,
) -> Callable[[AnyCommand], AnyCommand]:
    """Add the job file, `--set`, `--fresh`, `--renew` and `--dask`; the command gets them as `asked`.

    Args:
        between: More options, listed behind `--set`.
    """

    def added(command: AnyCommand) -> AnyCommand:
        @wraps(command)
        def gathered(
            *,
            config: Path,
            overrides: tuple[str, ...],
            fresh: Path | None,
            renew: bool,
            dask: str | None,
            **others: Any,
        ) -> Any:
            return command(asked=AskedJob(config, overrides, fresh, renew, dask), **others)

        last = FRESH(RENEW(DASK(gathered)))
        return CONFIG(SET(last if between is None else between(last)))

    return added


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


def run_options(most: Callable[[AnyCommand], AnyCommand] = MAX_CALLS) -> Callable[[AnyCommand], AnyCommand]:
    """Add `--until` and `--max-calls`; the command gets them as `options`.

    Args:
        most: The second one, where its help says more.
    """

    def added(command: AnyCommand) -> AnyCommand:
        @wraps(command)
        def gathered(*arguments: Any, until: datetime | None, max_calls: int | None, **others: Any) -> Any:
            return command(*arguments, options=RunOptions(until, max_calls), **others)

        return UNTIL(most(gathered))

    return added


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
