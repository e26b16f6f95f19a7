"""A job whose manifest and output are in an object store: killed, resumed elsewhere, one run at a time."""

import contextlib
import json
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from run_rig import harm, invoke, keys_of, program, put, started

from batchsearch.config.sections.store_settings import ConnectionsSettings, StoreConnection
from batchsearch.emulator.faults import Latency
from batchsearch.storage.remote.store_output import fetch_output
from batchsearch.storage.stores.address import parse_address
from batchsearch.storage.stores.object_store import ObjectStore

ROWS = [f"r{number:02}" for number in range(30)]


@pytest.fixture
def store(s3_server, bucket):
    """Where the job's output is, looked at as a reader of the store does."""

    class Place:
        connections = ConnectionsSettings(s3=StoreConnection(endpoint=s3_server))
        objects = ObjectStore("s3", connections, wanted_for="tests", writes=True)
        endpoint = s3_server
        output = f"s3://{bucket}/out/night"

        def results(self, folder):
            assert fetch_output(self.output, self.connections, folder) is not None
            return pd.read_parquet(Path(folder, "results"))

    return Place()


@pytest.fixture
def machine(emulator, store, bucket, images, tmp_path):
    """Runs the job as a process of a machine with a work folder of its own."""
    put(emulator, "P1", images / "p01.jpg")
    lines = ["id,image", *(f"{row},p{number:02}.jpg" for number, row in enumerate(ROWS))]
    store.objects.put(parse_address(f"s3://{bucket}/in/rows.csv"), "\n".join(lines).encode())
    job = {
        "operation": "SearchImageByPic",
        "instance": {"endpoint": emulator.endpoint, "name": "demo", "qps": 1000, "custom_qps": True},
        "stores": {"s3": {"endpoint": store.endpoint}},
        "manifest": {"path": f"s3://{bucket}/in/rows.csv", "key": ["id"]},
        "images": {"root": str(images)},
        "calls": {"max_in_flight": 2},
        "output": {"dir": store.output, "rows_per_part": 4, "carry_seconds": 0.2},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))

    def start(name, *arguments):
        there = ("--no-progress", f"--set=output.work_dir={tmp_path / name}", "--log-format=json")
        return started("run", tmp_path / "job.yaml", *there, *arguments, env=keys_of(emulator))

    return start


def ended(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, json.loads(out.splitlines()[-1]), err


def remove_bucket(files, bucket):
    """Remove a bucket into which a run writes all the while; one that is not empty stays."""
    while files.exists(bucket):
        files.invalidate_cache()
        for path in files.find(bucket):
            files.rm_file(path)
        with contextlib.suppress(OSError):
            files.rmdir(bucket)


def calls(emulator):
    return len(emulator.log.entries("SearchImageByPic"))


def test_the_output_is_whole_in_the_store(machine, store, tmp_path, emulator):
    """After the run the store alone has every row; another machine has nothing left to do."""
    code, summary, err = ended(machine("one"))
    assert (code, summary["ok"]) == (0, 30), err
    assert sorted(store.results(tmp_path / "copy")["row_key"]) == ROWS
    made = calls(emulator)
    code, summary, err = ended(machine("other"))
    assert (code, summary["resumed"], calls(emulator)) == (0, 30, made), err


def test_a_killed_run_goes_on_and_another_machine_has_it_all(machine, store, tmp_path, emulator):
    """SIGKILL in the middle: the next run asks for the rest alone, and each row is there once."""
    harm(emulator, Latency(seconds=0.1), of="SearchImageByPic")
    first = machine("one")
    emulator.log.wait_for(24, action="SearchImageByPic")
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    harm(emulator)
    # The dead holder's lease lapses by the store's clock; its own work folder may be taken over at once.
    code, summary, err = ended(machine("one"))
    assert (code, summary["done"]) == (0, 30), err
    assert summary["resumed"] > 0
    assert calls(emulator) <= 30 + 2  # as many as may be in flight are repeated
    assert sorted(store.results(tmp_path / "copy")["row_key"]) == ROWS
    code, summary, _ = ended(machine("other"))
    assert (code, summary["resumed"]) == (0, 30)


def test_a_second_run_over_the_output_is_refused(machine, emulator):
    """Another machine is told who works there, and spends nothing."""
    harm(emulator, Latency(seconds=3.0), of="SearchImageByPic")
    first = machine("one")
    emulator.log.wait_for(2, action="SearchImageByPic")
    code, summary, err = ended(machine("other"))
    assert code == 75, err
    assert "process" in summary["message"]
    harm(emulator)
    assert ended(first)[0] == 0


def test_a_lost_store_ends_the_run_resumable(machine, emulator, store, bucket):
    """A bucket that is gone stops the run with code 74: what was answered is kept in the work folder."""
    harm(emulator, Latency(seconds=0.5), of="SearchImageByPic")
    first = machine("one")
    emulator.log.wait_for(4, action="SearchImageByPic")
    remove_bucket(store.objects._files, bucket)
    code, summary, err = ended(first)
    assert code == 74, err
    assert f"s3://{bucket}/out/night" in summary["message"]


def test_an_output_that_lost_its_index_is_recovered_without_a_call(machine, store, tmp_path, emulator):
    """Refused by every machine until `recover` has made the index anew; then nothing is asked for twice."""
    assert ended(machine("one"))[0] == 0
    made = calls(emulator)
    output = parse_address(store.output)
    there = [each.address for each in store.objects.listing(output)]
    store.objects.delete(each for each in there if "/_carried/index/" in each.path)
    code, summary, _ = ended(machine("other"))
    assert (code, calls(emulator)) == (6, made)
    assert "batchsearch recover" in summary["message"]
    kept = {each.address for each in store.objects.listing(output)}
    assert {each for each in there if "/results/" in each.path} <= kept
    ran = program("-m", "batchsearch", "recover", store.output, "--config", tmp_path / "job.yaml")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["results"] == 30
    for name in ("third", "one"):
        code, summary, err = ended(machine(name))
        assert (code, summary["resumed"], calls(emulator)) == (0, 30, made), err


def command(*arguments, **environ):
    ran = invoke(*arguments, env=environ)
    assert ran.exit_code == 0, (ran.stderr, ran.exception)
    return ran


def test_failed_rows_of_an_output_in_a_store_are_asked_for_again_by_its_address(
    store, machine, tmp_path, emulator, images
):
    """The line to copy names the address, not the work folder of this machine."""
    own = tmp_path / "own"
    shutil.copytree(images, own)
    (own / "p03.jpg").unlink()
    keys = keys_of(emulator)
    given = (f"images.root={own}", "max_failed=100%", f"output.work_dir={tmp_path / 'one'}")
    options = [part for each in given for part in ("--set", each)]
    ran = command("run", tmp_path / "job.yaml", "--no-progress", *options, **keys)
    assert f"batchsearch retry {store.output} --codes Local.ImageMissing" in " ".join(ran.stderr.split())


def test_rows_of_an_output_in_a_store_are_asked_for_again_by_its_address(machine, store, tmp_path, emulator):
    """`retry` takes the address as other commands do; the new outcomes are in the store."""
    assert ended(machine("one"))[0] == 0
    before = store.results(tmp_path / "before").set_index("row_key")
    given = ("--config", tmp_path / "job.yaml", "--set", f"output.work_dir={tmp_path / 'other'}")
    keys = keys_of(emulator)
    made = calls(emulator)
    command("retry", store.output, *given, "--rows", "r03", "--rows", "r17", "--no-progress", **keys)
    assert calls(emulator) == made + 2
    after = store.results(tmp_path / "after").set_index("row_key")
    changed = before["run_id"] != after["run_id"].reindex(before.index)
    assert sorted(before.index[changed]) == ["r03", "r17"]


def test_parts_of_an_output_in_a_store_are_merged_by_its_address(machine, store, tmp_path, emulator):
    """`compact` works in the output's work folder and carries the parts back; nothing is asked for again."""
    assert ended(machine("one"))[0] == 0
    before, made = store.results(tmp_path / "before"), calls(emulator)
    ran = command("compact", store.output, "--config", tmp_path / "job.yaml", "--json")
    told = json.loads(ran.stdout)
    assert told["before"] > told["after"] == 1
    assert told["rows"] == 30
    after = store.results(tmp_path / "after")
    assert len(list(Path(tmp_path / "after", "results").iterdir())) == 1
    order = ["row_key", "run_id", "request_id"]
    assert sorted(after[order].to_numpy().tolist()) == sorted(before[order].to_numpy().tolist())
    code, summary, err = ended(machine("other"))
    assert (code, summary["resumed"], calls(emulator)) == (0, 30, made), err
