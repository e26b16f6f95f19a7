"""A real run, really killed, and run again: the same rows as if nothing had happened."""

import signal

import pandas as pd
import pytest
from crash_rig.checks import table
from run_rig import put_all, started

ROWS = 40
KILL_AFTER = (3, 17, 33)


def start(job, *arguments):
    return started("run", job, "--no-progress", *arguments)


@pytest.fixture
def job(signed_in, make_job, images):
    """A job over images that the emulator holds, with one row that fails and small parts."""
    put_all(signed_in, images, range(20), "P{:02}")
    rows = [{"id": f"r{n:02}", "image": f"p{n:02}.jpg", "price": n} for n in range(ROWS)]
    rows[11]["image"] = "missing.jpg"
    # Forty a second: slow enough that a kill after so many requests finds the run in the middle.
    return make_job(
        rows,
        instance__endpoint=signed_in.endpoint,
        instance__qps=40,
        output__rows_per_part=7,
        calls__max_in_flight=4,
    )


def test_killed_three_times_and_run_again_gives_the_same_output(job, signed_in, tmp_path):
    """After SIGKILL in the middle, thrice, the output equals that of a run that was left alone."""
    begun = 0
    for after in KILL_AFTER:
        run = start(job)
        signed_in.log.wait_for(after, action="SearchImageByPic")
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert run.returncode == -signal.SIGKILL
        begun += 1
    last = start(job)
    _, err = last.communicate(timeout=60)
    assert last.returncode == 0, err
    asked = len(signed_in.log.entries("SearchImageByPic"))
    # Each kill repeats at most the calls that were in flight, and the row that fails locally needs none.
    assert ROWS - 1 <= asked <= ROWS - 1 + begun * 4

    untouched = start(job, "--set", f"output.dir={tmp_path / 'untouched'}")
    untouched.communicate(timeout=60)
    assert untouched.returncode == 0
    for name in ("results", "hits"):
        pd.testing.assert_frame_equal(table(tmp_path / "out", name), table(tmp_path / "untouched", name))
    assert len(table(tmp_path / "out", "results")) == ROWS


def test_sigterm_stops_in_good_order_and_is_resumable(job, signed_in, tmp_path):
    """SIGTERM: what is in flight is finished and sealed, exit code 4; running again makes only the rest."""
    run = start(job)
    signed_in.log.wait_for(10, action="SearchImageByPic")
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 4, err
    asked = len(signed_in.log.entries("SearchImageByPic"))
    sealed = len(table(tmp_path / "out", "results"))
    assert 10 <= asked < ROWS - 1
    again = start(job)
    again.communicate(timeout=60)
    assert again.returncode == 0
    # Nothing that was answered is asked for twice.
    assert len(signed_in.log.entries("SearchImageByPic")) == ROWS - 1
    assert sealed < len(table(tmp_path / "out", "results")) == ROWS
