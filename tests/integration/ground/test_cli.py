"""The command line, as a shell or a scheduler meets it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_rig import command

from batchsearch import __version__


def batchsearch(*arguments, **environment):
    return command(*arguments, env=environment)


EMULATOR = "-m batchsearch emulator --port 0 --qps 1000 --log-format json --data"

ROWS = [{"id": f"r{n}", "image": f"p{n:02}.jpg"} for n in range(4)]


def test_version_is_the_packages():
    """`--version` says what is installed."""
    assert batchsearch("--version").stdout.strip() == f"batchsearch, version {__version__}"


def test_the_last_line_of_stdout_is_the_summary(signed_in, make_job, tmp_path):
    """A scheduler reads one line of JSON; people's text is on stderr."""
    ran = batchsearch("run", make_job(ROWS, instance__endpoint=signed_in.endpoint))
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["status"], summary["rows"], summary["ok"]) == ("done", 4, 4)
    assert summary["results"] == str(tmp_path / "out" / "results")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary


def test_json_logs_are_one_object_a_line(signed_in, make_job):
    """With `--log-format json` every line on stderr parses, and names its event."""
    ran = batchsearch("run", make_job(ROWS, instance__endpoint=signed_in.endpoint), "--log-format", "json")
    events = [json.loads(line)["event"] for line in ran.stderr.splitlines()]
    assert events[0] == "run_started"
    assert events[-1] == "run_finished"


def test_too_many_failed_rows_exit_3(signed_in, make_job):
    """A job that allows no failed row says so in its exit code."""
    rows = [*ROWS, {"id": "gone", "image": "gone.jpg"}]
    ran = batchsearch("run", make_job(rows, instance__endpoint=signed_in.endpoint, max_failed=0))
    assert ran.returncode == 3
    assert json.loads(ran.stdout)["codes"] == {"Local.ImageMissing": 1}


def test_a_bad_job_file_exits_64_and_names_the_nearest_setting(make_job):
    """Every problem is on stderr with its place; nothing was done."""
    ran = batchsearch("run", make_job(ROWS, instance__qqs=5, output__dirr="x"))
    assert ran.returncode == 64
    assert "qps" in ran.stderr
    assert "dir" in ran.stderr
    assert json.loads(ran.stdout)["exit_code"] == 64


def test_a_bad_manifest_exits_65(signed_in, make_job):
    """A missing column is named beside what the manifest has."""
    ran = batchsearch("run", make_job([{"id": 1, "photo": "p00.jpg"}], instance__endpoint=signed_in.endpoint))
    assert ran.returncode == 65
    assert "image" in ran.stderr
    assert "photo" in ran.stderr


def test_missing_credentials_exit_64_and_say_where_was_looked(make_job, tmp_path):
    """Without credentials no call is made, and every place that was looked at is named."""
    bare = {name: "" for name in os.environ if name.startswith(("ALIBABA", "ALIYUN"))}
    ran = batchsearch(
        "run", make_job(ROWS), **bare, HOME=str(tmp_path), ALIBABA_CLOUD_ECS_METADATA_DISABLED="true"
    )
    assert ran.returncode == 64
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in ran.stderr
    assert ".aliyun/config.json" in ran.stderr


def test_a_dead_service_leaves_every_row_to_be_done(signed_in, make_job):
    """Nobody listens: after the time allowed the run ends with 4, and no row is failed for it."""
    job = make_job(ROWS, calls__max_attempts=3, calls__max_outage_seconds=1)
    ran = batchsearch("run", job)
    summary = json.loads(ran.stdout)
    assert ran.returncode == 4
    assert (summary["done"], summary["failed"], summary["codes"]) == (0, 0, {})
    assert "service or network is down" in summary["message"]


def test_a_failure_is_an_event_in_json_logs(make_job):
    """With `--log-format json` even the error that ends the command is one JSON object."""
    ran = batchsearch("run", make_job([{"id": 1, "photo": "x"}]), "--log-format", "json")
    event = json.loads(ran.stderr.splitlines()[-1])
    assert (event["event"], event["exit_code"]) == ("command_failed", 65)
    assert json.loads(ran.stdout)["exit_code"] == 65


@pytest.mark.parametrize(
    "arguments", [["run", "no-such-file.yaml"], ["run", "--no-such-option"], ["runn"], ["run", "."]]
)
def test_wrong_use_exits_64(arguments):
    """A missing file, an unknown option or command is bad configuration, not some code of its own."""
    ran = batchsearch(*arguments)
    assert ran.returncode == 64, ran.stderr
    assert ran.stderr


def test_an_unwritable_stdout_does_not_change_the_exit_code(signed_in, make_job):
    """The run is done, whoever can or cannot read its summary."""
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint)
    command = [sys.executable, "-m", "batchsearch", "run", job]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 0
    assert b"cannot be written to stdout" in ran.stderr


def test_config_check_shows_each_setting_and_its_source(make_job):
    """File, environment, --set and default are told apart."""
    job = make_job(ROWS)
    ran = batchsearch(
        "config", "check", job, "--set", "calls.timeout=7", BATCHSEARCH__CALLS__MAX_ATTEMPTS="3"
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"timeout: 7.*--set", ran.stdout)
    assert re.search(r"max_attempts: 3.*BATCHSEARCH__CALLS__MAX_ATTEMPTS", ran.stdout)
    assert re.search(r"operation: SearchImageByPic.*job\.yaml", ran.stdout)
    assert re.search(r"quality: 90.*default", ran.stdout)


@pytest.fixture
def served(tmp_path):
    """`batchsearch emulator` as a process of its own; its endpoint."""
    with subprocess.Popen(
        [sys.executable, *EMULATOR.split(), tmp_path / "data"],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, json.loads(process.stderr.readline())["endpoint"]
        process.kill()


def test_the_emulator_serves_a_run_and_stops_when_told(served, make_job):
    """A run in another process gets its answers; SIGTERM ends the server in good order."""
    process, endpoint = served
    ran = batchsearch(
        "run",
        make_job(ROWS, instance__endpoint=endpoint, instance__qps=100),
        ALIBABA_CLOUD_ACCESS_KEY_ID="emulator",
        ALIBABA_CLOUD_ACCESS_KEY_SECRET="emulator-secret",
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["ok"] == 4
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_a_wrong_secret_ends_the_run_with_5(served, make_job):
    """Bad credentials are an error that no row can survive; the rows stay to be done."""
    ran = batchsearch(
        "run",
        make_job(ROWS, instance__endpoint=served[1]),
        ALIBABA_CLOUD_ACCESS_KEY_ID="emulator",
        ALIBABA_CLOUD_ACCESS_KEY_SECRET="wrong",
    )
    assert ran.returncode == 5
    summary = json.loads(ran.stdout)
    assert "SignatureDoesNotMatch" in summary["message"]
    assert summary["done"] == 0


def test_fresh_begins_in_an_empty_folder_only(signed_in, tmp_path, make_job):
    """`--fresh DIR` is another place for the output; one that holds something is refused by name."""
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint)
    used, new = tmp_path / "used", tmp_path / "new"
    used.mkdir()
    (used / "file").write_text("mine")
    ran = batchsearch("run", job, "--fresh", used)
    assert ran.returncode == 64
    assert f"--fresh {used}: the folder is not empty" in ran.stderr
    ran = batchsearch("run", job, "--fresh", new)
    assert json.loads(ran.stdout)["results"] == str(new / "results")
    assert not (tmp_path / "out").exists()
