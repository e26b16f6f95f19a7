"""Tasks that are killed in the middle, and tried again."""

import os
import signal
import threading

import pandas as pd
import pytest
from airflow.exceptions import AirflowTaskTimeout
from processes import answered, child_of, is_alive, wait_for

NIGHT = "2026-11-20"
ROWS = 229


@pytest.fixture
def slow(monkeypatch, place):
    """Forty calls a second: time enough to be found in the middle."""
    monkeypatch.setenv("BATCHSEARCH__INSTANCE__QPS", "40")
    return place / "search" / NIGHT


def check_whole(folder, summary):
    """Every row once, some of them from an earlier try."""
    keys = pd.read_parquet(folder / "results")["row_key"]
    assert (len(keys), keys.nunique()) == (ROWS, ROWS)
    assert 0 < summary["resumed"] < ROWS
    # A kill repeats at most what was in flight.
    assert summary["calls"] <= ROWS - summary["resumed"] + 16


def test_a_killed_child_is_tried_again_and_resumes(run, slow):
    """The process is killed outright, as by a full memory: the task's second try does the rest."""

    def killer():
        child = wait_for(lambda: child_of(os.getpid()))
        wait_for(lambda: answered(slow) > 30)
        os.kill(child, signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    ended = run("nightly_search", NIGHT, 1)
    thread.join()
    assert ended["state"] == "success", ended
    search = ended["tasks"]["search"]
    assert search["tries"] == 2
    check_whole(slow, search["xcom"]["return_value"])


def test_a_task_that_is_told_to_stop_stops_its_child_in_good_order(start, slow):
    """SIGTERM to the task's process: `on_kill` waits until the child has kept all it had; then it resumes."""
    task = start("nightly_search", NIGHT, 1)
    child = task.child()
    wait_for(lambda: answered(slow) > 30)
    os.kill(task.process.pid, signal.SIGTERM)
    wait_for(lambda: not is_alive(child))
    assert "run_stopping" in task.log()
    wait_for(lambda: "exit_code=4" in task.log())
    ended = task.ended()
    if ended is None:  # Airflow 2 ends the process; the scheduler would start the next try
        task = start("nightly_search", NIGHT, 1)
        ended = task.ended()
    assert ended is not None, task.log()
    assert ended["state"] == "success", task.log()
    check_whole(slow, ended["tasks"]["search"]["xcom"]["return_value"])


def test_no_run_goes_on_without_its_task(start, slow):
    """The task's process is killed outright: its child stops by itself, and the next try resumes."""
    task = start("nightly_search", NIGHT, 0)
    child = task.child()
    wait_for(lambda: answered(slow) > 30)
    os.kill(task.process.pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(child))
    assert 30 < answered(slow) < ROWS
    assert '"exit_code": 4' in (slow / "summary.json").read_text()
    again = start("nightly_search", NIGHT, 0)
    ended = again.ended()
    assert ended is not None, again.log()
    assert ended["state"] == "success", again.log()
    check_whole(slow, ended["tasks"]["search"]["xcom"]["return_value"])


def test_a_task_out_of_time_stops_its_child(run, slow):
    """`execution_timeout` leaves no process behind, and another try resumes."""

    def time_is_up():
        wait_for(lambda: answered(slow) > 30)
        os.kill(os.getpid(), signal.SIGALRM)  # as the DAG's eight hours end

    thread = threading.Thread(target=time_is_up)
    thread.start()
    try:
        ended = run("nightly_search", NIGHT, 0)
    except AirflowTaskTimeout:  # Airflow 2 hands it on
        pass
    else:
        assert ended["tasks"]["search"]["state"] == "failed"
    thread.join()
    assert child_of(os.getpid()) is None
    assert 30 < answered(slow) < ROWS
    assert '"exit_code": 4' in (slow / "summary.json").read_text()
    ended = run("nightly_search", NIGHT, 0)
    assert ended["state"] == "success", ended
    check_whole(slow, ended["tasks"]["search"]["xcom"]["return_value"])
