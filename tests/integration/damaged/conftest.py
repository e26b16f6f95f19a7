"""A finished night to spoil, with renewed rows and a history, and the commands over it."""

import json
import os
import shutil

import pandas as pd
import pytest
import yaml
from run_rig import command, granting, invoke, keys_of, put

from batchsearch import crash_points
from batchsearch.emulator.instance_options import EmulatorOptions
from batchsearch.emulator.server import Emulator

ROWS = 30
TABLES = ("results", "hits", "history", "staged")


@pytest.fixture(scope="module")
def instance(images):
    """Two instances that grant whatever comes, with a few images in each."""
    names = ("demo", "other")
    with Emulator(EmulatorOptions(instances=tuple(map(granting, names)))) as running:
        for number in range(6):
            for name in names:
                put(running, f"P{number}", images / f"p{number:02}.jpg", name)
        yield running


class Night:
    """A folder with a job and its images, and the commands over it."""

    def __init__(self, folder, instance):
        self.folder, self.out, self._instance = folder, folder / "out", instance

    def do(self, *arguments):
        """Run a command; its exit code, its line of JSON, what it said."""
        keys = keys_of(self._instance)
        if crash_points.VARIABLE not in os.environ:
            return self._here(arguments, keys)
        # A process that is to be killed is one of its own.
        ran = command(*arguments, env=keys)
        return self._said(ran.returncode, ran.stdout, ran.stderr)

    def _here(self, arguments, keys):
        ran = invoke(*arguments, env=keys)
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        return self._said(ran.exit_code, ran.stdout, ran.stderr)

    @staticmethod
    def _said(code, out, err):
        last = out.splitlines()[-1:]
        said = json.loads(last[0]) if last and last[0].startswith("{") else {}
        return code, said, err + str(said.get("message", ""))

    def run(self, *arguments):
        return self.do("run", self.folder / "job.yaml", "--no-progress", *arguments)

    def calls(self):
        return sum(
            len(self._instance.log.entries(name))
            for name in ("SearchImageByPic", "CompareSimilarByImage", "AddImage")
        )

    def files(self, *names):
        """Every file of the tables, wherever it is now, by its content."""
        found = {}
        for path in self.out.rglob("part-*.parquet"):
            found.setdefault(path.read_bytes(), path.relative_to(self.out).as_posix())
        return found

    def copied(self, folder):
        """A copy to spoil, with its files' times; the manifest stays the first one's, and so the job."""
        shutil.copytree(self.folder, folder)
        copy = Night(folder, self._instance)
        job = yaml.safe_load((folder / "job.yaml").read_text())
        job["manifest"]["path"] = str(self.folder / "manifest.csv")
        (folder / "job.yaml").write_text(yaml.safe_dump(job))
        return copy

    def rows(self):
        return sorted(pd.read_parquet(self.out / "results")["row_key"])


def made(folder, instance, images, /, **settings):
    folder.mkdir()
    lines = ["id,image,shop,family"]
    lines += [f"r{n:02},p{n:02}.jpg,{'other' if n % 3 == 0 else 'demo'},{n % 4}" for n in range(ROWS)]
    (folder / "manifest.csv").write_text("\n".join(lines))
    job = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": instance.endpoint, "name": "demo", "qps": 1000, "custom_qps": True},
        "manifest": {"path": "manifest.csv", "key": ["id"]},
        "images": {"root": str(images)},
        "output": {"dir": "out", "rows_per_part": 4},
    }
    for name, value in settings.items():
        job[name] = job[name] | value if isinstance(job.get(name), dict) else value
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return Night(folder, instance)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, instance, images):
    """A finished run with renewed rows and a history; it is copied before it is spoilt."""
    folder = tmp_path_factory.mktemp("finished") / "night"
    own = folder.with_name("images")
    shutil.copytree(images, own)
    night = made(folder, instance, own)
    code, _, said = night.run()
    assert code == 0, said
    shutil.copytree(night.out / "ledger", folder / "ledger-before")
    for number in (1, 9):
        shutil.copy(images / f"p{number + 20:02}.jpg", own / f"p{number:02}.jpg")
    code, said, text = night.run()
    assert (code, said["done"]) == (0, ROWS), text
    assert (night.out / "history").is_dir()
    return night


@pytest.fixture
def night(finished, tmp_path):
    """A copy of it."""
    return finished.copied(tmp_path / "night")


@pytest.fixture(scope="module")
def new_night(instance, images):
    """Makes a folder with a job over the instance."""
    return lambda folder, **settings: made(folder, instance, images, **settings)


def older_ledger(night):
    shutil.rmtree(night.out / "ledger")
    shutil.copytree(night.folder / "ledger-before", night.out / "ledger")


def another_new_ledger(night):
    from batchsearch.storage.ledger.store import Ledger

    shutil.rmtree(night.out / "ledger")
    (night.out / "ledger").mkdir()
    Ledger(night.out / "ledger" / "ledger.sqlite3").close()


def written(content):
    return lambda night: (night.out / "ledger" / "ledger.sqlite3").write_bytes(content)


LOST = {
    "ledger_removed": lambda night: shutil.rmtree(night.out / "ledger"),
    "ledger_file_removed": lambda night: [path.unlink() for path in (night.out / "ledger").iterdir()],
    "ledger_emptied": written(b""),
    "older_ledger": older_ledger,
    "another_new_ledger": another_new_ledger,
    "no_database": written(b"this is no database, and never was one" * 300),
}


@pytest.fixture(params=LOST)
def lost(request, night):
    """The night, its ledger lost in one of the ways."""
    night.files_before, night.calls_before = night.files(), night.calls()
    night.results_before = pd.read_parquet(night.out / "results")
    LOST[request.param](night)
    return night
