"""One output for each instance: runs of one instance each, read together as one data set."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from run_rig import invoke, sign_in

from batchsearch.config.load import load_text
from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.job.job_of_output import job_of
from batchsearch.engine.job.lanes import lanes_of, whole_of
from batchsearch.engine.run.job import run_job
from batchsearch.python_api.output import Output
from batchsearch.storage.output_layout import instance_of, lane_folder, runs_in
from batchsearch.storage.remote.store_output import has_output, lanes_at

ROWS = [
    {
        "id": f"r{n:02}",
        "image": f"p{n:02}.jpg" if n else "missing.jpg",
        "shop": ("b", "a", "", "b-c")[n % 4],
    }
    for n in range(20)
]
NAMES = ("a", "b", "b-c")


@pytest.fixture(scope="module")
def shops():
    """An emulator with three instances that grant whatever comes."""
    instances = tuple(InstanceOptions(name=name, qps=1e9) for name in NAMES)
    with Emulator(EmulatorOptions(instances=instances)) as running:
        yield running


@pytest.fixture
def job(shops, load, monkeypatch):
    """The job of all three, its output `out`."""
    sign_in(monkeypatch, shops)
    places = [
        {"endpoint": shops.endpoint, "name": name, "qps": 1000, "custom_qps": True, "shared": "none"}
        for name in NAMES
    ]
    return load(ROWS, instance=places[0], instances=places[1:], manifest__columns={"instance": "shop"})


@pytest.fixture
async def whole(job):
    """The output of all instances, each worked for by a run of its own."""
    for lane in lanes_of(job).values():
        summary = await run_job(lane)
        assert summary.exit_code == 0
    return Path(job.output.dir)


def told(*arguments):
    """What a command says on stdout."""
    ended = invoke(*arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


async def test_runs_of_one_instance_each_make_the_output_of_one_run(whole, job):
    """Every row is in the output of its own instance, once, with the outcome that one run gives it."""
    assert [instance_of(place) for place in runs_in(whole)] == sorted(NAMES)
    alone = job.model_copy(update={"output": job.output.model_copy(update={"dir": f"{whole}-one"})})
    await run_job(alone)
    said = ["row_key", "instance", "outcome", "error_code", "hit_count", "request_key"]
    one = pd.read_parquet(f"{alone.output.dir}/results")[said]
    many = Output(whole).to_pandas("results", said)
    pd.testing.assert_frame_equal(*(each.sort_values("row_key", ignore_index=True) for each in (one, many)))
    for place in runs_in(whole):
        assert set(pd.read_parquet(place / "results")["instance"]) == {instance_of(place)}


def test_the_whole_is_read_as_one_data_set(whole, tmp_path):
    """Every command that reads an output takes the folder of all instances for one."""
    verified = json.loads(told("verify", whole, "--json"))
    assert (verified["status"], sum(each["rows"] for each in verified["folders"])) == ("whole", len(ROWS))
    lines = json.loads(told("usage", whole, "--json"))["lines"]
    assert {line["instance"]: line["rows_ok"] + line["rows_failed"] for line in lines} == {
        "a": 10,
        "b": 5,
        "b-c": 5,
    }
    assert len(json.loads(told("status", whole, "--json"))["runs"]) == len(NAMES)
    told("export", whole, "--csv", "--table", "results", "-o", tmp_path / "all.csv")
    assert len(pd.read_csv(tmp_path / "all.csv")) == len(ROWS)
    told("report", whole, "--output", tmp_path / "all.html")
    assert "20" in (tmp_path / "all.html").read_text(encoding="utf-8")
    assert json.loads(told("diff", whole, whole, "--json"))
    told("compact", whole)
    assert Output(whole).table("results").num_rows == len(ROWS)


@pytest.fixture
async def stored(job, bucket, s3_server, s3_account, shops):
    """The same in an object store; its address, and a job file that says how the store is reached."""
    sign_in(s3_account, shops)
    folder = Path(job.output.dir).parent
    connections = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
    output = job.output.model_copy(update={"dir": f"s3://{bucket}/night", "work_dir": str(folder / "work")})
    settings = job.model_copy(update={"output": output, "stores": connections})
    for lane in lanes_of(settings).values():
        assert (await run_job(lane)).exit_code == 0
    values = settings.model_dump(mode="json", exclude_unset=True)
    values["stores"] = {"s3": {"endpoint": s3_server}}
    (folder / "stored.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return settings, folder / "stored.yaml"


def test_the_whole_is_read_by_its_address(stored, tmp_path):
    """In an object store, too, the folder above those of the instances is one output."""
    settings, file = stored
    address = settings.output.dir
    verified = json.loads(told("verify", address, "--config", file, "--json"))
    assert (verified["status"], sum(each["rows"] for each in verified["folders"])) == ("whole", len(ROWS))
    assert {each["folder"] for each in verified["folders"]} == {
        f"{address}/{lane_folder(name)}" for name in NAMES
    }
    runs = json.loads(told("status", address, "--config", file, "--json"))["runs"]
    assert sum(run["outcomes"] for run in runs) == len(ROWS)
    assert json.loads(told("usage", address, "--config", file, "--json"))["totals"]["rows_ok"] == 19
    told("compact", address, "--config", file, "--rows", 100)
    told("export", address, "--config", file, "--csv", "--table", "results", "-o", tmp_path / "all.csv")
    assert len(pd.read_csv(tmp_path / "all.csv")) == len(ROWS)
    connections = settings.stores
    assert lanes_at(address, connections) == sorted(map(lane_folder, NAMES))
    assert not has_output(address, connections)
    assert has_output(f"{address}/{lane_folder('a')}", connections)


async def test_a_lane_is_taken_up_again_by_itself(whole, job):
    """A second round over each output finds nothing to do, and says so by its own rows."""
    for lane in lanes_of(job).values():
        again = await run_job(lane)
        assert (again.calls, again.done) == (0, again.rows)
    assert {again.instance} == {"b-c"}


async def test_the_job_of_the_whole_is_found_again(whole, job):
    """From the ledgers of its instances: the job of all of them, its output where they lie."""
    assert job_of(whole).settings == job.model_copy()
    for name, lane in lanes_of(job).items():
        assert whole_of(lane) == job
        assert job_of(whole / lane_folder(name)).settings == lane


def test_an_instance_without_an_output_is_missed(whole, job):
    """Verify is not content with the instances that are there."""
    (whole / lane_folder("b-c")).rename(whole.parent / "elsewhere")
    ended = invoke("verify", whole, "--json")
    assert ended.exit_code == 4
    found = [each["found"] for each in json.loads(ended.stdout)["folders"]]
    assert found == [{}, {}, {"instance_missing": 1}]


def test_an_instances_folder_is_one_name():
    """A name never leads out of the output's folder, and is found again from it."""
    for name in ("a", "../b", "c/d", "e%2F", "ü"):
        folder = Path("out") / lane_folder(name)
        assert (folder.parent, instance_of(folder)) == (Path("out"), name)


def test_an_instance_that_there_is_not_is_refused(make_job):
    """A misspelt name does not make a run of no rows."""
    text = make_job(ROWS, only_instance="demq").read_text(encoding="utf-8")
    with pytest.raises(Exception, match="no instance 'demq'"):
        load_text(text, Path("job.yaml"))
