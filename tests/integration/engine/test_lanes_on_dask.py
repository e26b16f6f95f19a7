"""The lanes of a job on the workers of a Dask cluster: real worker processes of this machine."""

import asyncio
import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from run_rig import sign_in

from batchsearch.emulator.instance_options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator
from batchsearch.engine.job.job_of_output import job_of
from batchsearch.engine.job.lanes import lanes_of
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.job.stop_signals import StopSignals
from batchsearch.engine.renewal.row_selector import RowSelector
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ManifestError
from batchsearch.python_api.output import Output
from batchsearch.storage.output_layout import instance_of, runs_in
from batchsearch.tasks.lanes.lane_keeper import Watching
from batchsearch.tasks.lanes.lane_order import LaneOrder, travelling
from batchsearch.tasks.lanes.whole_run import run_whole
from batchsearch.tasks.verify.folder_check import verify_folders
from batchsearch.telemetry.progress import Progress

pytest.importorskip("distributed")

NAMES = ("fast", "slow")
ROWS = [
    {"id": f"r{n:02}", "image": f"p{n:02}.jpg" if n else "no.jpg", "shop": NAMES[n % 3 == 1]}
    for n in range(36)
]
SAID = ["row_key", "instance", "outcome", "error_code", "hit_count", "request_key"]


@pytest.fixture(scope="module")
def shops():
    """An emulator with two instances that grant whatever comes, its keys in the environment."""
    instances = tuple(InstanceOptions(name=name, qps=1e9) for name in NAMES)
    with Emulator(EmulatorOptions(instances=instances)) as running, pytest.MonkeyPatch.context() as patched:
        sign_in(patched, running)
        yield running


@pytest.fixture(scope="module")
def cluster(shops):
    """The address of two worker processes."""
    from batchsearch.images.cluster.cluster_connection import connected

    with connected("local:2"):
        yield "local:2"


@pytest.fixture
def job(shops, load):
    def made(rows=ROWS, **more):
        places = [
            {"endpoint": shops.endpoint, "name": name, "qps": 1000, "custom_qps": True, "shared": "none"}
            for name in NAMES
        ]
        shops.log.clear()
        options = {
            "instance": places[0],
            "instances": places[1:],
            "manifest__columns": {"instance": "shop"},
        }
        return load(rows, **(options | more))

    return made


class StopsAtFirst(Progress):
    """A progress that stops the run as soon as calls are made."""

    def __init__(self, signals):
        super().__init__()
        self.signals = signals

    def update(self, stats):
        if stats.calls:
            self.signals.stop("enough")


async def test_each_instance_is_worked_for_on_a_worker(cluster, job, shops):
    """Each has an output of its own; together they are what one run makes, and nothing is left to do."""
    settings = job(workers__dask=cluster)
    whole = Path(settings.output.dir)
    summary = await run_whole(settings)
    assert (summary.exit_code, summary.rows, summary.ok, summary.failed) == (0, 36, 35, 1)
    assert summary.calls == len(shops.log.entries("SearchImageByPic"))
    assert json.loads((whole / "summary.json").read_text())["calls"] == summary.calls
    assert [instance_of(place) for place in runs_in(whole)] == list(NAMES)
    assert all(not +verified.findings.counts for verified in verify_folders(whole))
    alone = settings.model_copy(
        update={
            "output": settings.output.model_copy(update={"dir": f"{whole}-one"}),
            "workers": settings.workers.model_copy(update={"dask": None}),
        }
    )
    await run_whole(alone)
    one, many = pd.read_parquet(f"{whole}-one/results")[SAID], Output(whole).to_pandas("results", SAID)
    pd.testing.assert_frame_equal(*(each.sort_values("row_key", ignore_index=True) for each in (one, many)))
    again = await run_whole(settings)
    assert (again.exit_code, again.calls, again.done) == (0, 0, 36)
    with pytest.raises(ConfigError, match="holds an output for each instance"):
        await run_whole(settings.model_copy(update={"workers": alone.workers}))


async def test_lanes_that_are_stopped_go_on_where_they_were(cluster, job, shops):
    """A stop reaches the workers, which end in good order; no call is made twice."""
    slow = {"endpoint": shops.endpoint, "qps": 10, "shared": "none"}
    places = [{**slow, "name": name} for name in NAMES]
    settings = job(workers__dask=cluster, instance=places[0], instances=places[1:])

    async def stopped():
        signals = StopSignals()
        watching = Watching(tick=0.05, ask=0.05)
        progress = StopsAtFirst(signals)
        return await run_whole(settings, RunOptions(signals=signals, progress=progress), watching=watching)

    summary = await asyncio.create_task(stopped())
    assert (summary.exit_code, summary.message) == (4, "enough")
    assert summary.done < summary.rows == 36
    again = await run_whole(settings)
    assert (again.exit_code, again.done) == (0, 36)
    entries = shops.log.entries("SearchImageByPic")
    assert len({(entry.instance, entry.body_sha256) for entry in entries}) == len(entries) == 35


async def test_the_calls_of_all_lanes_together_are_no_more_than_allowed(cluster, job, shops):
    """A bound of calls is shared out."""
    summary = await run_whole(job(workers__dask=cluster), RunOptions(max_calls=7))
    assert summary.exit_code == 4
    assert summary.calls == len(shops.log.entries("SearchImageByPic")) == 7


async def test_an_output_that_was_begun_as_one_goes_on_as_one(cluster, job):
    """No second output is begun beside the one that there is."""
    settings = job()
    await run_job(settings, RunOptions(max_calls=3))
    settings = settings.model_copy(update={"workers": settings.workers.model_copy(update={"dask": cluster})})
    summary = await run_whole(settings)
    assert (summary.exit_code, summary.done) == (0, 36)
    assert runs_in(Path(settings.output.dir)) == [Path(settings.output.dir)]


async def test_a_lane_that_nobody_asks_after_stops(cluster, job, shops):
    """Its client is gone: it ends in good order, and says that it has to go on somewhere."""
    from batchsearch.images.cluster.cluster_connection import connected
    from batchsearch.tasks.lanes import lane_worker

    place = {"endpoint": shops.endpoint, "name": "fast", "qps": 1, "shared": "none"}
    settings = job(instance=place, instances=[{**place, "name": "slow"}])
    lane = lanes_of(settings)["slow"]
    order = LaneOrder("left-alone", "slow", travelling(lane), silence=1.5)
    with connected(cluster) as held:
        future = held.client.submit(lane_worker.work, order, pure=False)
        end = await asyncio.to_thread(future.result)
    assert end.moves
    assert end.summary["exit_code"] == 4
    assert "nobody has asked after it" in end.summary["message"]
    assert len(shops.log.entries("SearchImageByPic")) == end.summary["calls"] < 12


async def test_failed_rows_of_all_lanes_are_asked_again(cluster, job, shops, images, tmp_path):
    """`retry` takes the folder of all instances, and each asks for its own rows."""
    own = tmp_path / "own"
    own.mkdir()
    for number in range(1, 36):
        shutil.copy(images / f"p{number:02}.jpg", own)
    settings = job(workers__dask=cluster, images__root=str(own))
    assert (await run_whole(settings)).codes == {"Local.ImageMissing": 1}
    shutil.copy(images / "p39.jpg", own / "no.jpg")
    found = job_of(Path(settings.output.dir), overrides=(f"workers.dask={cluster}",)).settings
    assert found == settings
    shops.log.clear()
    summary = await run_whole(found, RunOptions(chosen=RowSelector(codes=("Local.ImageMissing",))))
    assert (summary.exit_code, summary.calls) == (0, 1)
    assert Output(Path(settings.output.dir)).to_pandas("results", ["outcome"])["outcome"].eq("ok").all()


async def test_what_is_wrong_with_the_job_is_said_once(cluster, job):
    """An error that all lanes have in common is raised as one run raises it."""
    settings = job(workers__dask=cluster, manifest__key=["nothing"])
    with pytest.raises(ManifestError) as caught:
        await run_whole(settings)
    assert str(caught.value).count("nothing") == 1


def test_nothing_secret_travels(job, shops):
    """An order holds the job and no credentials; a secret that the job itself holds is refused."""
    settings = job(notify__webhook="https://chat.example/hook")
    lane = lanes_of(settings)["slow"]
    sent = pickle.dumps(LaneOrder("token", "slow", travelling(lane)))
    assert shops.access_key_secret.encode() not in sent
    assert shops.access_key_id.encode() not in sent
    assert b"chat.example" not in sent
    order = LaneOrder("token", "slow", travelling(lane))
    assert order.settings() == lane.model_copy(update={"notify": order.settings().notify})
    literal = {"cdn.example": {"Authorization": "Bearer 12345"}}
    images = lane.images.model_copy(update={"headers": literal})
    with pytest.raises(ConfigError, match=r"Authorization would travel"):
        travelling(lane.model_copy(update={"images": images}))
    named = {"cdn.example": {"Authorization": "Bearer ${TOKEN}"}}
    images = lane.images.model_copy(update={"headers": named})
    assert "${TOKEN}" in travelling(lane.model_copy(update={"images": images}))
    assert replace(order, token="other") != order
