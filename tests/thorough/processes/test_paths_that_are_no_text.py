"""Folders and files whose names are bytes that are no text, or none in the locale's: real commands."""

import json
import os
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_rig import command as run_command

import batchsearch
from batchsearch.disk_paths import arrow_dataset, arrow_readable
from batchsearch.storage.parts.parquet_table import checked_parquet

OLD_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
COMMANDS = [
    "config check job.yaml",
    "plan job.yaml",
    "check job.yaml",
    "run job.yaml",
    "run job.yaml",
    "status out",
    "usage out",
    "report out",
    "compact out",
    "diff out out",
    "verify out",
]


@pytest.fixture
def folder(tmp_path, images, signed_in):
    """Makes a folder of a name, with two images, a Parquet manifest and a job file."""

    def make(name, *, image="p00.jpg", manifest="m.parquet"):
        made = tmp_path / os.fsdecode(name)
        made.mkdir()
        shutil.copy(images / "p00.jpg", made / image)
        shutil.copy(images / "p01.jpg", made)
        with (made / manifest).open("wb") as file:
            pq.write_table(pa.table({"id": ["a", "b"], "image": [image, "p01.jpg"]}), file)
        job = {
            "operation": "SearchImageByPic",
            "instance": {
                "endpoint": signed_in.endpoint,
                "name": "demo",
                "qps": 10,
                "service_type": "generic",
            },
            "manifest": {"path": manifest, "key": "id", "columns": {"image": "image"}},
            "output": {"dir": "out"},
        }
        (made / "job.yaml").write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
        return made

    return make


def command(arguments, where, **environment):
    """Its exit code and what it said."""
    ran = run_command(*arguments, cwd=where, env=environment, stdin=subprocess.DEVNULL, text=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_every_command_works_in_a_folder_whose_name_is_no_text(folder):
    """POSIX names are bytes: a Latin-1 name is a path like any other, as an argument and as where one is."""
    where = folder(b"caf\xe9")
    for line in COMMANDS:
        given = [where / each if each in {"job.yaml", "out"} else each for each in line.split()]
        code, said = command(given, "/")
        assert (code, b"Traceback" in said) == (0, False), (line, said)
    assert command(["verify", "out"], where)[0] == 0


def test_the_library_reads_an_output_in_such_a_folder(folder):
    """Run, loaded again from its own settings, and read as tables."""
    where = str(folder(b"caf\xe9"))
    result = batchsearch.run(f"{where}/job.yaml")
    assert result.ok
    settings = batchsearch.load(batchsearch.load(f"{where}/job.yaml"))
    assert settings.output.dir == f"{where}/out"
    assert batchsearch.open_output(f"{where}/out").table("results").num_rows == 2


def test_names_in_job_and_manifest_are_utf8_in_every_locale(folder):
    """Where the system's encoding is ASCII, the `é` of a job file and of a row is what it is on disk."""
    where = folder("каталог é".encode(), image="é.jpg", manifest="таблица.parquet")
    code, said = command(["run", "job.yaml"], where, **OLD_LOCALE)
    assert (code, b"Traceback" in said) == (0, False), said
    code, said = command(["verify", "out"], where, **OLD_LOCALE)
    assert code == 0, said


def test_arrow_reads_files_of_any_name(tmp_path):
    """One by one, several as a dataset, and an empty one as what it is."""
    odd = tmp_path / os.fsdecode(b"\xff.parquet")
    with odd.open("wb") as file:
        pq.write_table(pa.table({"n": [1, 2, 3]}), file)
    assert pq.read_table(arrow_readable(odd))["n"].to_pylist() == [1, 2, 3]
    found = arrow_dataset([odd, odd], checked_parquet())
    assert found.to_table(columns=["n"])["n"].to_pylist() == [1, 2, 3] * 2
    empty = tmp_path / os.fsdecode(b"\xfe.parquet")
    empty.touch()
    with pytest.raises(pa.ArrowInvalid):
        pq.read_schema(arrow_readable(empty))
