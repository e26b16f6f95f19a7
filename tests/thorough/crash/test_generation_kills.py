"""Kills while all parts are exchanged, by renewed outcomes or compaction: real processes, really killed."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from crash_rig.fork_server import ForkServer
from run_rig import granting, keys_of

from batchsearch.emulator.instance_options import EmulatorOptions
from batchsearch.emulator.server import Emulator

STEPS = (
    "compact_build:1",
    "compact_intent:1",
    "compact_exchange_hits:1",
    "compact_exchange_results:1",
    "compact_switch:1",
    "compact_clean:2",
)
ROWS = [f"r{number:02}" for number in range(12)]


@dataclass
class Called:
    """An emulator that outlives every process that calls it, and what starts them."""

    emulator: Emulator
    starter: ForkServer
    folder: Path

    def calls(self):
        return len(self.emulator.log.entries("SearchImageByPic"))

    def started(self, *arguments, crash_at=""):
        said = self.folder / "said.txt"
        said.write_text("")
        return self.starter.start(arguments, said, crash_at=crash_at)

    def ran(self, *arguments, crash_at=""):
        """A command, which must end well, or die where it is to be killed."""
        process = self.started(*arguments, crash_at=crash_at)
        assert process.wait() == (-signal.SIGKILL if crash_at else 0), process.text()


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    """The emulator of all tests, and processes that are forked and are killed like any others."""
    with (
        Emulator(EmulatorOptions(instances=(granting(),))) as running,
        ForkServer(keys_of(running)) as starter,
    ):
        yield Called(running, starter, tmp_path_factory.mktemp("said"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images, instance):
    """A folder with a job, its images, and the output of a finished run in six parts."""
    folder = tmp_path_factory.mktemp("night") / "kept"
    folder.mkdir()
    (folder / "images").mkdir()
    for number, _ in enumerate(ROWS):
        shutil.copy(images / f"p{number:02}.jpg", folder / "images" / f"{number}.jpg")
    lines = ["id,image", *(f"{row},{number}.jpg" for number, row in enumerate(ROWS))]
    (folder / "manifest.csv").write_text("\n".join(lines))
    (folder / "job.yaml").write_text(
        "operation: SearchImageByPic\n"
        f"instance: {{endpoint: '{instance.emulator.endpoint}', name: demo, qps: 1000, custom_qps: true}}\n"
        "manifest: {path: manifest.csv, key: [id]}\n"
        "images: {root: images}\n"
        "output: {dir: out, rows_per_part: 2}\n"
    )
    night = restored(folder)
    instance.ran("run", night / "job.yaml", "--no-progress")
    assert len(list((night / "out" / "results").iterdir())) == 6
    shutil.rmtree(folder)
    shutil.copytree(night, folder)
    return folder


def restored(kept):
    """What is kept, at the place where the job runs; files keep their times."""
    night = kept.with_name("night")
    shutil.rmtree(night, ignore_errors=True)
    shutil.copytree(kept, night)
    return night


@pytest.fixture
def night(finished):
    """That folder as it was, at the place where the job runs."""
    return restored(finished)


def whole(folder):
    """The results, each row once; hits agree with them and no leftover is seen."""
    results = pd.read_parquet(folder / "out" / "results").sort_values("row_key").reset_index(drop=True)
    assert list(results["row_key"]) == ROWS
    hits = pd.read_parquet(folder / "out" / "hits")
    assert hits.groupby("row_key").size().reindex(ROWS, fill_value=0).tolist() == list(results["hit_count"])
    return results


def tidy(folder):
    """Both tables have the same parts, and nothing is left of what was built beside them."""
    out = folder / "out"
    assert {path.name for path in (out / "results").iterdir()} == {p.name for p in (out / "hits").iterdir()}
    return not [path.name for path in out.iterdir() if ".next" in path.name]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_renewed_outcomes_come_in(night, instance, images, step):
    """Whatever the step, every row has one outcome at once, the new one after the next run; no call twice."""
    for number in (1, 4, 9):
        shutil.copy(images / f"p{number + 20:02}.jpg", night / "images" / f"{number}.jpg")
    calls = instance.calls()
    instance.ran("run", night / "job.yaml", crash_at=step)
    whole(night)
    instance.ran("run", night / "job.yaml")
    results = whole(night).set_index("row_key")
    assert list(results["earlier_outcomes"][results["earlier_outcomes"] > 0].index) == ["r01", "r04", "r09"]
    assert sorted(pd.read_parquet(night / "out" / "history")["row_key"]) == ["r01", "r04", "r09"]
    assert instance.calls() - calls == 3
    assert tidy(night)


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_parts_are_merged(night, instance, step):
    """Whatever the step, the rows are all there, unchanged, before and after compaction is repeated."""
    before = whole(night)
    instance.ran("compact", night / "out", crash_at=step)
    pd.testing.assert_frame_equal(whole(night), before)
    instance.ran("compact", night / "out")
    pd.testing.assert_frame_equal(whole(night), before)
    assert len(list((night / "out" / "results").iterdir())) == 1
    assert tidy(night)
    instance.ran("run", night / "job.yaml")


@pytest.mark.parametrize("step", [*STEPS, "compact_clean:3"])
def test_a_kill_while_columns_become_wider(night, instance, images, step):
    """Whatever the step, every row is there once with all its columns, and no row but the new one is paid."""
    shutil.copy(images / "p30.jpg", night / "images" / "12.jpg")
    added = [*ROWS, "r12"]
    lines = ["season,image,id", *(f"s{number},{number}.jpg,{row}" for number, row in enumerate(added))]
    (night / "manifest.csv").write_text("\n".join(lines))
    calls = instance.calls()
    instance.ran("run", night / "job.yaml", crash_at=step)
    whole(night)
    instance.ran("run", night / "job.yaml")
    results = pd.read_parquet(night / "out" / "results").sort_values("row_key")
    assert list(results["row_key"]) == added
    assert list(results["season"].fillna("")) == [""] * 12 + ["s12"]
    assert list(results["image"]) == [f"{number}.jpg" for number in range(13)]
    assert instance.calls() - calls == 1
    assert tidy(night)
    instance.ran("verify", night / "out")


def test_without_the_kill_nothing_is_proved(night, instance):
    """The tests above stand on the process being killed: a step that is never reached does not kill it."""
    assert instance.started("compact", night / "out", crash_at="compact_build:99").wait() == 0
    assert Path(night / "out" / "results").is_dir()
