"""Which failures are tried again, and what their tasks say."""

import fcntl
from datetime import UTC, datetime, timedelta

import pytest

NIGHT = "2026-11-20"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"BATCHSEARCH__INSTANCE__QPS": "fast"}, (1, "must be a number")),
        ({"BATCHSEARCH__MANIFEST__KEY": "[no_such_column]"}, (1, "no_such_column")),
        ({"BATCHSEARCH__MAX_FAILED": "0"}, (1, "Local.ImageMissing")),
        ({"BATCHSEARCH__WINDOW": "{start: '%H:00', end: '%H:01'}"}, (2, "the window opens")),
    ],
    ids=["bad configuration", "bad manifest", "too many failed rows", "out of its window"],
)
def test_only_what_another_try_can_mend_is_tried_again(run, monkeypatch, capfd, variables, expected):
    """Configuration, manifest and too many failed rows end the task; an incomplete run is tried again."""
    tries, says = expected
    in_six_hours = datetime.now(UTC) + timedelta(hours=6)
    for name, value in variables.items():
        monkeypatch.setenv(name, in_six_hours.strftime(value))
    ended = run("nightly_search", NIGHT, 1)
    search = ended["tasks"]["search"]
    assert (search["state"], search["tries"]) == ("failed", tries)
    assert "return_value" not in search["xcom"]
    out, err = capfd.readouterr()
    assert says in out + err


def test_credentials_that_are_refused_end_the_task(run, place, instances, monkeypatch):
    """An answer that no row can survive is not asked for again."""
    endpoint = instances("wrong_key")
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__ENDPOINT", endpoint)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "of-somebody-else")
    search = run("nightly_search", NIGHT, 1)["tasks"]["search"]
    assert (search["state"], search["tries"]) == ("failed", 1)
    assert search["xcom"]["summary"]["exit_code"] == 5
    assert "InvalidAccessKeyId" in search["xcom"]["summary"]["message"]


def test_an_output_in_use_is_tried_again(run, place):
    """Another run holds the folder: the next try may find it free."""
    lock = place / "search" / NIGHT / "ledger" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        search = run("nightly_search", NIGHT, 1)["tasks"]["search"]
    assert (search["state"], search["tries"]) == ("failed", 2)
    assert search["xcom"]["summary"]["exit_code"] == 75


def test_an_output_that_cannot_be_written_is_tried_again(run, place):
    """The output's lock cannot be made; somebody may mend that until the next try."""
    (place / "search" / NIGHT / "ledger" / "lock").mkdir(parents=True)
    search = run("nightly_search", NIGHT, 1)["tasks"]["search"]
    assert (search["state"], search["tries"]) == ("failed", 2)
    assert search["xcom"]["summary"]["exit_code"] == 74
