"""What an answer says about its row, and what it does not."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from batchsearch.engine.retry.asking import asked
from batchsearch.engine.retry.judge import Judge
from batchsearch.engine.retry.policy import EndRun, FailRow, Retry, RetryRules
from batchsearch.engine.rows.pending_row import Attempt, PendingRow
from batchsearch.service.client import Answer
from batchsearch.service.codes.lookup import code_for
from batchsearch.telemetry.stats import Stats


class Heard:
    """Stands where the pacer stands, and remembers what it was told."""

    def __init__(self):
        self.told = []

    def granted(self, slot_at, latency):
        self.told.append("granted")

    def denied(self, slot_at, latency, retry_after=None):
        self.told.append("denied")


@pytest.fixture
def court():
    """A judge with a clock that tests set, its pacer, and its clock."""
    clock = SimpleNamespace(now=100.0)
    pacer, stats = Heard(), Stats()
    rules = RetryRules(max_attempts=3, actions={"Throttling*": "fail_row"})
    judge = Judge(
        rules,
        pacer,
        stats,
        clock=lambda: clock.now,
        jitter=lambda: 0.5,
    )
    return judge, pacer, clock


def answer(code, status=None, origin="api"):
    return Answer(status, code, origin, "said", "id", None, None, datetime(2026, 11, 21, tzinfo=UTC), 0.1)


def pending(clock):
    row = PendingRow(row=None, carried=None, digest=b"")
    row.first_sent = clock.now
    return row


def judged(court, row, code, status=None, origin="api"):
    judge, _, clock = court
    clock.now += 1
    return judge.judge(row, answer(code, status, origin), code_for(code, status), clock.now).decision


def test_what_fails_while_nothing_is_answered_says_nothing_about_the_row(court):
    """In an outage no row runs out of attempts."""
    row = pending(court[2])
    decisions = [judged(court, row, "Transport.ConnectFailed", origin="transport") for _ in range(50)]
    assert all(isinstance(decision, Retry) for decision in decisions)
    assert row.attempts_here == 0


def test_a_row_that_fails_while_others_succeed_runs_out_of_attempts(court):
    """When others are answered in between, the fault is counted against the row."""
    row = pending(court[2])
    for _ in range(2):
        court[2].now += 1
        court[0].succeeded(court[2].now, 0.1)
        assert isinstance(judged(court, row, "Transport.ReadTimeout", origin="transport"), Retry)
    court[2].now += 1
    court[0].succeeded(court[2].now, 0.1)
    assert judged(court, row, "Transport.ReadTimeout", origin="transport") == FailRow()


def tried(code, *runs):
    """As many attempts that failed as runs are named."""
    sent = datetime(2026, 11, 21, tzinfo=UTC)
    return [Attempt(0, sent, 0.1, 500, code, "id", denied=False, run=run) for run in runs]


def test_a_row_that_no_outage_explains_any_longer_is_judged(court):
    """After many refusals in several runs, the service's word counts even if nothing else was answered."""
    row = pending(court[2])
    row.attempts = tried("InternalError", *["one"] * 4, *["two"] * 4, "three")
    assert isinstance(judged(court, row, "InternalError", 500), Retry)
    assert row.attempts_here == 0
    row.attempts += tried("InternalError", "three")
    assert judged(court, row, "InternalError", 500) == FailRow()


@pytest.mark.parametrize(("code", "origin"), [("InternalError", "api"), ("Transport.NotJson", "transport")])
def test_one_outage_fails_no_row_however_long(court, code, origin):
    """Several runs are several: what one run tried, or two, says nothing about the row."""
    for runs in (["one"] * 1_000, ["one"] * 500 + ["two"] * 500, [None] * 500 + ["two"] * 500):
        row = pending(court[2])
        row.attempts = tried(code, *runs)
        assert isinstance(judged(court, row, code, 500, origin), Retry)
        assert row.attempts_here == 0


def test_waits_grow_while_nothing_counts(court):
    """In an outage a row asks less and less often, though its attempts are not counted."""
    row = pending(court[2])
    waits = [judged(court, row, "Transport.ConnectFailed", origin="transport").wait for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[-1] >= 10 * waits[0]


def test_flow_control_is_told_to_the_pacer_and_costs_no_attempt(court):
    """A denial slows the pace, and says nothing about the row."""
    row = pending(court[2])
    assert isinstance(judged(court, row, "DeniedRequest", 403), Retry)
    assert court[1].told == ["denied"]
    assert (row.attempts_here, row.denied_here) == (0, 1)


def test_an_override_may_name_a_family(court):
    """`Throttling*: fail_row` in the job file holds for every member."""
    assert judged(court, pending(court[2]), "Throttling.User", 400) == FailRow()


def test_endings_in_a_row_end_the_run_and_a_success_in_between_does_not(court):
    """Three refusals of permission on end; one success starts the count anew."""
    row = pending(court[2])
    assert isinstance(judged(court, row, "NoPermission", 403), Retry)
    court[0].succeeded(court[2].now, 0.1)
    assert isinstance(judged(court, pending(court[2]), "NoPermission", 403), Retry)
    assert isinstance(judged(court, pending(court[2]), "NoPermission", 403), Retry)
    assert judged(court, pending(court[2]), "NoPermission", 403) == EndRun()


async def test_nobody_waits_for_one_answer_longer_than_the_bound():
    """A hint of an hour gives the answer back, and is not slept."""
    slept = []

    class Denying:
        async def refresh_credentials(self):
            pass

        async def send(self, _call):
            return Answer(503, "ServiceUnavailable", "api", None, None, 3_600.0, None, datetime.now(UTC), 0.1)

    class Pacer(Heard):
        async def slot(self):
            return 0.0

        def departed(self, slot_at):
            pass

    async def sleep(seconds):
        slept.append(seconds)

    rules = RetryRules(max_attempts=4, max_seconds=60.0)
    answer, calls = await asked(Denying(), None, Pacer(), rules, clock=lambda: 0.0, sleep=sleep)
    assert (answer.code, calls, slept) == ("ServiceUnavailable", 1, [])
