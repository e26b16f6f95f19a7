"""Workers are killed ten times at seeded moments; nothing is lost, nothing is asked twice."""

import os
import queue
import random
import signal
import threading
from contextlib import contextmanager, suppress

import pandas as pd
import pyarrow.parquet as pq
import pytest
from cluster_rig import DaskCluster
from distributed import Client
from shop_rig import ImageServer

from batchsearch.engine.run.job import run_job
from batchsearch.tasks.check.checking import check_job
from batchsearch.tasks.dedup.night import run_night

KILLS = 10
FREE = ("_at", "_id", "_ids", "_ms", "_bytes")


class CountingServer(ImageServer):
    """Serves images by name, and counts how many were asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = 0
        self.moments = set()
        self.reached = queue.Queue()
        self.gate = threading.Lock()
        super().__init__()

    def data(self, path):
        with self.gate:
            self.asked += 1
            if self.asked in self.moments:
                self.reached.put(self.asked)
        return (self.folder / path.rpartition("/")[2]).read_bytes()


@pytest.fixture(scope="module")
def cluster():
    with DaskCluster(3) as running:
        yield running


@pytest.fixture
def server(images):
    running = CountingServer(images)
    yield running
    running.close()


@contextmanager
def killing(cluster, server, images):
    """Kill a worker whenever one of ten numbers of images drawn by chance have been asked for."""
    rng = random.Random(18)
    server.asked = 0
    server.moments = set(rng.sample(range(2, int(images * 0.8)), KILLS))
    killed = []

    def kill():
        with Client(cluster.address, set_as_default=False) as client:
            while server.reached.get() is not None:
                pids = []
                while not pids:
                    # All may be on their way back.
                    client.wait_for_workers(1, timeout=60)
                    found = client.run(os.getpid, on_error="return")
                    pids = sorted(pid for pid in found.values() if isinstance(pid, int))
                pid = rng.choice(pids)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        server.reached.put(None)
        thread.join()
    assert len(killed) == KILLS
    assert len(set(killed)) > 3, "no worker came back"


def rows_of(server, count):
    return [
        {"id": f"r{n:03}", "image": f"{server.address}/{n}/p{n % 40:02}.jpg", "shop": "ab"[n % 2]}
        for n in range(count)
    ]


FETCHED = {"images__allow_hosts": ["127.0.0.1"], "images__max_side": 100, "images__fetch_per_host": 2}


SAID = ["row_key", "instance", "outcome", "error_code", "hit_count", "request_key"]
"""What a row ended as. Which of equal rows was asked for the others depends on which was ready first."""


async def test_a_check_whose_workers_are_killed_ends_as_one_that_is_left_alone(
    cluster, server, load, tmp_path
):
    """Every row has the verdicts of an undisturbed check, once."""
    rows = rows_of(server, 600)
    undisturbed = await check_job(load(rows, **FETCHED), output=tmp_path / "undisturbed")
    settings = load(rows, **FETCHED, workers__dask=cluster.address)
    with killing(cluster, server, 600):
        page = await check_job(settings, output=tmp_path / "killed")
    assert pq.read_table(page.verdicts).equals(pq.read_table(undisturbed.verdicts))


async def test_a_run_over_two_instances_whose_workers_are_killed_makes_no_call_twice(
    cluster, server, load, tmp_path
):
    """Outcomes are those of an undisturbed run, one a row; no image is asked twice: workers only prepare."""
    rows = rows_of(server, 120)
    embedded = {"endpoint": "emulator", "qps": 10}
    settings = {
        **FETCHED,
        "instance": {**embedded, "name": "a"},
        "instances": [{**embedded, "name": "b"}],
        "manifest__columns": {"instance": "shop", "image": "image"},
    }
    tables = {}
    for name, workers in (("undisturbed", None), ("killed", cluster.address)):
        job = load(rows, **settings, output__dir=str(tmp_path / name), workers__dask=workers)
        if workers is None:
            summary = await run_job(job)
        else:
            with killing(cluster, server, 120):
                summary = await run_job(job)
        assert (summary.done, summary.calls, summary.denied) == (120, 40, 0)
        tables[name] = pq.read_table(tmp_path / name / "results", columns=SAID).to_pandas()
        tables[name] = tables[name].sort_values("row_key").reset_index(drop=True)
        assert tables[name]["row_key"].is_unique
    pd.testing.assert_frame_equal(tables["killed"], tables["undisturbed"])


async def test_a_dedup_whose_workers_are_killed_finds_the_same_pairs_and_clusters(
    cluster, server, load, images, tmp_path
):
    """Search, fingerprints and features go through workers that die; the tables are the same."""
    rows = rows_of(server, 120)
    columns = {"product_id": "id", "pic_name": "id", "image": "image"}
    settings = {
        **FETCHED,
        "instance__endpoint": "emulator",
        "instance__qps": "unlimited",
        "instance__custom_qps": False,
        "dedup": {"product_column": "id", "pic_name_column": "id"},
        "emulator__catalogue": {"manifest": {"path": "manifest.csv", "key": ["id"], "columns": columns}},
    }
    for name, workers in (("undisturbed", None), ("killed", cluster.address)):
        job = load(rows, **settings, output__dir=str(tmp_path / name), workers__dask=workers)
        if workers is None:
            summary = await run_night(job)
            wanted = server.asked
        else:
            with killing(cluster, server, wanted):
                summary = await run_night(job)
        assert summary.exit_code == 0
    for name, key in (("pairs", ["product_a", "product_b"]), ("clusters", ["cluster_id", "product_id"])):
        found = [pq.read_table(tmp_path / which / name).to_pandas() for which in ("undisturbed", "killed")]
        kept = [column for column in found[0] if column in key or not column.endswith(FREE)]
        assert len(found[0])
        pd.testing.assert_frame_equal(*(each[kept].sort_values(key).reset_index(drop=True) for each in found))
