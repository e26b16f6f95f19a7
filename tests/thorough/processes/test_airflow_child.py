"""A real run, tied to the process that started it."""

import json
import os
import signal
import subprocess
import sys

import pytest

ROWS = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg"} for n in range(40)]


@pytest.fixture
def tied(signed_in, make_job):
    """Starts a run of forty rows at forty a second as a scheduler's child."""

    def start(**streams):
        job = make_job(ROWS, instance__endpoint=signed_in.endpoint, instance__qps=40, calls__max_in_flight=4)
        command = [sys.executable, "-m", "batchsearch.child", "run", job, "--log-format", "json"]
        return subprocess.Popen(command, env=dict(os.environ), **streams)

    return start


def test_a_run_stops_in_good_order_when_its_parent_lets_go(tied, signed_in):
    """The end of its stdin is SIGTERM to it: exit code 4, the summary on stdout."""
    with tied(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        signed_in.log.wait_for(5, action="SearchImageByPic")
        out, err = run.communicate(timeout=60)
    assert run.returncode == 4, err
    assert 5 <= json.loads(out)["done"] < len(ROWS)


def test_a_run_that_nobody_hears_ends_in_good_order(tied, signed_in, tmp_path):
    """Parent and pipes gone at once, as when a worker is killed: the run keeps what it has and exits."""
    run = tied(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signed_in.log.wait_for(5, action="SearchImageByPic")
    for pipe in (run.stdout, run.stderr, run.stdin):
        pipe.close()
    assert run.wait(timeout=60) == 4
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["exit_code"] == 4


def test_a_run_whose_parent_stays_is_done(tied, signed_in):
    """As long as stdin is open it is the command line and nothing else."""
    with tied(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert json.loads(run.stdout.readline())["done"] == len(ROWS)
        assert run.wait(timeout=60) == 0


def test_sigterm_and_the_end_of_stdin_are_one_wish(tied, signed_in):
    """A parent that says it twice gets the orderly end all the same."""
    with tied(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        signed_in.log.wait_for(5, action="SearchImageByPic")
        run.send_signal(signal.SIGTERM)
        out, _ = run.communicate(timeout=60)
    assert run.returncode == 4
    assert json.loads(out)["exit_code"] == 4
