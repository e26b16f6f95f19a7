"""`batchsearch demo`: the demonstration from the package alone."""

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from run_rig import invoke

from batchsearch.tasks.init import demo_files as demo
from batchsearch.tasks.init.demo_files import JOB_FILE, write_demo

ROOT = Path(__file__).parents[3]


def run(*arguments):
    return invoke("demo", *arguments)


def names(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_the_demo_runs_where_nothing_is(tmp_path, monkeypatch):
    """In an empty folder it writes everything that it needs, runs, and resumes when called again."""
    monkeypatch.chdir(tmp_path)
    quick = ["--set", "instance.qps=1000", "--set", "instance.custom_qps=true", "--no-progress"]
    ran = run(*quick)
    assert ran.exit_code == 0, ran.stderr
    summary = json.loads(ran.stdout.splitlines()[-1])
    assert (summary["rows"], summary["done"], summary["failed"]) == (229, 229, 9)
    assert summary["truth"]["outcomes_matched"] == 229
    assert str(Path("batchsearch-demo", "output", "demo")) in ran.stderr
    assert len(list((tmp_path / "batchsearch-demo" / "output" / "demo" / "results").glob("*.parquet"))) > 0
    again = run(*quick)
    assert (again.exit_code, json.loads(again.stdout.splitlines()[-1])["calls"]) == (0, 0)


def test_what_is_there_stays(tmp_path):
    """A job file that its owner changed is not written over, and what is missing beside it comes back."""
    job = write_demo(tmp_path / "demo")
    first = names(tmp_path / "demo")
    job.write_text("changed: true\n", encoding="utf-8")
    (tmp_path / "demo" / "sample_data" / "queries.csv").unlink()
    write_demo(tmp_path / "demo")
    assert job.read_text(encoding="utf-8") == "changed: true\n"
    assert names(tmp_path / "demo") == first


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_folder_with_other_things_is_refused(tmp_path, kind):
    """Nothing is written beside somebody's own files; the message says what to give instead."""
    taken = tmp_path / "mine"
    if kind == "folder":
        taken.mkdir()
        (taken / "notes.txt").write_text("mine", encoding="utf-8")
    else:
        taken.write_text("mine", encoding="utf-8")
    before = names(tmp_path)
    ran = run(taken)
    assert ran.exit_code == 64
    assert "name a new folder" in ran.stderr
    assert names(tmp_path) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """A file in the way of the folder above is told with what to do, not as a traceback."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    ran = run(tmp_path / "file" / "demo")
    assert ran.exit_code not in (0, 1)
    assert "name another folder" in ran.stderr


def test_without_the_emulators_packages_nothing_is_written(tmp_path, monkeypatch):
    """The plain package says what to install before it makes a single file."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ran = run(tmp_path / "demo")
    assert ran.exit_code == 64
    assert "batchsearch[emulator]" in ran.stderr
    assert not (tmp_path / "demo").exists()


def test_the_package_carries_what_the_demo_writes(tmp_path):
    """Every file of the demo is listed for the wheel, and every table that its job file names is there."""
    write_demo(tmp_path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(target == f"batchsearch/demo/{source}" for source, target in listed.items())
    assert {*map(Path, listed)} == {*demo._FILES, *demo._FOLDERS}
    settings = yaml.safe_load((tmp_path / JOB_FILE).read_text(encoding="utf-8"))
    for path in (settings["manifest"]["path"], settings["emulator"]["catalogue"]["manifest"]["path"]):
        assert (tmp_path / JOB_FILE.parent / path).is_file()
