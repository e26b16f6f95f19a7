"""`batchsearch status` beside a real run, from another process."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest
from run_rig import LOGGED, command, drained, invoke, started, until_at_work

from batchsearch.emulator.faults import FaultPlan, FaultRule, Latency

ROWS = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(40)]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def status(folder, *options):
    ran = command("status", folder, *options)
    return ran.returncode, ran.stdout, ran.stderr


def on_terminal(*arguments, **options):
    """All that a command writes to a terminal; it must end well."""
    ours, theirs = pty.openpty()
    with started(*arguments, **({"stdout": theirs, "stderr": theirs} | options)) as process:
        os.close(theirs)
        written = drained(ours)
    assert process.returncode == 0
    return written


@pytest.fixture
def working(signed_in, make_job, tmp_path):
    """A run in a process of its own that takes ten seconds; it, and its output folder."""
    signed_in.set_faults(FaultPlan((FaultRule(Latency(seconds=0.1)),)))
    job = make_job(ROWS, instance__endpoint=signed_in.endpoint, instance__qps=4)
    with started("run", job, *LOGGED) as process:
        until_at_work(process)
        yield process, tmp_path / "out"
        process.kill()


def beat_of(folder, wanted):
    """The first status that fits, read as another process would."""
    while True:
        code, out, err = status(folder, "--json")
        assert code == 0, err
        told = json.loads(out)
        if wanted(told):
            return told


def test_a_run_is_seen_at_work_then_dead(working):
    """Progress, pace and owner while it works; after kill -9 that it is dead, and how far it had come."""
    process, folder = working
    told = beat_of(folder, lambda told: told["runs"][0]["progress"] and told["runs"][0]["progress"]["done"])
    [run] = told["runs"]
    progress = run["progress"]
    assert (told["state"], run["state"], progress["pid"]) == ("running", "running", process.pid)
    assert (progress["total"], progress["tier"], progress["ended"]) == (40, 4, False)
    assert 0 < progress["done"] < 40
    code, page, _ = status(folder)
    assert code == 0
    assert "running for" in page
    assert "calls/s of 4" in page
    process.kill()
    process.wait()
    code, page, _ = status(folder)
    assert code == 0
    assert "dead since about" in page
    assert "run the same command again to resume" in page


def test_watching_ends_with_the_run(working):
    """One line of JSON each time, the last one with how it ended; the run is not disturbed."""
    process, folder = working
    process.send_signal(signal.SIGTERM)
    code, out, err = status(folder, "--json", "--watch", "--every", "0.2")
    assert code == 0, err
    last = json.loads(out.splitlines()[-1])["runs"][0]
    assert process.wait(30) == 4
    assert (last["state"], last["progress"]["exit_code"]) == ("ended", 4)
    assert last["summary"]["exit_code"] == 4
    assert "SIGTERM" in last["progress"]["why"]


def test_watching_waits_for_a_run_that_has_not_begun(signed_in, make_job, tmp_path):
    """A watcher that was started first says that it waits, and then tells how the run went."""
    job = make_job(ROWS[:3], instance__endpoint=signed_in.endpoint)
    with started("status", tmp_path / "out", "--json", "--watch", "--every", "0.1") as watching:
        assert "no run has begun here yet; waiting" in watching.stderr.readline()
        ran = invoke("run", job, "--no-progress")
        assert ran.exit_code == 0, ran.stderr
        last = json.loads(watching.communicate()[0].splitlines()[-1])
    assert (watching.returncode, last["runs"][0]["progress"]["done"]) == (0, 3)


def test_watching_waits_for_a_run_and_for_nothing_else(tmp_path):
    """A file in the folder's place, or a job file that is none, never becomes a run: both end at once."""
    (tmp_path / "out").write_text("")
    (tmp_path / "job.yaml").write_text("operation: Nothing")
    for arguments, said in (
        ((tmp_path / "out",), "is a file"),
        (("s3://bucket/night", "--config", tmp_path / "job.yaml"), "operation"),
    ):
        ran = invoke("status", "--watch", *arguments)
        assert (ran.exit_code, said in ran.stderr) == (64, True), ran.stderr


def test_watching_a_terminal_wraps_and_colours_the_page(signed_in, make_job, tmp_path, monkeypatch):
    """The page that is drawn again and again is the one that `status` shows: as wide as the terminal."""
    job = make_job(ROWS[:3], instance__endpoint=signed_in.endpoint)
    assert invoke("run", job, "--no-progress").exit_code == 0
    monkeypatch.delenv("NO_COLOR", raising=False)
    wide = {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "50"}
    written = on_terminal("status", tmp_path / "out", "--watch", env=wide)
    assert b"\x1b[36m" in written
    assert max(map(len, CONTROL.sub("", written.decode()).splitlines())) <= 60


def test_a_mistyped_folder_exits_64(tmp_path):
    """Nothing is made, and the message says what is wanted."""
    code, out, err = status(tmp_path / "outt")
    assert (code, out) == (64, "")
    assert "output.dir" in err
    assert not (tmp_path / "outt").exists()


def test_bar_and_log_lines_share_a_terminal(signed_in, make_job):
    """A run on a real terminal at debug level: log lines are whole, the bar's last state is left."""
    job = make_job(ROWS[:20], instance__endpoint=signed_in.endpoint, instance__qps=20)
    wide = {"TERM": "xterm", "COLUMNS": "300", "LINES": "50", "NO_COLOR": "1"}
    written = on_terminal("run", job, "--log-level", "debug", env=wide, stdout=subprocess.DEVNULL)
    lines = re.split(r"[\r\n]+", CONTROL.sub("", written.decode()))
    events = [line for line in lines if "row_finished" in line]
    assert len(events) == 20
    whole = re.compile(r"\d\d:\d\d:\d\d \[debug +\] row_finished .*\brow=r\d\d\b.*run_id=\S+ *")
    assert all(whole.fullmatch(line) for line in events), events
    assert any("20/20" in line and "100%" in line for line in lines)
    assert any("calls/s of 20" in line for line in lines)
    colours = re.compile(rb"\x1b\[(?:3[0-7]|38;[^m]*|9[0-7])m")
    assert not colours.search(written)
