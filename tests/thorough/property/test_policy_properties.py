"""The retry policy: every answer has a decision, and no row is tried for ever."""

from hypothesis import given
from hypothesis import strategies as st

from batchsearch.backoff import backoff
from batchsearch.engine.retry.policy import EndRun, FailRow, History, Retry, RetryRules, decide

ACTIONS = st.sampled_from(["retry", "resign", "refresh_credentials", "fail_row", "end_run"])
HISTORIES = st.builds(
    History,
    attempts=st.integers(0, 100),
    denied=st.integers(0, 1000),
    elapsed=st.floats(0, 5000),
    ending_in_a_row=st.integers(0, 10),
    resigned=st.booleans(),
)
JITTER = st.floats(0, 1, exclude_max=True)


@given(action=ACTIONS, history=HISTORIES, jitter=JITTER, throttled=st.booleans())
def test_no_row_is_retried_beyond_its_bounds(action, history, jitter, throttled):
    """A repeat is decided only while time is left and, unless flow control refused, attempts are."""
    rules = RetryRules()
    decision = decide(action, history, rules, jitter=jitter, throttled=throttled)
    assert isinstance(decision, Retry | FailRow | EndRun)
    if isinstance(decision, Retry):
        assert history.elapsed < rules.max_seconds
        assert throttled or history.attempts < rules.max_attempts
        assert 0 <= decision.wait <= rules.cap_seconds


@given(step=st.integers(1, 10_000), jitter=JITTER)
def test_backoff_doubles_up_to_its_cap(step, jitter):
    """The wait lies between nothing and the smaller of the doubled base and the cap."""
    assert 0 <= backoff(step, jitter, base=0.5, cap=30) <= min(30, 0.5 * 2 ** min(step - 1, 30))


@given(history=HISTORIES, jitter=JITTER, hint=st.floats(0, 1000))
def test_the_services_hint_is_never_undercut(history, jitter, hint):
    """A repeat does not come before the service said it may."""
    decision = decide("retry", history, RetryRules(), jitter=jitter, throttled=True, retry_after=hint)
    assert isinstance(decision, FailRow) or decision.wait >= hint


@given(history=HISTORIES, jitter=JITTER)
def test_the_run_ends_only_after_enough_ending_answers_in_a_row(history, jitter):
    """One stray refusal of permission does not end a night; several in a row do."""
    decision = decide("end_run", history, RetryRules(end_after=3), jitter=jitter)
    if history.ending_in_a_row >= 3:
        assert isinstance(decision, EndRun)
    elif isinstance(decision, EndRun):
        # No attempts are left, and nothing but endings came since the first.
        assert history.ending_in_a_row >= history.attempts


@given(history=HISTORIES, jitter=JITTER)
def test_a_row_that_must_fail_fails_at_once(history, jitter):
    """No slot is spent on repeating what cannot succeed."""
    assert decide("fail_row", history, RetryRules(), jitter=jitter) == FailRow()


@given(history=HISTORIES, jitter=JITTER, action=st.sampled_from(["resign", "refresh_credentials"]))
def test_a_refused_signature_is_renewed_once(history, jitter, action):
    """A second refusal says that renewing does not help: no row can succeed."""
    decision = decide(action, history, RetryRules(), jitter=jitter)
    assert isinstance(decision, EndRun) == history.resigned
    if isinstance(decision, Retry):
        assert decision.refresh == (action == "refresh_credentials")


def test_a_row_is_not_failed_for_what_ends_the_run():
    """With a single attempt allowed, lost permission still ends the run and leaves the row to be done."""
    history = History(attempts=1, denied=0, elapsed=0.0, ending_in_a_row=1)
    assert decide("end_run", history, RetryRules(max_attempts=1), jitter=0.5) == EndRun()
    among_successes = History(attempts=8, denied=0, elapsed=1.0, ending_in_a_row=1)
    assert decide("end_run", among_successes, RetryRules(), jitter=0.5) == FailRow()
