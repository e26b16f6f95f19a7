"""Images made ready by real workers: the same outcomes as here, whatever is lost on the way."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from cluster_rig import DaskCluster, Deadly, leave_after, worker_pids
from crash_rig.checks import table as ended_as
from distributed import Client
from run_rig import command as run_command
from run_rig import started, until_at_work
from web_rig import web_server

import batchsearch
from batchsearch.config.sections.image_settings import ImageSettings
from batchsearch.config.sections.worker_settings import WorkerSettings
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, MachineError
from batchsearch.images.cluster import cluster_connection, remote_workshop, worker_side
from batchsearch.images.outcome import Prepared, Rejected, Unreachable
from batchsearch.images.prepare import Preparing
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop_at
from batchsearch.manifest.rows import ImageReference
from batchsearch.tasks.check.checking import check_job

ROOT = Path(__file__).parents[3]
RULES = rules_for("generic", ImageSettings())


@pytest.fixture(scope="module")
def cluster():
    """Three workers, each a process."""
    with DaskCluster(3) as running:
        yield running


def command(*arguments):
    return run_command(*arguments, cwd=ROOT)


def test_a_check_on_workers_gives_the_verdicts_of_one_process(cluster, tmp_path):
    """Every awkward file of the demonstration has the same verdict, and the same bytes would be sent."""
    for name, more in (("here", ()), ("there", ("--dask", cluster.address))):
        out = tmp_path / name
        ran = command(
            "check",
            "configs/demo.yaml",
            "--set",
            f"output.dir={out}",
            "--save",
            out / "sent",
            "--json",
            *more,
        )
        assert ran.returncode == 0, ran.stderr
    here, there = (
        pq.read_table(tmp_path / name / "check" / "verdicts.parquet") for name in ("here", "there")
    )
    assert there.equals(here)
    saved = {path.name: path.read_bytes() for path in (tmp_path / "here" / "sent").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "there" / "sent").iterdir()} == saved


def test_images_in_the_manifest_travel(cluster, tmp_path):
    """Inline bytes get the same verdicts on workers."""
    for name, more in (("here", ()), ("there", ("--dask", cluster.address))):
        arguments = ("--output", tmp_path / name, "--json", *more)
        assert command("check", "configs/demo-parquet.yaml", *arguments).returncode == 0
    here, there = (pq.read_table(tmp_path / name / "verdicts.parquet") for name in ("here", "there"))
    assert there.equals(here)


def shop(load, images, **settings):
    """A job that searches forty images in an instance of its own that holds half of them."""
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg", "half": "ab"[n % 2]} for n in range(40)]
    rows += [{"id": "twice", "image": "p03.jpg"}, {"id": "gone", "image": "nowhere.jpg"}]
    catalogue = {
        "manifest": {
            "path": "manifest.csv",
            "key": ["id"],
            "where": 'half = "a"',
            "columns": {"product_id": "id", "pic_name": "id", "image": "image"},
        },
        "root": str(images),
    }
    return load(
        rows,
        instance__endpoint="emulator",
        instance__qps="unlimited",
        instance__custom_qps=False,
        emulator__catalogue=catalogue,
        **settings,
    )


async def test_a_run_on_workers_ends_as_one_without(cluster, load, images, tmp_path):
    """Outcomes, hits and what is said of the images are the same; calls stay here and are as many."""
    summaries = {}
    for name, workers in (("here", None), ("there", cluster.address)):
        settings = shop(load, images, output__dir=str(tmp_path / name), workers__dask=workers)
        summaries[name] = await run_job(settings)
    assert summaries["there"].calls == summaries["here"].calls == 40
    for table in ("results", "hits"):
        # Which of two rows with one image is called for depends on which is ready first.
        here, there = (
            ended_as(tmp_path / name, table, shared=("r03", "twice")) for name in ("here", "there")
        )
        pd.testing.assert_frame_equal(there, here)


async def test_going_to_workers_and_back_changes_no_job(cluster, load, images, tmp_path):
    """A job that was run here is finished there: where images are made ready is no part of what it is."""
    await run_job(shop(load, images), RunOptions(max_calls=10))
    second = await run_job(shop(load, images, workers__dask=cluster.address))
    assert (second.resumed, second.done, second.calls) == (second.resumed, 42, 30)


def test_plan_dedup_compare_and_report_use_the_workers(cluster, tmp_path, shop_of_copies):
    """Each says with workers what it says without."""
    job, compared = shop_of_copies
    for name, more in (("here", ()), ("there", ("--dask", cluster.address))):
        out = f"output.dir={tmp_path / name}"
        ran = command("dedup", job, "--set", out, "--json", *more)
        assert ran.returncode == 0, ran.stderr
        planned = command("plan", job, "--json", "--set", f"output.dir={tmp_path / 'none'}", *more)
        (tmp_path / f"{name}.plan").write_text(planned.stdout)
        page = command("report", tmp_path / name, "--output", tmp_path / f"{name}.html", *more)
        assert page.returncode == 0, page.stderr
        scored = command("compare", compared, "--set", f"output.dir={tmp_path / name}-pairs", "--json", *more)
        assert scored.returncode == 0, scored.stderr
    for table in ("pairs", "clusters"):
        here, there = (pq.read_table(tmp_path / name / table).to_pandas() for name in ("here", "there"))
        same = [column for column in here if not column.endswith(("_at", "run_id"))]
        pd.testing.assert_frame_equal(there[same], here[same])
        assert len(here)
    plans = [json.loads((tmp_path / f"{name}.plan").read_text()) for name in ("here", "there")]
    assert plans[0] == plans[1]
    assert plans[0]["calls"] > 0
    pages = [(tmp_path / f"{name}.html").read_text() for name in ("here", "there")]
    assert pages[1].count("/9j/") == pages[0].count("/9j/") > 4
    scores = [
        pd.read_parquet(tmp_path / f"{name}-pairs" / "scores.parquet").set_index("pair_key")["score"]
        for name in ("here", "there")
    ]
    pd.testing.assert_series_equal(*(each.sort_index() for each in scores))


@pytest.fixture
def shop_of_copies(make_job, images, tmp_path):
    """Job files of a dedup over products of which some are copies, and of a comparison of pairs."""
    rows = [{"id": f"r{n:02}", "image": f"p{n % 8:02}.jpg", "brand": f"b{n % 8}"} for n in range(12)]
    embedded = {"instance__endpoint": "emulator", "instance__qps": "unlimited", "instance__custom_qps": False}
    columns = {"product_id": "id", "pic_name": "id", "image": "image"}
    catalogue = {"manifest": {"path": "products.csv", "key": ["id"], "columns": columns}, "root": str(images)}
    dedup = {"product_column": "id", "pic_name_column": "id"}
    job = make_job(rows, **embedded, dedup=dedup, emulator__catalogue=catalogue)
    deduped = job.rename(tmp_path / "dedup.yaml")
    (tmp_path / "manifest.csv").rename(tmp_path / "products.csv")
    deduped.write_text(deduped.read_text().replace("path: manifest.csv", "path: products.csv"))
    pairs = [{"id": str(n), "primary_image": f"p{n:02}.jpg", "secondary_image": "p01.jpg"} for n in range(4)]
    return deduped, make_job(pairs, operation="CompareSimilarByImage", **embedded)


async def test_a_load_puts_what_the_workers_made_into_the_bucket(cluster, load, tmp_path):
    """The bucket holds the same bytes under the same names, and every row has its outcome."""
    rows = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(8)]
    contents = {}
    for name, dask in (("here", None), ("there", cluster.address)):
        settings = load(
            rows,
            operation="AddImage",
            instance__endpoint="emulator",
            instance__qps="unlimited",
            instance__custom_qps=False,
            manifest__columns={"product_id": "id", "pic_name": "id", "image": "image"},
            images__max_side=120,
            load={"to": str(tmp_path / f"{name}-bucket")},
            output__dir=str(tmp_path / name),
        )
        result = await batchsearch.arun_load(settings, dask=dask)
        assert (result.ok, result.summary.put) == (True, 8)
        files = (tmp_path / f"{name}-bucket").rglob("*.jpg")
        contents[name] = {file.name: file.read_bytes() for file in files}
    assert contents["there"] == contents["here"]
    assert len(contents["here"]) == 8


async def test_a_client_of_the_programs_own_is_used_and_left_open(cluster, load, images):
    """From Python a `Client` is given in place of an address."""
    with Client(cluster.address, set_as_default=False) as client:
        result = await batchsearch.arun(shop(load, images), dask=client)
        assert result.summary.done == 42
        assert client.status == "running"


PREPARING = Preparing(RULES)


async def made(cluster, root, references, task=PREPARING, **settings):
    """What workers make of these images."""
    async with open_workshop_at(
        WorkerSettings(dask=cluster.address), root, ImageSettings(**settings)
    ) as workshop:
        return await asyncio.gather(*(workshop.make(each, task) for each in references))


async def test_a_lost_worker_costs_its_images_preparation_and_no_image(cluster, images):
    """Workers are killed while they work; every image is made all the same."""
    references = [ImageReference(path=f"p{n % 40:02}.jpg") for n in range(400)]
    with Client(cluster.address, set_as_default=False) as client:
        before = worker_pids(client)
        making = asyncio.create_task(made(cluster, images, references, PREPARING, max_side=100))
        while not any((await asyncio.to_thread(client.processing)).values()):
            pass
        os.kill(next(iter(before.values())), signal.SIGKILL)
        found = await making
        client.wait_for_workers(3, timeout=60)
        assert set(worker_pids(client).values()) != set(before.values())
    assert all(isinstance(each, Prepared) for each in found)


async def test_an_image_that_ends_its_workers_is_unreachable_and_the_others_are_made(
    cluster, tmp_path, monkeypatch
):
    """Such an image is tried alone, and then left for another time."""
    (tmp_path / "a.jpg").write_bytes(b"image")
    (tmp_path / "b.jpg").write_bytes(b"deadly")
    monkeypatch.setattr(remote_workshop, "MOST_LOST", 1)
    references = [ImageReference(path="a.jpg")] * 5 + [ImageReference(path="b.jpg")]
    found = await made(cluster, tmp_path, references, Deadly())
    assert found[:5] == [5] * 5
    assert isinstance(found[5], Unreachable)
    assert (found[5].code, found[5].transient) == (remote_workshop.KILLED, True)


async def test_a_slow_image_holds_up_no_other(cluster, images):
    """What takes long is left for a bundle of its own: the others of its bundle come before it."""
    asked, release = [], asyncio.Event()

    async def answer(request):
        asked.append(request.match_info["name"])
        if request.match_info["name"] == "slow":
            await release.wait()
        return web.Response(body=(images / "p00.jpg").read_bytes())

    names = ["slow", *(f"quick{n}" for n in range(60))]
    done = []

    async def one(workshop, name):
        found = await workshop.make(ImageReference(url=f"http://{host}/{name}"), Preparing(RULES))
        done.append(name)
        if len(done) == 60:
            release.set()
        return found

    settings, workers = ImageSettings(allow_hosts=("127.0.0.1",)), WorkerSettings(dask=cluster.address)
    with Client(cluster.address, set_as_default=False) as client:
        client.run(leave_after, 0.5)
        try:
            async with (
                web_server(answer) as host,
                open_workshop_at(workers, images, settings) as workshop,
            ):
                found = await asyncio.gather(*(one(workshop, name) for name in names))
        finally:
            client.run(leave_after, worker_side.TOGETHER_SECONDS)
    assert all(isinstance(each, Prepared) for each in found)
    assert done[-1] == "slow"


async def test_a_worker_that_sees_another_folder_ends_the_run_and_charges_no_row(
    cluster, images, monkeypatch
):
    """Files that are only here are not missing images."""
    monkeypatch.setattr(remote_workshop, "names_seen", lambda _: ("only-here.jpg",))
    with pytest.raises(MachineError, match=r"does not see the images' folder .* mount it there"):
        await made(cluster, images, [ImageReference(path="p00.jpg")])
    inline = [ImageReference(data=(images / "p00.jpg").read_bytes()), ImageReference(data=b"no image")]
    good, bad = await made(cluster, images, inline)
    assert isinstance(good, Prepared)
    assert isinstance(bad, Rejected)


async def test_another_batchsearch_on_the_workers_is_refused_and_other_differences_are_told(
    cluster, images, monkeypatch
):
    """Images come out the same by the same code only."""
    told = []
    here = cluster_connection.versions_here()
    monkeypatch.setattr(cluster_connection, "_here", lambda: here | {"pillow": "0.1"})
    monkeypatch.setattr(cluster_connection, "logger", lambda: Recorder(told))
    assert await made(cluster, images, []) == []
    assert [(name, fields["here"]) for name, fields in told if name == "cluster_differs"] == [
        ("cluster_differs", {"pillow": "0.1"})
    ] * 3
    monkeypatch.setattr(cluster_connection, "_here", lambda: here | {"batchsearch": "9"})
    with pytest.raises(ConfigError, match=r"this is batchsearch 9, and tcp://.* has .*install"):
        await made(cluster, images, [])


class Recorder:
    """Keeps events."""

    def __init__(self, events):
        self._events = events

    def info(self, name, **fields):
        self._events.append((name, fields))

    warning = info


def test_a_scheduler_that_is_not_there_is_told_with_its_address(make_job, monkeypatch):
    """Nothing is charged with it: exit code 64, and what to look at."""
    monkeypatch.setattr(cluster_connection, "CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(ConfigError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"),
        cluster_connection.connected("tcp://127.0.0.1:9"),
    ):
        pass
    wrong = command("check", make_job([{"id": "1", "image": "p00.jpg"}]), "--dask", "local:none")
    assert wrong.returncode == 64
    assert "workers.dask" in wrong.stderr


def test_without_the_flag_nothing_of_dask_is_imported(make_job):
    """A plain run does not know of it."""
    job = make_job([{"id": "1", "image": "p00.jpg"}])
    code = f"""
import sys
from batchsearch.__main__ import main
sys.argv = ["batchsearch", "check", {str(job)!r}]
try:
    main()
except SystemExit as end:
    assert end.code == 0
assert "batchsearch.images.workshop" in sys.modules
sys.exit(any(name.split(".")[0] in ("dask", "distributed") for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_workers_log_no_address_and_no_secret(images, make_job):
    """Signed addresses travel to be fetched; nothing writes them down, whatever goes wrong."""
    secret = "Signature=c2VjcmV0"
    rows = [{"id": str(n), "image": f"http://127.0.0.1:9/{n}.jpg?{secret}"} for n in range(5)]
    rows.append({"id": "ftp", "image": f"ftp://host/a.jpg?{secret}"})
    with DaskCluster(1) as running:
        job = make_job(rows, images__allow_hosts=["127.0.0.1"])
        ran = command("check", job, "--dask", running.address, "--log-level", "debug")
        assert ran.returncode == 0, ran.stderr
        with Client(running.address, set_as_default=False) as client:
            logs = str(client.get_worker_logs()) + str(client.get_scheduler_logs())
        assert secret not in logs + running.log + ran.stderr + ran.stdout
        assert secret not in Path(json.loads(ran.stdout)["verdicts"]).read_bytes().decode("latin-1")


def test_a_lost_scheduler_ends_the_run_resumable(make_job, images, tmp_path):
    """Exit code 4; what was answered is kept, and the same command goes on without it."""
    rows = [{"id": f"r{n:03}", "image": f"p{n % 40:02}.jpg"} for n in range(4_000)]
    job = make_job(
        rows,
        instance__endpoint="emulator",
        instance__qps=50,
        instance__custom_qps=True,
        reuse__max_age_hours=0,
        images__max_side=100,
    )
    quietly = ("--no-progress", "--json", "--log-level", "debug")
    with (
        DaskCluster(1) as running,
        started("run", job, "--dask", running.address, *quietly) as process,
    ):
        until_at_work(process)
        running.kill_scheduler()
        said = "".join(process.stderr)
        summary = json.loads(process.stdout.read().splitlines()[-1])
    assert process.returncode == 4, said
    assert "scheduler" in summary["message"]
    assert 0 < summary["done"] < len(rows)
    again = command("run", job, "--json", "--max-calls", 5)
    assert json.loads(again.stdout.splitlines()[-1])["resumed"] == summary["done"]


def test_ctrl_c_stops_the_run_and_then_its_workers_in_good_order(make_job):
    """A terminal sends it to all of them; only the run answers it, no worker breaks off."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        rows = [{"id": str(n), "image": f"http://127.0.0.1:{port}/{n}.jpg"} for n in range(50)]
        job = make_job(rows, images__allow_hosts=["127.0.0.1"])
        with started("check", job, "--dask", "local:2", stdout=None, start_new_session=True) as process:
            connection, _ = listening.accept()
            with connection:
                os.killpg(process.pid, signal.SIGINT)
                said = process.communicate()[1]
    assert process.returncode == 4, said
    assert "KeyboardInterrupt" not in said
    assert "no verdicts were written" in said


async def test_a_stopped_check_goes_on_where_it_was(load, images, monkeypatch, tmp_path):
    """Parts of a check that was cancelled serve the next one, if their rows are what they were."""
    from batchsearch.tasks.check import checking

    monkeypatch.setattr(checking, "ROWS_A_BATCH", 4)
    monkeypatch.setattr(checking, "ROWS_A_SHARD", 8)
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(30)]
    settings = load(rows)
    whole = await check_job(settings, output=tmp_path / "whole")
    seen = []
    real = checking._Checker.check

    async def watched(self, row):
        seen.append(row.key)
        if len(seen) == 21:
            raise asyncio.CancelledError
        return await real(self, row)

    monkeypatch.setattr(checking._Checker, "check", watched)
    with pytest.raises(asyncio.CancelledError):
        await check_job(settings)
    assert not (tmp_path / "out" / "check" / "verdicts.parquet").exists()
    kept = sorted((tmp_path / "out" / "check" / "parts").glob("*.parquet"))
    assert kept
    stood = sum(pq.read_metadata(path).num_rows for path in kept)
    seen[:] = ["x"] * 100
    second = await check_job(settings)
    assert len(seen) - 100 == 30 - stood
    assert pq.read_table(second.verdicts).equals(pq.read_table(whole.verdicts))
    assert second.as_json().partition('"seconds"')[0] == whole.as_json().partition('"seconds"')[0]
    assert not (tmp_path / "out" / "check" / "parts").exists()


async def test_parts_of_other_rows_rules_or_days_are_not_taken(load, images, monkeypatch, tmp_path):
    """A part serves only the very question that it answered, and for a time."""
    from batchsearch.storage.parts.verdict_parts import ShardVerdicts, VerdictParts

    known = ShardVerdicts()
    known.add("a", [{"row_key": "1", "verdict": "pass"}])
    known.add("b", [{"row_key": "2", "verdict": "pass"}, {"row_key": "3", "verdict": "pass"}])
    parts = VerdictParts(tmp_path, max_age=3600)
    parts.write(0, known)
    read = parts.read(0)
    assert [each["row_key"] for each in read.of_batch(1, "b")] == ["2", "3"]
    assert read.of_batch(0, "b") is read.of_batch(1, "a") is read.of_batch(2, "c") is None
    assert parts.read(1).batches == []
    assert VerdictParts(tmp_path, max_age=-10).read(0).batches == []
    (parts.parts / "00000000.parquet").write_bytes(b"PAR1 not really")
    assert parts.read(0).batches == []


logging.getLogger("distributed").setLevel(logging.ERROR)
