"""`batchsearch ping` against running instances: one line a check, and an exit code that says who must act."""

import json
import socket

import pytest
from run_rig import invoke, sign_in

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

ROWS = [{"id": "a", "image": "p00.jpg"}]


@pytest.fixture
def shop(monkeypatch):
    """A running instance of the product kind, bought at 5, its key in the environment."""
    instances = (InstanceOptions(name="shop", qps=5, service_type="product", capacity=50_000),)
    with Emulator(EmulatorOptions(instances=instances)) as running:
        sign_in(monkeypatch, running)
        yield running


def ping(file, *arguments):
    ended = invoke("ping", file, "--json", *arguments)
    if not ended.stdout:
        return ended.exit_code, {}, ended.stderr
    told = json.loads(ended.stdout)
    assert told["exit_code"] == ended.exit_code
    return ended.exit_code, {each["check"]: each for each in told["instances"][0]["checks"]}, ended.output


def job(make_job, running, **settings):
    given = {"instance": {"endpoint": running.endpoint, "name": "shop", "qps": 5, "service_type": "product"}}
    return make_job(ROWS, **given | settings)


def states(checks):
    return {name: check["state"] for name, check in checks.items()}


def test_a_job_that_fits_its_instance_passes(make_job, shop):
    """Every check is made over one call, and says what it found; an empty instance is pointed out."""
    code, checks, _ = ping(job(make_job, shop))
    assert code == 0
    assert states(checks) == {
        "credentials": "ok",
        "endpoint": "ok",
        "clock": "ok",
        "instance": "warn",
        "rate": "ok",
    }
    assert shop.access_key_id in checks["credentials"]["said"]
    assert "0 images of 50,000" in checks["instance"]["said"]
    assert len(shop.log.entries("Detail")) == 1


def test_no_secret_is_shown(make_job, shop):
    """Of the credentials only the id is written, to whichever stream."""
    for arguments in ((), ("--json",)):
        ended = invoke("ping", job(make_job, shop), *arguments)
        assert shop.access_key_secret not in ended.output


def test_what_does_not_fit_is_told_with_the_line_to_change(make_job, shop):
    """A rate above the bought one and another kind of instance end with 64 and name the setting."""
    code, checks, _ = ping(
        job(make_job, shop), "--set", "instance.qps=10", "--set", "instance.service_type=generic"
    )
    assert code == 64
    assert checks["instance"]["advice"] == "set `instance.service_type: product`"
    assert "`instance.qps: 5`" in checks["rate"]["advice"]


def test_an_unknown_instance_and_a_wrong_key_are_told_apart(make_job, shop, monkeypatch):
    """The refusal is charged to the instance's name, or to the key; what comes after it is not checked."""
    code, checks, _ = ping(job(make_job, shop), "--set", "instance.name=other")
    assert (code, states(checks)["instance"], states(checks)["credentials"]) == (5, "fail", "ok")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "wrong")
    code, checks, _ = ping(job(make_job, shop))
    assert (code, states(checks)["credentials"]) == (5, "fail")
    assert states(checks)["endpoint"] == "ok"
    assert states(checks)["rate"] == "unknown"


def test_nobody_there_is_told_as_such(make_job, shop):
    """A port without a listener fails the endpoint with exit code 4, and says that it may be tried again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code, checks, _ = ping(
            job(make_job, shop), "--set", f"instance.endpoint={address}", "--set", "calls.max_attempts=1"
        )
    assert code == 4
    assert states(checks)["endpoint"] == "fail"
    assert "Transport.ConnectFailed" in checks["endpoint"]["said"]


def test_missing_credentials_end_it_before_any_call(make_job, shop, monkeypatch, tmp_path):
    """Without a key anywhere the command says where it looked and what to set; nobody is called."""
    monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_ID")
    monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    code, checks, _ = ping(job(make_job, shop))
    assert (code, states(checks)["credentials"]) == (64, "fail")
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in checks["credentials"]["advice"]
    assert len(shop.log.entries("Detail")) == 0


def test_a_denied_question_is_asked_again(make_job, monkeypatch):
    """`Detail` is granted once a second: a denial is waited out, not reported."""
    rates = {"other": 1.0}
    instances = (InstanceOptions(name="shop", qps=5, service_type="product", rates=rates),)
    with Emulator(EmulatorOptions(instances=instances)) as running:
        sign_in(monkeypatch, running)
        file = job(make_job, running)
        assert [ping(file)[0] for _ in range(3)] == [0, 0, 0]


def test_an_embedded_instance_is_started_and_taken_down(make_job, tmp_path):
    """For `endpoint: emulator` no key is needed, and nothing is left in the output folder."""
    instance = {"endpoint": "emulator", "name": "shop", "qps": 5}
    code, checks, output = ping(make_job(ROWS, instance=instance))
    assert code == 0, output
    assert set(states(checks).values()) == {"ok"}
    assert not (tmp_path / "out").exists()
    code, checks, output = ping(make_job(ROWS, instance=instance | {"qps": "unlimited"}))
    assert (code, states(checks)["rate"]) == (0, "ok"), output


def test_each_instance_of_a_job_has_its_lines(make_job, shop):
    """With `instances` every one is asked; the page has a head and five lines for each."""
    other = {"endpoint": "emulator", "name": "second", "qps": 1}
    file = job(make_job, shop, instances=[other], manifest__columns={"instance": "shop"})
    ended = invoke("ping", file)
    assert ended.exit_code == 0, ended.output
    heads = [line for line in ended.stdout.splitlines() if not line.startswith(" ")]
    assert [head.split(" at ")[0] for head in heads] == ["shop", "second"]
    for name in ("credentials", "endpoint", "clock", "instance", "rate"):
        named = [line for line in ended.stdout.splitlines() if line.split()[1:2] == [name]]
        assert len(named) == 2
