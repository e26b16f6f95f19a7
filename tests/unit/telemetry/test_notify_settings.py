"""Who is told: what a job file may say, and what a notification says."""

import json

import pytest

from batchsearch.config.load import load_job
from batchsearch.config.sections.notify_settings import NOTIFY_VARIABLE, NotifySettings
from batchsearch.errors import ConfigError, ManifestError, OutputInUseError, StoppedEarlyError
from batchsearch.telemetry.notify.message import kind_of, of_error, of_summary
from batchsearch.telemetry.notify.webhook import webhook_of

SUMMARY = {
    "exit_code": 3,
    "run_id": "20261121T000000Z-abc",
    "operation": "SearchImageByPic",
    "instance": "demo",
    "status": "done",
    "rows": 1200,
    "done": 1200,
    "ok": 1000,
    "failed": 200,
    "codes": {"A": 150, "B": 50},
    "calls": 1300,
    "denied": 7,
    "message": "",
}


@pytest.mark.parametrize(
    "address",
    [
        "https://host/hook?token=abc",
        "https://user:pass@host/hook",
        "https://host/hook#abc",
        "https://hooks.example/services/T0000/B0000/XXXXXXXXXXXXXXXXXXXX1234",
    ],
)
def test_an_address_with_a_secret_is_sent_to_the_environment(address):
    """A job file is shared and its settings are kept in the ledger: no secret goes there."""
    with pytest.raises(ValueError, match=NOTIFY_VARIABLE) as refused:
        NotifySettings(webhook=address)
    said = refused.value.errors(include_input=False)[0]["msg"]
    assert address not in said


@pytest.mark.parametrize("address", ["host/hook", "ftp://host/x", "https://", "https://a b/", "https://h:x/"])
def test_what_is_no_address_is_refused(address):
    """In the job file as in the environment; the environment's is not quoted."""
    with pytest.raises(ValueError):
        NotifySettings(webhook=address)
    with pytest.raises(ConfigError, match=NOTIFY_VARIABLE) as refused:
        webhook_of(NotifySettings(), {NOTIFY_VARIABLE: address})
    assert address.removeprefix("https://") not in str(refused.value) or address == "https://"


def test_the_environments_address_wins_and_is_never_shown():
    """Its host is all that may be shown of it."""
    settings = NotifySettings(webhook="http://10.0.0.5:8080/hook")
    assert webhook_of(settings, {}).host == "10.0.0.5"
    secret = "https://hooks.example/services/very-secret-part"
    hook = webhook_of(settings, {NOTIFY_VARIABLE: secret})
    assert (hook.address, hook.host) == (secret, "hooks.example")
    assert "very-secret-part" not in repr(hook)
    assert webhook_of(NotifySettings(), {}) is None


def test_when_takes_one_kind_or_several(make_job):
    """`when: failed` is `when: [failed]`; a mistyped kind is named with what there is."""
    job = make_job([{"id": 1, "image": "p00.jpg"}], notify__when="failed")
    assert load_job(job, environ={}).settings.notify.when == ("failed",)
    with pytest.raises(ConfigError, match=r"incomplete.*did you mean .?failed"):
        load_job(make_job([{"id": 1, "image": "p00.jpg"}], notify__when="failing"), environ={})


@pytest.mark.parametrize(
    ("code", "kind"), [(0, "done"), (4, "incomplete"), (3, "failed"), (5, "failed"), (64, "failed")]
)
def test_each_exit_code_has_its_kind(code, kind):
    """Done, resumable, or failed."""
    assert kind_of(code) == kind


def test_a_summarys_notification_says_it_in_a_line_and_in_full():
    """The text is for a chat, the summary for a program."""
    told = of_summary(SUMMARY, output="/out")
    assert told.kind == "failed"
    assert told.text == (
        "SearchImageByPic on demo: done. 1,000 ok, 200 failed, 0 left of 1,200 rows; 1,300 calls, 7 denied. "
        "Failed by code: 150 A, 50 B."
    )
    assert json.loads(json.dumps(told.as_dict()))["summary"] == SUMMARY


@pytest.mark.parametrize(
    ("error", "exit_code", "kind", "said"),
    [
        (ManifestError("no such column"), 65, "failed", "no such column"),
        (OutputInUseError("another run"), 75, "failed", "another run"),
        (StoppedEarlyError(), 4, "incomplete", "stopped before the first call"),
        (ConfigError("see https://host/x?Signature=leak"), 64, "failed", "see https://host/x?…"),
        (ZeroDivisionError("https://host/x?Signature=leak"), 1, "failed", "a defect: ZeroDivisionError"),
    ],
)
def test_an_errors_notification_says_what_to_do_and_no_secret(error, exit_code, kind, said):
    """Our own errors in their words; of a defect only its kind."""
    told = of_error(error, exit_code=exit_code, operation="o", instance="i", output="/out")
    assert (told.kind, told.exit_code, told.summary) == (kind, exit_code, None)
    assert told.message.startswith(said)
    assert "leak" not in json.dumps(told.as_dict())
