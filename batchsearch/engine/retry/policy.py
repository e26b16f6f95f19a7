"""What to do with an answer: a pure decision over the table of codes.

Roles: `batchsearch.service.codes.lookup` says what a code calls for (its action); `RetryRules` bounds it;
`decide` turns both, and the row's history, into a decision; the runner carries it out. A retried row goes
back through the pacer, so a repeated call takes a slot like any other and its wait holds none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batchsearch.backoff import BASE_SECONDS, CAP_SECONDS, backoff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.service.codes.table import Action


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Bounds on repeating a call.

    Attributes:
        max_attempts: Most attempts for one answer; attempts that flow control refused do not count,
            since they say nothing about the row.
        max_seconds: A row that has been tried for longer is not retried, seconds.
        base_seconds: Upper end of the first wait; it doubles with every attempt.
        cap_seconds: Upper end of any wait.
        end_after: Run-ending answers in a row, over all rows, that end the run.
        max_outage: A dead service or network is waited for so long, seconds.
        actions: Another action for a code than the table's.
    """

    max_attempts: int = 8
    max_seconds: float = 600.0
    base_seconds: float = BASE_SECONDS
    cap_seconds: float = CAP_SECONDS
    end_after: int = 3
    max_outage: float = math.inf
    actions: Mapping[str, Action] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """What happened before this answer was judged, this answer included.

    Attributes:
        attempts: Attempts made for this answer that flow control did not refuse.
        denied: Attempts that flow control refused.
        repeats: Attempts of any kind, those that do not count against the row included; how long to wait.
        elapsed: Seconds since the first attempt.
        ending_in_a_row: Run-ending answers since the last answer of another kind, over all rows.
        resigned: The row was already repeated with a new signature or new credentials.
    """

    attempts: int
    denied: int
    elapsed: float
    ending_in_a_row: int = 0
    repeats: int = 0
    resigned: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """Call again, not before `wait` seconds from now.

    Attributes:
        wait: Seconds.
        resign: The repeat is signed anew because the signature was refused; it will not be a second time.
        refresh: Fetch the credentials anew first.
    """

    wait: float
    resign: bool = False
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class FailRow:
    """The row ends with this answer's code."""


@dataclass(frozen=True, slots=True)
class EndRun:
    """No row can succeed until a person acts; nothing is lost, the row stays unfinished."""


Decision = Retry | FailRow | EndRun


def decide(
    action: Action,
    history: History,
    rules: RetryRules,
    *,
    jitter: float,
    throttled: bool = False,
    retry_after: float | None = None,
) -> Decision:
    """Decide what an unsuccessful answer means for its row and for the run.

    Args:
        action: What the code's table entry calls for.
        history: What happened so far, this answer included.
        rules: The bounds.
        jitter: A random number in [0, 1).
        throttled: The answer is flow control's: time alone bounds its repeats.
        retry_after: The service's own hint, seconds; the wait is never shorter.
    """
    if action == "fail_row":
        return FailRow()
    if action == "end_run" and history.ending_in_a_row >= rules.end_after:
        return EndRun()
    if action in {"resign", "refresh_credentials"} and history.resigned:
        return EndRun()
    tired = history.elapsed >= rules.max_seconds or (not throttled and history.attempts >= rules.max_attempts)
    if tired:
        # Nothing but run-ending answers since this row was first tried: it is not the row's fault.
        only_endings = action == "end_run" and history.ending_in_a_row >= history.attempts
        return EndRun() if only_endings else FailRow()
    if action in {"resign", "refresh_credentials"}:
        return Retry(0.0, resign=True, refresh=action == "refresh_credentials")
    step = history.denied if throttled else max(history.attempts, history.repeats)
    wait = backoff(max(1, step), jitter, base=rules.base_seconds, cap=rules.cap_seconds)
    return Retry(max(wait, retry_after or 0.0))
