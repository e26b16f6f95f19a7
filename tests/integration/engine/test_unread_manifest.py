"""A manifest that is still the one that was read to its end is not read again, and any other one is."""

import os
import shutil

import pytest
from run_rig import harm, put

from batchsearch.emulator.faults import ErrorAnswer
from batchsearch.engine.job.run_options import RunOptions
from batchsearch.engine.renewal import manifest_mark
from batchsearch.engine.run.job import run_job
from batchsearch.manifest.source import Manifest

SEARCH = "SearchImageByName"


@pytest.fixture
def night(signed_in, load_here, images, tmp_path, monkeypatch):
    """Runs a job by name over so many rows of a manifest that stays as it is; says whether it was read."""
    for number in range(4):
        put(signed_in, f"P{number}", images / "p00.jpg")
    manifest = tmp_path / "names.csv"
    read = []
    check = Manifest.check
    monkeypatch.setattr(Manifest, "check", lambda *given: read.append(1) or check(*given))

    async def run(rows=None, most=None, **more):
        if rows is not None:
            lines = [f"r{number},P{number},front" for number in range(rows)]
            manifest.write_text("\n".join(["id,product_id,pic_name", *lines]) + "\n")
        settings = load_here([{"id": "r0"}], operation=SEARCH, manifest__path=str(manifest), **more)
        read.clear()
        summary = await run_job(settings, RunOptions(max_calls=most))
        return summary, bool(read)

    run.manifest = manifest
    return run


async def test_what_is_finished_and_the_same_is_not_read(night):
    """The second night over a finished manifest reads nothing of it and says what the first one said."""
    first, _ = await night(4)
    second, read = await night()
    assert not read
    assert (second.rows, second.done, second.ok, second.codes) == (4, 4, first.ok, first.codes)
    assert (second.calls, second.others, second.exit_code) == (0, 0, first.exit_code)
    third, read = await night(4 - 1)
    assert read
    assert (third.rows, third.others) == (3, 1)
    # While rows are there that the manifest does not have, it is read.
    assert (await night())[1]


@pytest.mark.parametrize("how", ["grown", "same size and time", "moved in place"])
async def test_a_file_that_was_changed_is_read(night, how):
    """More rows, other rows in as many bytes with the old time, another file under the name: each is seen."""
    await night(3)
    manifest = night.manifest
    before = manifest.stat()
    text = manifest.read_text()
    if how == "grown":
        manifest.write_text(text + "r3,P3,front\n")
    elif how == "same size and time":
        manifest.write_text(text.replace("r2,P2", "r3,P3"))
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        other = manifest.with_name("other")
        other.write_text(text.replace("r2,P2", "r3,P3"))
        shutil.copystat(manifest, other)
        other.replace(manifest)
    summary, read = await night()
    assert read
    assert summary.calls == 1


async def test_a_change_within_one_tick_of_the_clock_is_told_by_its_content(night, monkeypatch):
    """Where times are too young to tell, the same size, times and inode are not enough."""
    mark_of = manifest_mark._mark_of
    times = {"modified": 0, "changed": 2**62, "inode": 1}
    monkeypatch.setattr(manifest_mark, "_mark_of", lambda path: mark_of(path) | times)
    await night(3)
    assert not (await night())[1]
    night.manifest.write_text(night.manifest.read_text().replace("r2,P2", "r3,P3"))
    summary, read = await night()
    assert read
    assert summary.calls == 1


async def test_settings_failures_and_age_have_the_manifest_read(night, signed_in):
    """Another setting, failures that may pass and outcomes that are too old are looked at as ever."""
    await night(3)
    for read in (True, False):
        assert (await night(parameters={"num": 3}))[1] is read
    assert (await night(parameters={"num": 3}, reuse__renew_after_hours=0.0000001))[0].calls == 3
    assert (await night(parameters={"num": 3}, reuse__renew_after_hours=0.0000001))[0].calls == 3
    options = {"codes": {"PictureError": "retry"}, "calls__max_attempts": 1}
    harm(signed_in, ErrorAnswer("PictureError"), of=SEARCH, times=1)
    failed, _ = await night(4, parameters={"num": 3}, **options)
    assert failed.failed == 1
    again, read = await night(parameters={"num": 3}, **options)
    assert read
    assert (again.calls, again.failed) == (1, 0)
    assert not (await night(parameters={"num": 3}, **options))[1]


async def test_rows_of_a_stopped_night_are_read_again(night):
    """A night that left rows notes nothing: the next one reads the manifest and finishes them."""
    stopped, _ = await night(4, most=2)
    assert (stopped.done, stopped.exit_code) == (2, 4)
    rest, read = await night()
    assert read
    assert (rest.done, rest.calls) == (4, 2)
    assert not (await night())[1]


async def test_a_folder_of_images_is_looked_through_every_night(load_here, images, tmp_path):
    """A folder's own times say nothing of what is put below it: a new image is found, however deep."""
    folder = tmp_path / "pictures"
    (folder / "deep" / "er").mkdir(parents=True)
    shutil.copy(images / "p00.jpg", folder / "deep" / "er" / "a.jpg")
    settings = load_here(
        [{"id": "r0"}],
        manifest__path=str(folder),
        manifest__format="images",
        manifest__key=["image"],
        images__root=str(folder),
        reuse__notice_changes="no",
    )
    assert (await run_job(settings)).rows == 1
    os.utime(folder, (1, 1))
    assert (await run_job(settings)).calls == 0
    shutil.copy(images / "p01.jpg", folder / "deep" / "er" / "b.jpg")
    summary = await run_job(settings)
    assert (summary.rows, summary.calls) == (2, 1)
