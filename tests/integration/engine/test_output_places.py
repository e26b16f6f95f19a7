"""What commands make of the place that they are given: a run's folder, a dedup's, an address, or none."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import yaml
from run_rig import invoke

from batchsearch.engine.job.job_of_output import job_of
from batchsearch.engine.run.job import run_job

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(4)]
COMMANDS = {
    "status": ["status"],
    "usage": ["usage"],
    "verify": ["verify"],
    "report": ["report"],
    "export": ["export"],
    "compact": ["compact"],
    "retry": ["retry", "--failed"],
    "diff": ["diff"],
}


def run(settings):
    asyncio.run(run_job(settings))


@pytest.fixture
def night(signed_in, load, tmp_path):
    """The folder of a dedup, as far as its runs go: a search, and an upkeep that added its images."""
    folder = tmp_path / "night"
    common = {"instance__endpoint": signed_in.endpoint, "output__rows_per_part": 2}
    adds = [{**row, "product_id": row["id"]} for row in ROWS]
    run(
        load(
            adds,
            operation="AddImage",
            output__dir=str(folder / "sync" / "add"),
            parameters__pic_name="front",
            **common,
        )
    )
    rows = [*ROWS, {"id": "gone", "image": "gone.jpg"}]
    run(load(rows, output__dir=str(folder / "search"), **common))
    return folder


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_folder_that_is_not_there_is_told_in_the_same_words(command, tmp_path):
    """Every command says the same of a folder that is missing, and makes nothing of it."""
    gone = tmp_path / "gone"
    ran = invoke(*command, gone, *([gone] if command == ["diff"] else []))
    assert ran.exit_code == 64
    assert f"{gone}: there is no such folder; give the output folder (`output.dir`) of a job" in ran.output
    assert not gone.exists()


@pytest.mark.parametrize("name", ["status", "usage", "verify", "export", "compact", "retry"])
def test_a_folder_without_a_run_is_told_in_the_same_words(name, tmp_path):
    """Every command says the same of a folder in which no job has run, and leaves it as it is."""
    ran = invoke(*COMMANDS[name], tmp_path)
    assert ran.exit_code == 64
    assert f"{tmp_path}: no job has run here" in ran.output
    assert list(tmp_path.iterdir()) == []


def test_usage_counts_all_runs_of_a_dedup_and_what_else_can_be_read(night, tmp_path):
    """One bad folder is named and takes nothing from the others; a dedup's folder is all of its runs."""
    (tmp_path / "notes").mkdir()
    ran = invoke("usage", "--json", night, tmp_path / "notes", tmp_path / "gone")
    assert ran.exit_code == 0, ran.output
    lines = json.loads(ran.stdout)["lines"]
    assert sorted((line["operation"], line["slots_used"]) for line in lines) == [
        ("AddImage", 4),
        ("SearchImageByPic", 4),
    ]
    assert "notes: no job has run here" in ran.stderr
    assert "gone: there is no such folder" in ran.stderr
    assert ran.stderr.count("not counted") == 2


def test_compact_merges_every_run_of_a_dedup(night):
    """The parts of each run inside the folder become one; one folder alone is told as before."""
    ran = invoke("compact", "--json", night)
    assert ran.exit_code == 0, ran.output
    runs = json.loads(ran.stdout)["runs"]
    assert {Path(place).name: (done["before"], done["after"]) for place, done in runs.items()} == {
        "search": (3, 1),
        "add": (2, 1),
    }
    again = json.loads(invoke("compact", "--json", night / "search").stdout)
    assert (again["before"], again["after"], again["rows"]) == (1, 1, 5)


def test_retry_asks_the_search_of_a_dedup(night):
    """Failed rows of the search are asked for again from the folder of the night alone."""
    assert job_of(night).settings.output.dir == str(night / "search")
    shutil.copy(Path(job_of(night).settings.images.root, "p05.jpg"), night / "gone.jpg")
    ran = invoke("retry", night, "--failed", "--set", f"images.root={night}", "--no-progress")
    assert ran.exit_code == 0, ran.output
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (summary["calls"], summary["ok"], summary["failed"]) == (1, 5, 0)


def test_status_tells_every_run_of_a_dedup(night):
    """Each run inside the folder has its paragraph."""
    runs = json.loads(invoke("status", "--json", night).stdout)["runs"]
    assert sorted(Path(run["folder"]).name for run in runs) == ["add", "search"]


@pytest.fixture
def stored(bucket, make_job_here, s3_server, tmp_path):
    """The job file of a run whose output is in an object store."""
    from batchsearch.config.load import load_job

    file = make_job_here(
        ROWS,
        stores={"s3": {"endpoint": s3_server}},
        output__dir=f"s3://{bucket}/out/night",
        output__work_dir=str(tmp_path / "work"),
    )
    run(load_job(file, environ={}).settings)
    return file


def test_outputs_in_a_store_are_looked_at_by_their_address(stored, tmp_path, monkeypatch):
    """Status, usage, verify, report and diff take the address, name it, and leave nothing behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    address = yaml.safe_load(stored.read_text())["output"]["dir"]
    # The work folder is this machine's: another one would only have the address.
    shutil.rmtree(tmp_path / "work")
    config = ["--config", stored]
    status = invoke("status", address, *config)
    assert (status.exit_code, status.output.count(address)) == (0, 1), status.output
    usage = json.loads(invoke("usage", "--json", address, *config).stdout)
    assert usage["totals"]["slots_used"] == 4
    verified = invoke("verify", address, *config)
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout.splitlines()[-1])["folders"][0]["folder"] == address
    report = invoke("report", address, "--markdown", "facts.md", *config)
    assert report.exit_code == 0, report.output
    assert (tmp_path / "report.html").stat().st_size > 1000
    exported = invoke("export", address, *config)
    assert exported.exit_code == 0, exported.output
    assert len((tmp_path / "results.csv").read_text(encoding="utf-8-sig").splitlines()) == 5
    diff = json.loads(invoke("diff", "--json", address, address, *config).stdout)
    assert diff["counts"]
    assert {count for table in diff["counts"].values() for count in table.values()} == {0}
    nothing = invoke("status", f"{address}-gone", *config)
    assert (nothing.exit_code, "no job has run here" in nothing.output) == (64, True)
    assert list((tmp_path / "temporary").iterdir()) == []
