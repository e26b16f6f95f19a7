"""`qps: unlimited`: what takes it, how it is written, and what stands in a pacer's and a limit's place."""

import asyncio
import json
import math

import pytest
from pydantic import ValidationError

from batchsearch.config.model import JobSettings
from batchsearch.config.sections.instance_settings import InstanceSettings
from batchsearch.engine.run.instance_access import pacer_for
from batchsearch.engine.run.stages import admitted_at_once
from batchsearch.pacing.in_flight import FixedLimit
from batchsearch.pacing.pacer import MAX_HOLD
from batchsearch.pacing.unpaced import Unpaced
from batchsearch.tasks.plan.estimate import Pace

EMBEDDED = {"endpoint": "emulator", "name": "demo", "qps": "unlimited"}


def test_the_embedded_instance_takes_it():
    """It lifts every budget of the embedded instance, and is written as it was read."""
    instance = InstanceSettings.model_validate(EMBEDDED | {"add_qps": 5})
    assert instance.unlimited
    assert [instance.qps_of(budget) for budget in ("query", "add", "update", "delete")] == [math.inf] * 4
    for mode in ("json", "python"):
        written = instance.model_dump(mode=mode)
        assert written["qps"] == "unlimited"
        assert InstanceSettings.model_validate(written) == instance
    assert json.loads(instance.model_dump_json())["qps"] == "unlimited"


@pytest.mark.parametrize(
    "where",
    [
        {"endpoint": None, "region": "ap-southeast-1"},
        {"endpoint": None, "region": "ap-southeast-1", "custom_qps": True},
        {"endpoint": "http://127.0.0.1:8088"},
    ],
)
def test_an_instance_that_is_called_over_http_does_not(where):
    """A purchased instance, and one of another process, have a rate: the message says what to write."""
    with pytest.raises(ValidationError, match=r"`unlimited` is for the embedded instance .* \(1, 5, 10\)"):
        InstanceSettings.model_validate(EMBEDDED | where)


@pytest.mark.parametrize("qps", ["inf", ".inf", math.inf, math.nan, "unlimitd", 0, -1, True])
def test_nothing_else_means_it(qps):
    """There is one way to write it; an infinite number is none."""
    with pytest.raises(ValidationError):
        InstanceSettings.model_validate(EMBEDDED | {"qps": qps})


def test_it_changes_no_jobs_identity():
    """A job that was begun at a tier goes on without one: the rate changes no answer."""
    from batchsearch.engine.job.identity import fingerprint

    def job(qps):
        return JobSettings.model_validate(
            {
                "operation": "SearchImageByPic",
                "instance": EMBEDDED | {"qps": qps},
                "manifest": {"path": "m.csv", "key": ["id"]},
                "output": {"dir": "out"},
            }
        )

    assert fingerprint(job(10)) == fingerprint(job("unlimited"))


async def test_a_slot_is_there_for_whoever_asks():
    """No rate is kept; only a denial that names a time is waited out, and no nonsensical one."""
    now = [100.0]
    unpaced = Unpaced(clock=lambda: now[0])
    assert [await unpaced.slot() for _ in range(50)] == [100.0] * 50
    unpaced.departed(100.0)
    unpaced.granted(100.0, 0.1)
    unpaced.denied(100.0, 0.1)
    assert await unpaced.slot() == 100.0
    unpaced.denied(100.0, 0.1, retry_after=10 * MAX_HOLD)
    waiting = asyncio.ensure_future(unpaced.slot())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    now[0] += MAX_HOLD
    assert await unpaced.slot() == 100.0 + MAX_HOLD
    assert (unpaced.rate, unpaced.tier, unpaced.ceiling) == (math.inf,) * 3
    await unpaced.close()


def test_its_job_has_such_a_pacer():
    """Nothing is shared with other processes, whatever `shared` says: the instance is this process's own."""
    instance = InstanceSettings.model_validate(EMBEDDED | {"shared": "host"})
    assert isinstance(pacer_for(instance, "query", "127.0.0.1:1", embedded=True), Unpaced)


def test_the_limit_in_flight_stays():
    """Slow answers of one's own machine are no reason to ask it for more at once."""
    limit = FixedLimit(4)
    for latency in (0.01, 100.0):
        limit.observe(latency)
    assert (limit.limit(), limit.ceiling) == (4, 4)
    with pytest.raises(ValueError, match="1 or more"):
        FixedLimit(0)


def test_rows_held_at_once_are_bounded():
    """Without a rate as many rows are held as at the fastest one."""
    assert admitted_at_once(math.inf, 4) == admitted_at_once(10_000, 4)


def test_a_ping_finds_nothing_amiss_in_it():
    """What has no rate is held against no tier."""
    from batchsearch.tasks.ping.checks import of_rate

    check = of_rate(InstanceSettings.model_validate(EMBEDDED), None, math.inf)
    assert (check.name, check.state) == ("rate", "ok")


def test_a_plan_without_a_rate_promises_no_time():
    """No rate, no hours: what is not known is not written as 0, and JSON stays JSON."""
    pace = Pace(math.inf)
    assert pace.unlimited
    assert pace.calls_a_night is None
    assert not Pace(10).unlimited


@pytest.mark.parametrize(
    ("given", "written"),
    [({}, "qps: unlimited"), ({"qps": 5.0}, "qps: 5"), ({"region": "ap-southeast-1"}, "qps: 1")],
)
def test_a_first_job_file_has_it_for_the_embedded_instance(tmp_path, given, written):
    """`init` leaves the embedded instance its own speed, and a purchased one its tier."""
    from batchsearch.tasks.init.starting import start

    file = tmp_path / "job.yaml"
    start(None, "dedup", file, **given)
    assert f"  {written}\n" in file.read_text(encoding="utf-8")
