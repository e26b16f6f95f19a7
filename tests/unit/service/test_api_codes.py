"""What a code calls for, by name, by family, by default."""

from __future__ import annotations

import pytest

from batchsearch.service.codes.lookup import action_of, advice_on, code_for
from batchsearch.service.codes.table import CODES


@pytest.mark.parametrize(
    ("name", "status", "action", "throttles"),
    [
        ("DeniedRequest", 403, "retry", True),
        ("DeniedRequest", 400, "retry", True),
        ("NoPermission", 403, "end_run", False),
        ("SearchTimeout", 400, "retry", False),
        ("Throttling", 400, "retry", True),
        ("Throttling.Whatever", 400, "retry", True),
        ("MissingPicContent", 400, "fail_row", False),
        ("MissingInstanceName", 400, "end_run", False),
        ("InvalidSecurityToken.Expired", 400, "refresh_credentials", False),
        ("InvalidSecurityToken.New", 403, "end_run", False),
        ("SignatureNonceUsed", 400, "resign", False),
        ("InvalidTimeStamp.Expired", 400, "resign", False),
        ("ServiceUnavailable", 503, "retry", False),
        ("Code.17", 200, "fail_row", False),
        ("Http.429", 429, "retry", True),
        ("Transport.ReadTimeout", None, "retry", False),
        ("Transport.TlsFailed", None, "end_run", False),
    ],
)
def test_actions_follow_the_code(name, status, action, throttles):
    """The code decides what happens; the status does not."""
    entry = code_for(name, status)
    assert (entry.name, entry.action, entry.throttles) == (name, action, throttles)


@pytest.mark.parametrize(
    ("status", "action"),
    [(400, "fail_row"), (403, "fail_row"), (499, "fail_row"), (500, "retry"), (599, "retry")],
)
def test_unknown_codes_have_a_default(status, action):
    """A code that nobody documented fails its row under a 4xx and is retried under a 5xx."""
    assert code_for("Brand.New", status).action == action


def test_an_unknown_code_under_429_slows_the_pace():
    """The status says what the code does not; a known code decides by itself."""
    entry = code_for("Quota.Exceeded", 429)
    assert (entry.name, entry.action, entry.throttles) == ("Quota.Exceeded", "retry", True)
    assert not code_for("Code.17", 429).throttles


@pytest.mark.parametrize(
    ("code", "advised"),
    [
        ("Http.403", "Read the message"),
        ("Http.418", "Read the message"),
        ("Http.599", "`batchsearch retry` asks again"),
        ("Brand.New", "`batchsearch retry` asks again"),
    ],
)
def test_a_row_that_has_ended_is_not_said_to_be_repeated(code, advised):
    """What nobody has documented is told by its status, and its repeats are over."""
    assert advised in advice_on(code)
    assert "is repeated" not in advice_on(code)


@pytest.mark.parametrize("status", [None, 200])
def test_unknown_codes_without_an_error_status_are_retried(status):
    """Where no status blames the request, the call is repeated."""
    assert code_for("Brand.New", status).action == "retry"


def test_a_family_does_not_hide_its_members():
    """An entry of its own wins over the family that its name belongs to."""
    assert code_for("Throttling.User", 400) is CODES["Throttling.User"]
    assert code_for("Missing*", 400).name == "Missing*"


@pytest.mark.parametrize(
    ("code", "action"),
    [
        ("Throttling.User", "end_run"),
        ("Throttling.Api", "fail_row"),
        ("Throttling", "fail_row"),
        ("Code.7", "retry"),
        ("SearchTimeout", "retry"),
        ("InvalidCategory", "fail_row"),
    ],
)
def test_the_job_file_overrides_a_code_or_its_family(code, action):
    """A code's own name wins over a family, a longer family over a shorter one, and both over the table."""
    overrides = {"Throttling.User": "end_run", "Throttling*": "fail_row", "Code.*": "retry", "C*": "end_run"}
    assert action_of(code_for(code, 400), overrides) == action
