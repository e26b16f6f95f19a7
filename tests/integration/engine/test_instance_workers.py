"""Several instances in one job: each row goes to its own, each instance at its own pace, one output."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import harm, sign_in
from run_rig import results_of as results

from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError
from batchsearch.tasks.plan.planning import plan_job

SEARCH = "SearchImageByPic"


@pytest.fixture
def shops(monkeypatch):
    """Two instances, of which one grants a hundred times what the other does."""
    instances = (InstanceOptions(name="fast", qps=1000), InstanceOptions(name="slow", qps=10))
    with Emulator(EmulatorOptions(instances=instances)) as running:
        sign_in(monkeypatch, running)
        yield running


@pytest.fixture
def job(shops, load):
    def made(rows, **more):
        other = {"endpoint": shops.endpoint, "name": "slow", "qps": 10}
        options = {
            "instance__endpoint": shops.endpoint,
            "instance__name": "fast",
            "instances": [other],
            "manifest__columns": {"instance": "shop"},
        }
        return load(rows, **(options | more))

    return made


def rows(fast, slow):
    """So many rows of each shop, the slow shop's first; rows without a shop are the first instance's."""
    return [
        *({"id": f"s{n:02}", "image": f"p{n:02}.jpg", "shop": "slow"} for n in range(slow)),
        *({"id": f"f{n:02}", "image": f"p{n:02}.jpg", "shop": "fast" if n % 2 else ""} for n in range(fast)),
    ]


async def test_each_row_goes_to_its_own_instance(shops, job):
    """By the manifest's column; equal images at two instances are two requests."""
    settings = job(rows(20, 6))
    summary = await run_job(settings)
    assert (summary.ok, summary.calls, summary.instance) == (26, 26, "fast, slow")
    found = results(settings)
    assert set(found.filter(like="s", axis=0)["instance"]) == {"slow"}
    assert found["instance"].value_counts().to_dict() == {"fast": 20, "slow": 6}
    sent = pd.Series([entry.instance for entry in shops.log.entries(SEARCH)]).value_counts().to_dict()
    assert sent == {"fast": 20, "slow": 6}


async def test_a_slow_instance_holds_nobody_up(shops, job):
    """The fast instance is done long before the slow one, although the slow one's rows come first."""
    await run_job(job(rows(30, 12)))
    entries = shops.log.entries(SEARCH)
    last = {name: max(e.arrived for e in entries if e.instance == name) for name in ("fast", "slow")}
    tenth_of_slow = sorted(e.arrived for e in entries if e.instance == "slow")[9]
    assert last["fast"] < tenth_of_slow


async def test_a_row_of_an_unknown_instance_is_refused_by_name(job):
    """A shop that the job file does not have costs no call and says so."""
    settings = job([*rows(2, 1), {"id": "x", "image": "p00.jpg", "shop": "elsewhere"}])
    summary = await run_job(settings)
    assert (summary.calls, summary.codes) == (3, {"Local.UnknownInstance": 1})
    assert "'elsewhere'" in results(settings).loc["x", "error_message"]


async def test_an_instance_that_ends_leaves_the_other_working(shops, job):
    """No permission on one: its rows are left, the other's are done; the run exits 5 and resumes."""
    harm(shops, ErrorAnswer("NoPermission"), of=SEARCH, instances=frozenset({"slow"}))
    settings = job(rows(20, 6))
    ended = await run_job(settings)
    assert (ended.exit_code, ended.done) == (5, 20)
    harm(shops)
    assert (await run_job(settings)).done == 26


async def test_a_plan_counts_each_instance_at_its_pace(job):
    """Calls add up; the slowest instance decides how long the job takes."""
    plan = await plan_job(job(rows(20, 6)))
    assert (plan.rows, plan.calls) == (26, 26)
    assert [(worker.instance, worker.calls) for worker in plan.instances] == [("fast", 20), ("slow", 6)]
    assert plan.pace.hours(plan.calls) == pytest.approx(6 / 10 / 3600)
    assert len(plan.as_dict()["instances"]) == 2


def test_two_instances_of_one_name_are_refused(job):
    """Rows could not tell them apart."""
    with pytest.raises(ConfigError, match="there twice"):
        job(rows(1, 1), instances=[{"endpoint": "http://127.0.0.1:9", "name": "fast", "qps": 1}])


async def test_the_most_calls_are_those_of_all_instances(shops, job):
    """`--max-calls` bounds the run, however many instances wait for their slots."""
    other = {"endpoint": shops.endpoint, "name": "slow", "qps": 10}
    summary = await run_job(job(rows(20, 20), instance__qps=10, instances=[other]), RunOptions(max_calls=5))
    assert (summary.calls, len(shops.log.entries(SEARCH))) == (5, 5)
    assert summary.message == "5 calls are made, as many as were allowed"


async def test_numbers_may_name_instances(load, tmp_path, monkeypatch):
    """A column of whole numbers names instances by their digits."""
    instances = (InstanceOptions(name="7", qps=1000), InstanceOptions(name="8", qps=1000))
    with Emulator(EmulatorOptions(instances=instances)) as running:
        sign_in(monkeypatch, running)
        pq.write_table(
            pa.table({"id": ["a", "b"], "image": ["p00.jpg", "p01.jpg"], "shop": [7, 8]}),
            tmp_path / "shops.parquet",
        )
        settings = load(
            [{"id": "a"}],
            instance__endpoint=running.endpoint,
            instance__name="7",
            instances=[{"endpoint": running.endpoint, "name": "8", "qps": 10}],
            manifest__columns={"instance": "shop"},
            manifest__path=str(tmp_path / "shops.parquet"),
        )
        assert (await run_job(settings)).ok == 2


def test_instances_need_a_column(job):
    """Without a column that says where rows go, further instances would never be called."""
    with pytest.raises(ConfigError, match="map a column to `instance`"):
        job(rows(1, 1), manifest__columns={})
