"""Outputs whose ledger is lost, empty or an older one: refused with the ways on, and nothing is deleted."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from batchsearch.emulator.options import EmulatorOptions, InstanceOptions
from batchsearch.emulator.server import Emulator

ROWS = 30
TABLES = ("results", "hits", "history", "staged")


@pytest.fixture(scope="module")
def instance(pictures):
    """Two instances that grant whatever comes, with a few pictures in each."""
    from batchsearch.emulator.pictures import decode_picture
    from batchsearch.emulator.records import NewItem

    unlimited = dict.fromkeys(("add", "delete", "update", "other"), 1e9)
    options = InstanceOptions(name="demo", qps=1e9, rates=unlimited)
    other = InstanceOptions(name="other", qps=1e9, rates=unlimited)
    with Emulator(EmulatorOptions(instances=(options, other))) as running:
        for number in range(6):
            picture = decode_picture((pictures / f"p{number:02}.jpg").read_bytes(), "generic")
            for name in ("demo", "other"):
                item = NewItem(f"P{number}", "front")
                running.catalogue(name).add(item, picture, crop=True, region=None)
        yield running


class Night:
    """A folder with a job and its pictures, and the commands over it."""

    def __init__(self, folder, instance):
        self.folder, self.out, self._instance = folder, folder / "out", instance

    def do(self, *arguments):
        """Run a command; its exit code, its line of JSON, what it said."""
        keys = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self._instance.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self._instance.access_key_secret,
        }
        ran = subprocess.run(
            [sys.executable, "-m", "batchsearch", *map(str, arguments)],
            env=os.environ | keys,
            capture_output=True,
            text=True,
            check=False,
        )
        last = ran.stdout.splitlines()[-1:]
        said = json.loads(last[0]) if last and last[0].startswith("{") else {}
        return ran.returncode, said, ran.stderr + str(said.get("message", ""))

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

    def rows(self):
        return sorted(pd.read_parquet(self.out / "results")["row_key"])


def made(folder, instance, pictures, **settings):
    folder.mkdir()
    lines = ["id,image,shop,family"]
    lines += [f"r{n:02},p{n:02}.jpg,{'other' if n % 3 == 0 else 'demo'},{n % 4}" for n in range(ROWS)]
    (folder / "manifest.csv").write_text("\n".join(lines))
    job = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": instance.endpoint, "name": "demo", "qps": 1000, "custom_qps": True},
        "manifest": {"path": "manifest.csv", "key": ["id"]},
        "images": {"root": str(pictures)},
        "output": {"dir": "out", "rows_per_part": 4},
    }
    for name, value in settings.items():
        job[name] = job[name] | value if isinstance(job.get(name), dict) else value
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return Night(folder, instance)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, instance, pictures):
    """A finished run with renewed rows and a history; it is copied before it is spoilt."""
    folder = tmp_path_factory.mktemp("finished") / "night"
    own = folder.with_name("pictures")
    shutil.copytree(pictures, own)
    night = made(folder, instance, own)
    code, _, said = night.run()
    assert code == 0, said
    shutil.copytree(night.out / "ledger", folder / "ledger-before")
    for number in (1, 9):
        shutil.copy(pictures / f"p{number + 20:02}.jpg", own / f"p{number:02}.jpg")
    code, said, text = night.run()
    assert (code, said["done"]) == (0, ROWS), text
    assert (night.out / "history").is_dir()
    return night


@pytest.fixture
def night(finished, tmp_path, instance):
    """A copy of it, with its files' times."""
    shutil.copytree(finished.folder, tmp_path / "night")
    copy = Night(tmp_path / "night", instance)
    job = yaml.safe_load((copy.folder / "job.yaml").read_text())
    # The manifest is the job's own: the copy must be the same job.
    job["manifest"]["path"] = str(finished.folder / "manifest.csv")
    (copy.folder / "job.yaml").write_text(yaml.safe_dump(job))
    return copy


def ledger_removed(night):
    shutil.rmtree(night.out / "ledger")


def ledger_file_removed(night):
    for path in (night.out / "ledger").iterdir():
        path.unlink()


def ledger_emptied(night):
    (night.out / "ledger" / "ledger.sqlite3").write_bytes(b"")


def older_ledger(night):
    shutil.rmtree(night.out / "ledger")
    shutil.copytree(night.folder / "ledger-before", night.out / "ledger")


def another_new_ledger(night):
    from batchsearch.ledger.store import Ledger

    shutil.rmtree(night.out / "ledger")
    (night.out / "ledger").mkdir()
    Ledger(night.out / "ledger" / "ledger.sqlite3").close()


def no_database(night):
    (night.out / "ledger" / "ledger.sqlite3").write_bytes(b"this is no database, and never was one" * 300)


ONE_BECOMES_ANOTHER = "UPDATE rows SET digest = randomblob(16) WHERE digest = (SELECT max(digest) FROM rows)"
LOST = [ledger_removed, ledger_file_removed, ledger_emptied, older_ledger, another_new_ledger, no_database]


@pytest.mark.parametrize("spoilt", LOST)
@pytest.mark.parametrize("command", [("run", "--max-calls", "1"), ("run",), ("compact",)], ids=" ".join)
def test_parts_without_their_ledger_are_refused_and_kept(night, spoilt, command):
    """Whatever became of the ledger: exit code 6, no call, no sealed file moved, the ways on said."""
    spoilt(night)
    files, calls = night.files(), night.calls()
    if command[0] == "run":
        code, _, said = night.run(*command[1:])
    else:
        code, _, said = night.do("compact", night.out)
    assert code == 6, said
    assert "batchsearch recover" in said
    assert night.files() == files
    assert night.calls() == calls
    assert night.do("verify", night.out)[0] == 3


def test_a_sealed_part_that_is_missing_changed_or_swapped_ends_the_run_first(night):
    """Sealed parts are looked at before anything is moved: no leftover is touched while one is wrong."""
    parts = sorted((night.out / "hits").iterdir())
    left = night.out / "results" / "part-000099.parquet.tmp"
    left.write_bytes(b"half a part")
    sizes = [path.read_bytes() for path in parts[:2]]
    parts[0].write_bytes(sizes[1])
    parts[1].write_bytes(sizes[0])
    calls = night.calls()
    code, _, said = night.run()
    assert code == 6, said
    assert parts[0].name in said
    assert left.exists()
    assert night.calls() == calls
    for path, content in zip(parts, sizes, strict=False):
        path.write_bytes(content)
    code, _, said = night.run()
    assert code == 0, said
    assert not left.exists()


def test_a_row_that_the_ledger_lost_is_noticed_before_it_is_paid_for_again(night):
    """A flipped bit makes a row another one: the ledger's rows are no longer those that it ended with."""
    with sqlite3.connect(night.out / "ledger" / "ledger.sqlite3") as connection:
        connection.execute(
            "UPDATE rows SET digest = randomblob(16) WHERE digest = (SELECT max(digest) FROM rows)"
        )
    connection.close()
    calls, files = night.calls(), night.files()
    code, _, said = night.run()
    assert code == 6, said
    assert night.calls() == calls
    assert night.files() == files


def test_a_row_doubled_in_the_parts_never_ends_in_0(night):
    """The keys in the parts are compared with the ledger's and the manifest's at the end of every run."""
    with sqlite3.connect(night.out / "ledger" / "ledger.sqlite3") as connection:
        connection.execute(
            "UPDATE rows SET digest = randomblob(16) WHERE digest = (SELECT max(digest) FROM rows)"
        )
        # As after a kill: nothing was noted at the end.
        connection.execute("UPDATE meta SET value = '' WHERE name = 'keys'")
    connection.close()
    code, ended, said = night.run()
    assert (code, ended["status"]) == (6, "damaged"), said
    assert "batchsearch verify" in ended["message"]
    assert night.do("verify", night.out)[0] == 3


def test_a_ledger_that_was_left_open_is_checked(night):
    """After an end that was not clean the whole ledger is read once: a page that is none ends the run."""
    path = night.out / "ledger" / "ledger.sqlite3"
    data = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'usage'").fetchone()[0]
    connection.close()
    data[(page - 1) * 4096 : (page - 1) * 4096 + 64] = b"\x55" * 64
    path.write_bytes(data)
    path.with_name("ledger.sqlite3-wal").write_bytes(b"\0" * 32)
    calls = night.calls()
    code, _, said = night.run()
    assert code == 6, said
    assert "is damaged" in said
    assert night.calls() == calls
