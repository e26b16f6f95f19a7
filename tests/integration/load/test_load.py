"""Loading an instance by batch tasks: every row one outcome, every image once, nothing put twice."""

import asyncio
import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from run_rig import harm

from batchsearch.config.load import load_job
from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.engine.run.job import run_job
from batchsearch.errors import ConfigError, ExitCode, RunEndedError
from batchsearch.tasks.load.bucket import open_bucket
from batchsearch.tasks.load.journal import Journal
from batchsearch.tasks.load.loading import load_job as load_all
from batchsearch.tasks.verify.folder_check import verify_folder

from .conftest import ROWS


def results(settings):
    return pd.read_parquet(settings.output.dir + "/results").set_index("id").sort_index()


def held(emulator):
    """What the instance holds: names and attributes."""
    return {
        (item.product_id, item.pic_name): (item.int_attr, item.custom_content)
        for item in emulator.catalogue().matching(None, start=0, num=1000)
    }


async def test_a_manifest_fills_an_instance(load_settings, signed, bucket):
    """Every image is on the instance with its attributes; every row has one outcome that names the task."""
    settings = load_settings()
    summary = await load_all(settings)
    assert (summary.exit_code, summary.put, len(summary.tasks)) == (ExitCode.DONE, 12, 1)
    wanted = {(row["product"], row["name"]): (row["price"], row["words"]) for row in ROWS}
    assert held(signed) == wanted
    found = results(settings)
    assert list(found["outcome"]) == ["ok"] * 12
    assert set(found["task_id"]) == {summary.tasks[0].task_id}
    assert found.loc["3", "loaded_name"] == "p03.jpg"
    assert found["source_sha256"].notna().all()
    assert (found["calls"] == 0).all()
    lines = (bucket / "batchsearch" / "increment.meta").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["OperationType"] for line in lines} == {"ADD"}
    assert not verify_folder(Path(settings.output.dir)).findings.counts


async def test_what_is_unchanged_is_neither_put_nor_listed_again(load_settings, signed, images, tmp_path):
    """A second load does nothing; one after a change puts and lists what has changed, and nothing else."""
    folder = tmp_path / "own"
    folder.mkdir()
    for number in range(12):
        (folder / f"p{number:02}.jpg").write_bytes((images / f"p{number:02}.jpg").read_bytes())
    settings = load_settings(images__root=str(folder))
    assert (await load_all(settings)).put == 12
    again = await load_all(settings)
    assert (again.exit_code, again.put, again.tasks) == (ExitCode.DONE, 0, ())
    (folder / "p05.jpg").write_bytes((images / "p30.jpg").read_bytes())
    rows = [row | ({"price": 700} if row["id"] == "7" else {}) for row in ROWS]
    changed = await load_all(load_settings(rows, images__root=str(folder)))
    assert (changed.put, [task.lines for task in changed.tasks]) == (1, [2])
    assert held(signed)["P07", "p07.jpg"][0] == 700
    assert len(held(signed)) == 12


async def test_a_bucket_that_has_the_images_is_not_filled_again(load_settings, bucket):
    """A new output over a bucket whose journal is lost puts images once more at most, and loads them all."""
    await load_all(load_settings())
    summary = await load_all(load_settings(output__dir="other"))
    assert (summary.exit_code, summary.outcomes.ok) == (ExitCode.DONE, 12)


async def test_more_images_than_a_task_may_have_take_several(load_settings, signed):
    """Tasks go one after another, none larger than the setting says."""
    summary = await load_all(load_settings(load__images_per_task=5))
    assert [task.lines for task in summary.tasks] == [5, 5, 2]
    assert len(held(signed)) == 12


async def test_each_row_fails_for_its_own_reason(load_settings, signed, images, tmp_path):
    """An image that is missing or too small, a bad attribute, a bad name: each its code, the rest loads."""
    small = tmp_path / "small.png"
    Image.new("RGB", (20, 20), "red").save(small)
    rows = [dict(row) for row in ROWS]
    rows[1]["image"] = "missing.jpg"
    rows[2]["image"] = str(small)
    rows[3]["words"] = "x" * 5000
    rows[4]["name"] = "../p04.jpg"
    rows[5]["name"] = "no-extension"
    rows[6]["name"] = rows[7]["name"]
    settings = load_settings(rows)
    summary = await load_all(settings)
    found = results(settings)
    assert found.loc["1", "error_code"] == "Local.ImageMissing"
    assert found.loc["2", "error_code"] in {"Local.ImageTooSmall", "Local.ImageOutsideRoot"}
    assert found.loc["3", "error_code"] == "Local.InvalidCustomContent"
    assert found.loc["4", "error_code"] == "Local.InvalidPicName"
    assert (found.loc["5", "outcome"], found.loc["5", "loaded_name"]) == ("ok", "no-extension.jpg")
    # Two products, one name, two images: a bucket has one of them.
    assert sorted(found.loc[["6", "7"], "error_code"].fillna("")) == ["", "Local.ObjectNameTaken"]
    assert summary.outcomes.ok == len(held(signed)) == 7
    await load_all(load_settings(rows, load__names="product_id/pic_name", output__dir="by-product"))
    assert ("P06", "P06/p07.jpg") in held(signed)
    assert ("P07", "P07/p07.jpg") in held(signed)


class _Wrapped:
    """A bucket in which something happens besides."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


def _wrap(monkeypatch, wrapper):
    """Have loads open their buckets in a wrapper."""
    monkeypatch.setattr(
        "batchsearch.tasks.load.loading.open_bucket", lambda *given: wrapper(open_bucket(*given))
    )


async def test_lines_that_the_instance_refuses_are_outcomes(load_settings, signed, bucket, monkeypatch):
    """A line that the task cannot take is its row's failure, with the instance's code; the file is kept."""

    class Losing(_Wrapped):
        """A bucket in which one image gets lost after it was put."""

        def put_file(self, name, file):
            (bucket / "batchsearch" / "p03.jpg").unlink(missing_ok=True)
            return self._inner.put_file(name, file)

    _wrap(monkeypatch, Losing)
    settings = load_settings()
    summary = await load_all(settings)
    found = results(settings)
    assert list(found.index[found["outcome"] == "failed"]) == ["3"]
    assert found.loc["3", "error_origin"] == "api"
    assert found.loc["3", "error_code"]
    assert (summary.tasks[0].failed, summary.unread) == (1, 0)
    assert len(held(signed)) == 11


async def test_deletions_are_loaded_as_well(load_settings, signed):
    """A DeleteImage job takes images away by a batch task, behind the guard of every deletion."""
    await load_all(load_settings())
    rows = ROWS[:3]
    with pytest.raises(Exception, match="max_deleted"):
        await load_all(_deleting(load_settings, rows))
    assert len(held(signed)) == 12
    summary = await load_all(_deleting(load_settings, rows, max_deleted=3))
    assert summary.outcomes.ok == 3
    assert {name for _, name in held(signed)} == {row["name"] for row in ROWS[3:]}


def _deleting(load_settings, rows, **more):
    columns = {"product_id": "product", "pic_name": "name"}
    return load_settings(
        rows, operation="DeleteImage", manifest__columns=columns, output__dir="deleted", **more
    )


async def test_a_row_that_is_loaded_is_not_added_by_a_run(load_settings, signed):
    """A run over the output of a load makes no call: every row has its outcome."""
    settings = load_settings()
    await load_all(settings)
    assert (await run_job(settings)).calls == 0
    assert not signed.log.entries("AddImage")


async def test_jobs_that_cannot_be_loaded_are_refused(load_settings, make_job):
    """Another operation, no bucket, a folder for a purchased instance, a store that it does not read."""
    with pytest.raises(ConfigError, match="AddImage or DeleteImage, not SearchImageByPic"):
        await load_all(load_settings(operation="SearchImageByPic", manifest__columns={"image": "image"}))
    bought = {"instance": {"region": "ap-southeast-1", "name": "demo", "qps": 5}}
    columns = {"image": "image", "product_id": "product", "pic_name": "name"}
    job = load_job(make_job(ROWS, operation="AddImage", manifest__columns=columns, **bought), environ={})
    with pytest.raises(ConfigError, match="load: is needed"):
        await load_all(job.settings)
    for to, said in (("folder", "which a purchased instance cannot read"), ("s3://b/f", "it reads OSS")):
        path = make_job(ROWS, operation="AddImage", manifest__columns=columns, load__to=to, **bought)
        with pytest.raises(ConfigError, match=said):
            await load_all(load_job(path, environ={}).settings)


async def test_a_task_that_is_refused_ends_the_load_and_the_next_one_goes_on(load_settings, signed):
    """Without the right to the bucket nothing is lost: the lines wait, and the next load brings them."""
    harm(signed, ErrorAnswer("Console.NoPermission"), of="IncreaseInstance")
    settings = load_settings()
    with pytest.raises(RunEndedError, match=r"Console\.NoPermission"):
        await load_all(settings)
    harm(signed)
    with Journal(_journal(settings)) as journal:
        assert journal.counts() == {"asked": 12}
    summary = await load_all(settings)
    assert (summary.put, summary.outcomes.ok) == (0, 12)


def _journal(settings):
    return Path(settings.output.dir) / "load" / "journal.sqlite3"


async def test_two_loads_into_one_folder_wait_for_each_other(load_settings, signed, tmp_path):
    """An instance has one task at a time, and a folder one list: neither load takes the other's."""
    others = [
        row
        | {"product": f"Q{row['id']}", "name": f"q{row['id']}.jpg", "image": f"p{int(row['id']) + 12}.jpg"}
        for row in ROWS
    ]
    one = load_settings(load__images_per_task=4)
    (tmp_path / "manifest.csv").rename(tmp_path / "first.csv")
    first = one.manifest.model_copy(update={"path": str(tmp_path / "first.csv")})
    one = one.model_copy(update={"manifest": first})
    other = load_settings(others, output__dir="other", load__images_per_task=4)
    found = await asyncio.gather(load_all(one), load_all(other))
    assert [(each.exit_code, each.outcomes.ok) for each in found] == [(0, 12)] * 2
    assert all(len(each.tasks) >= 3 for each in found)
    assert len(held(signed)) == 24


async def test_a_task_whose_list_was_replaced_is_brought_again(load_settings, signed, bucket, monkeypatch):
    """Which list the service has read nobody can say then: no line counts as done, and all are in the end."""

    class Shared(_Wrapped):
        """A bucket into which somebody else puts a list of his own, once."""

        replaced = False

        def put_file(self, name, file):
            mark = self._inner.put_file(name, file)
            if not Shared.replaced:
                line = {"OperationType": "DELETE", "ProductId": "P00", "PicName": "p00.jpg"}
                (bucket / "batchsearch" / name).write_text(json.dumps(line), encoding="utf-8")
                Shared.replaced = True
            return mark

    _wrap(monkeypatch, Shared)
    summary = await load_all(load_settings())
    assert [task.code for task in summary.tasks] == ["Increment.ListReplaced", None]
    assert summary.outcomes.ok == len(held(signed)) == 12


async def test_a_service_that_fails_while_a_task_runs_is_waited_for(load_settings, signed):
    """The task goes on by itself: looking at it may fail for a while, and nothing is asked for twice."""
    harm(signed, ErrorAnswer("Console.InternalError"), of="IncreaseList", skip=2, times=4)
    summary = await load_all(load_settings())
    assert (summary.exit_code, summary.outcomes.ok) == (ExitCode.DONE, 12)
    assert len(signed.log.entries("IncreaseInstance")) == 1


async def test_without_credentials_nothing_is_put(load_settings, bucket, monkeypatch, tmp_path):
    """Whether the instance can be asked is found out first: not after the images have gone to the bucket."""
    settings = load_settings()
    for name in ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match="no credentials"):
        await load_all(settings)
    assert not bucket.exists()
