"""What an answer says about the pace, the run's health, and its row: learned, then decided.

The decision itself is `policy.decide`, pure; this keeps what it needs to know from one answer to the next.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import KW_ONLY, asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from batchsearch.engine.retry.health import Health, HealthRules
from batchsearch.engine.retry.policy import History, RetryRules, decide
from batchsearch.errors import RunEndedError
from batchsearch.service.codes.lookup import action_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchsearch.engine.retry.policy import Decision
    from batchsearch.engine.rows.pending_row import PendingRow
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer
    from batchsearch.pacing.unpaced import Unpaced
    from batchsearch.service.client import Answer
    from batchsearch.service.codes.table import Action, ErrorCode
    from batchsearch.telemetry.stats import Stats

_API_OUTAGES_BORNE: Final = 3
_TRANSPORT_OUTAGES_BORNE: Final = 10
"""How many times its attempts a row may fail, with nothing else answered, before it is to blame."""

_RUNS_BORNE: Final = 2
"""In how many runs it may: one outage is one run's, however long it is."""

_STORE: Final = "the object store for uploads"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an unsuccessful answer.

    Attributes:
        decision: What to do.
        throttled: Flow control refused the call.
        lasting: Every equal request would be refused in the same way.
    """

    decision: Decision
    throttled: bool
    lasting: bool


@dataclass(eq=False)
class Judge:
    """Judges the answers of one run.

    Attributes:
        rules: Bounds on repeating calls.
        pacer: Told how calls fared.
        stats: Denials are counted there, and what does not answer is noted.
        address: Host and port that calls go to.
        clock: A steady clock, seconds.
        jitter: Random numbers in [0, 1).
    """

    rules: RetryRules
    pacer: Pacer | SharedPacer | Unpaced
    stats: Stats
    _: KW_ONLY
    address: str = field(default="the service")
    clock: Callable[[], float]
    jitter: Callable[[], float]
    _ending_in_a_row: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._latest: deque[bool] = deque(maxlen=20)
        self.health = Health(HealthRules(longest=self.rules.max_outage))

    @property
    def denied_share(self) -> float:
        """Part of the latest calls that flow control refused, 0 to 1."""
        return sum(self._latest) / len(self._latest) if self._latest else 0.0

    def succeeded(self, slot_at: float, latency: float) -> None:
        """A call succeeded."""
        self.pacer.granted(slot_at, latency)
        self.stats.troubles.pop(self.address, None)
        self._latest.append(False)
        self.health.answered(self.clock())
        self._ending_in_a_row = 0

    def judge(self, pending: PendingRow, answer: Answer, entry: ErrorCode, slot_at: float | None) -> Verdict:
        """Decide on an unsuccessful answer to a call, or (without a slot) to an upload."""
        throttled = entry.throttles and slot_at is not None
        action = action_of(entry, self.rules.actions)
        self._learn(answer, entry, action, slot_at, throttled=throttled)
        pending.denied_here += throttled
        hopeless = not throttled and self._has_failed_in_several_runs(pending, answer, entry)
        counts = hopeless or (not throttled and self._says_something(pending, answer, entry))
        pending.attempts_here += counts
        pending.repeats_here += 1
        started = pending.first_sent if pending.first_sent is not None and counts else self.clock()
        decision = decide(
            action,
            History(
                attempts=max(pending.attempts_here, self.rules.max_attempts if hopeless else 0),
                repeats=pending.repeats_here,
                denied=pending.denied_here,
                elapsed=self.clock() - started,
                ending_in_a_row=self._ending_in_a_row,
                resigned=pending.resigned,
            ),
            self.rules,
            jitter=self.jitter(),
            throttled=throttled,
            retry_after=answer.retry_after,
        )
        return Verdict(decision, throttled, lasting=action == "fail_row" and answer.origin == "api")

    def _says_something(self, pending: PendingRow, answer: Answer, entry: ErrorCode) -> bool:
        """Whether an attempt counts against its row: not if nothing at all was answered since it began."""
        if not _is_outage(answer, entry):
            return True
        return pending.first_sent is not None and self.health.answered_since(pending.first_sent)

    def _has_failed_in_several_runs(self, pending: PendingRow, answer: Answer, entry: ErrorCode) -> bool:
        """Whether a row has failed so often, in so many runs, that outages no longer explain it.

        Sooner when it is the service that says so than when the way there does.
        """
        if not _is_outage(answer, entry):
            return False
        failed = [attempt for attempt in pending.attempts if attempt.code is not None and not attempt.denied]
        borne = _API_OUTAGES_BORNE if answer.origin == "api" else _TRANSPORT_OUTAGES_BORNE
        runs = {attempt.run for attempt in failed}
        return len(failed) > borne * self.rules.max_attempts and len(runs) > _RUNS_BORNE

    def _learn(
        self, answer: Answer, entry: ErrorCode, action: Action, slot_at: float | None, *, throttled: bool
    ) -> None:
        if slot_at is not None:
            self._latest.append(throttled)
            if throttled:
                self.stats.denied += 1
                self.pacer.denied(slot_at, answer.latency, answer.retry_after)
            elif answer.origin == "api":
                self.pacer.granted(slot_at, answer.latency)
        if not throttled and _is_outage(answer, entry):
            self.health.failed(self.clock())
            where = self.address if slot_at is not None else _STORE
            self.stats.troubles[self.address] = trouble_of(where, answer)
        else:
            self.health.answered(self.clock())
            self.stats.troubles.pop(self.address, None)
        if action == "end_run":
            self._ending_in_a_row += 1
        elif answer.origin == "api" and not throttled:
            self._ending_in_a_row = 0


def _is_outage(answer: Answer, entry: ErrorCode) -> bool:
    """Whether an answer is the kind that a broken service or network gives to everybody."""
    return answer.origin == "transport" or entry.owner == "service"


_KIND: Final = re.compile(r"^[A-Z]\w*(?:Error|Exception|Timeout|Mismatch|Disconnected): ")
"""A message begins with the kind of exception, which says nothing to people."""
_LONGEST: Final = 160


def trouble_of(address: str, answer: Answer) -> str:
    """An endpoint and why it does not answer, such as `10.0.0.9:443: connection refused`.

    Args:
        address: Host and port.
        answer: What came of the latest call; none of a refusal of what was asked.
    """
    said = _KIND.sub("", answer.message or "").strip()
    said = " ".join(said.removeprefix(f"{address}: ").split())[:_LONGEST]
    if answer.origin == "api":
        said = f"HTTP {answer.http_status} {said}".rstrip()
    return f"{address}: {said or 'no answer'} ({answer.code})"


def run_ended(entry: ErrorCode, answer: Answer, address: str) -> RunEndedError:
    """The error that ends a run, for an answer that no row can survive.

    Args:
        entry: What its code means.
        answer: What was answered.
        address: Host and port.
    """
    where = f"{address}: " if answer.origin == "transport" else ""
    said = f": {where}{answer.message}" if answer.message else ""
    named = f"; request id {answer.request_id}" if answer.request_id else ""
    denial = None if answer.denial is None else asdict(answer.denial)
    text = f"{entry.name}{said}{named} ({entry.advice})"
    return RunEndedError(entry.name, text, request_id=answer.request_id, denial=denial)
