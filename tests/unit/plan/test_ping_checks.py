"""What `batchsearch ping` makes of what the service says of an instance."""

from datetime import UTC, datetime, timedelta

import pytest

from batchsearch.config.sections.instance_settings import InstanceSettings
from batchsearch.exit_codes import ExitCode
from batchsearch.service.client import Answer
from batchsearch.service.clock import ServiceClock
from batchsearch.service.responses import InstanceFacts
from batchsearch.tasks.ping.checks import failed_by, of_clock, of_instance, of_rate

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def job(**settings):
    return InstanceSettings(**{"region": "ap-southeast-1", "name": "shop", "qps": 5} | settings)


def facts(**said):
    whole = {
        "name": "shop",
        "region": "ap-southeast-1",
        "service_type": 1,
        "capacity": 100,
        "total_count": 1000,
        "qps": 5,
        "utc_create": None,
        "utc_expire_time": str(int((NOW + timedelta(days=200)).timestamp() * 1000)),
    }
    return InstanceFacts(**whole | said)


def millis(moment):
    return str(int(moment.timestamp() * 1000))


@pytest.mark.parametrize(
    ("said", "operation", "state", "code", "words"),
    [
        ({}, "SearchImageByPic", "ok", 0, "1,000 images of 1,000,000"),
        ({"service_type": 0}, "SearchImageByPic", "fail", 64, "`product`, the job says `generic`"),
        ({"service_type": 99}, "SearchImageByPic", "warn", 0, "99, which no page lists"),
        ({"region": "cn-shanghai"}, "SearchImageByPic", "fail", 64, "in cn-shanghai, the job says"),
        ({"total_count": 0}, "SearchImageByPic", "warn", 0, "it is empty"),
        ({"total_count": 0}, "AddImage", "ok", 0, "0 images"),
        ({"total_count": 960_000}, "SearchImageByPic", "warn", 0, "nearly full"),
        ({"total_count": 1_000_000}, "AddImage", "fail", 5, "it is full"),
        ({"total_count": 1_000_000}, "SearchImageByPic", "warn", 0, "it is full"),
        ({"utc_expire_time": millis(NOW - timedelta(days=1))}, "SearchImageByPic", "fail", 5, "has ended"),
        ({"utc_expire_time": millis(NOW + timedelta(days=3))}, "SearchImageByPic", "warn", 0, "ends soon"),
        ({"utc_expire_time": "soon", "capacity": None}, "SearchImageByPic", "ok", 0, "1,000 images"),
    ],
)
def test_an_instance_is_held_against_the_job(said, operation, state, code, words):
    """Kind, region, images, capacity and end each have their state, exit code and words."""
    check = of_instance(job(), facts(**said), operation, NOW)
    assert (check.state, check.exit_code) == (state, code)
    assert words in check.said
    assert bool(check.advice) == (state != "ok")


@pytest.mark.parametrize(
    ("settings", "bought", "state", "code"),
    [
        ({"qps": 5}, 5, "ok", 0),
        ({"qps": 10}, 5, "fail", 64),
        ({"qps": 1}, 5, "warn", 0),
        ({"qps": 5, "share": 0.5}, 5, "ok", 0),
        ({"qps": 5}, None, "unknown", 0),
    ],
)
def test_the_rate_is_the_one_that_was_bought(settings, bought, state, code):
    """More than was bought fails, less is pointed out, and a share of it is fine."""
    settings = job(**settings)
    check = of_rate(settings, facts(qps=bought), settings.qps)
    assert (check.state, check.exit_code) == (state, code)
    if state in {"fail", "warn"}:
        assert "instance.qps: 5" in check.advice


@pytest.mark.parametrize(
    ("apart", "state"),
    [
        (0.4, "ok"),
        (-30.0, "ok"),
        (61.0, "warn"),
        (-500.0, "warn"),
        (901.0, "fail"),
        (-90_000.0, "fail"),
        (None, "unknown"),
    ],
)
def test_a_clock_is_off_by_a_minute_before_it_is_told_and_by_a_quarter_hour_before_it_fails(apart, state):
    """The service refuses what is dated more than fifteen minutes from its own clock."""
    assert of_clock(apart).state == state


@pytest.mark.parametrize(
    ("code", "origin", "name", "exit_code"),
    [
        ("Transport.DnsFailed", "transport", "endpoint", 4),
        ("Transport.TlsFailed", "transport", "endpoint", 4),
        ("InvalidAccessKeyId.NotFound", "api", "credentials", 5),
        ("SignatureDoesNotMatch", "api", "credentials", 5),
        ("InvalidSecurityToken.Expired", "api", "credentials", 5),
        ("InvalidTimeStamp.Expired", "api", "clock", 5),
        ("Console.InstanceNotFound", "api", "instance", 5),
        ("Console.NoPermission", "api", "instance", 5),
        ("ServiceUnavailable", "api", "instance", 4),
    ],
)
def test_a_refusal_is_charged_to_what_it_is_about(code, origin, name, exit_code):
    """Network, key, clock and instance each have their own check, with advice."""
    answer = Answer(None, code, origin, "said", "r-1", None, None, NOW, 0.1)
    check = failed_by(answer)
    assert (check.name, check.state, check.exit_code) == (name, "fail", exit_code)
    assert code in check.said
    assert "r-1" in check.said
    assert check.advice


def test_a_good_answer_fails_nothing():
    """An answer without a code is no failure."""
    assert failed_by(Answer(200, None, None, None, None, None, None, NOW, 0.1)) is None
    assert of_clock(0.0).exit_code is ExitCode.DONE


def test_the_clock_hears_every_answers_date():
    """How far apart the clocks are is known from any answer that has a date, and from none without."""
    clock = ServiceClock(lambda: NOW)
    assert clock.apart is None
    clock.learn(None, {"date": "Thu, 26 Nov 2026 12:10:00 GMT"})
    assert clock.apart == pytest.approx(600.5)
    assert clock.skew == 0
    clock.learn(None, {"date": "yesterday"})
    assert clock.apart is None
