"""How a child ended, and whether its parent should start it again. Pure.

::

    0                    done
    3                    done, but more rows failed than the job allows: the same again tomorrow
    4, 75, by a signal   incomplete, or the output was in use: again resumes
    5                    an answer that no row can survive: again would meet it again
    6                    the output's files and its ledger do not agree: somebody has to look
    64, 65               job file or manifest: again would say the same
    74                   the output or the ledger failed, a full disk for one: again resumes
    anything else        the process broke: again resumes, whatever it was
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from batchsearch.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Meaning = Literal["done", "again", "final"]

ACCEPTABLE: Final = (ExitCode.TOO_MANY_FAILED, ExitCode.INCOMPLETE)
"""What may count as done if the scheduler's author says so; the output is in good order with both."""

_FINAL: Final = frozenset(
    {
        ExitCode.TOO_MANY_FAILED,
        ExitCode.ENDED,
        ExitCode.DAMAGED,
        ExitCode.BAD_CONFIG,
        ExitCode.BAD_MANIFEST,
    }
)
_COMMAND_FAILED: Final = "failed"
_LONGEST: Final = 4_000
_LONGEST_VALUE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Attributes:
        exit_code: What it exited with; negative for the signal that killed it.
        result: The JSON object in its last line of stdout; None if there was none.
        last_lines: Its last lines on stderr that were no events.
        stopped: It was told to stop.
    """

    exit_code: int
    result: Mapping[str, Any] | None = None
    last_lines: tuple[str, ...] = ()
    stopped: bool = False


def result_of(line: str) -> dict[str, Any] | None:
    """The JSON object that a last line of stdout is; None if it is anything else."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def small(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without what is long: a scheduler keeps it in its database, the whole is in the output."""
    return {
        name: value for name, value in result.items() if len(json.dumps(value, default=str)) <= _LONGEST_VALUE
    }


def meaning_of(ended: Ended, *, accepted: Collection[int] = ()) -> Meaning:
    """Whether the work is done, should be started again, or would end the same way again.

    Args:
        ended: How the child ended.
        accepted: Exit codes that count as done beside 0. A child that was told to stop is never done.
    """
    code = ended.exit_code
    if ended.stopped and code != ExitCode.DONE:
        return "again"
    if code == ExitCode.DONE or code in accepted:
        return "done"
    return "final" if code in _FINAL else "again"


def describe(ended: Ended, command: str) -> str:
    """How it ended and why, for a scheduler's log; bounded."""
    if ended.exit_code < 0:
        how = f"was killed by {_signal_name(-ended.exit_code)}"
    else:
        how = f"ended with exit code {ended.exit_code}"
    if ended.stopped:
        how += " after it was told to stop"
    why = _why(ended)
    text = f"batchsearch {command} {how}: {why}" if why else f"batchsearch {command} {how}"
    return text[:_LONGEST]


def _why(ended: Ended) -> str:
    result = ended.result or {}
    parts = [str(result[name]) for name in ("status", "message") if result.get(name)]
    if result.get("status") == _COMMAND_FAILED and len(parts) > 1:
        parts = parts[1:]
    codes = result.get("codes")
    if ended.exit_code == ExitCode.TOO_MANY_FAILED and isinstance(codes, dict):
        parts.append(", ".join(f"{code}: {count}" for code, count in codes.items()))
    return "; ".join(parts) or "\n".join(ended.last_lines)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
