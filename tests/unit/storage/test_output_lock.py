"""One run at a time over an output folder."""

import subprocess
import sys

import pytest

from batchsearch.errors import ExitCode, OutputInUseError
from batchsearch.storage.ledger.lock import OutputLock, is_held

HOLD = """
import sys
from pathlib import Path
from batchsearch.storage.ledger.lock import OutputLock
with OutputLock(Path(sys.argv[1]), "run-of-another"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_told_who_holds_the_output(tmp_path):
    """The holder's process id is in the message, and the exit code is 75."""
    path = tmp_path / "ledger" / "lock"
    path.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(OutputInUseError, match=f"process {holder.pid} on ") as refused,
            OutputLock(path, "mine"),
        ):
            pass
        holder.stdin.close()
    assert refused.value.exit_code == ExitCode.OUTPUT_IN_USE


def test_a_killed_holders_lock_lapses(tmp_path):
    """After SIGKILL of the holder the output is free at once."""
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        assert holder.wait() == -9
    with OutputLock(path, "mine"):
        assert b"mine" in path.read_bytes()
    assert path.read_bytes() == b""


def test_a_look_at_the_lock_changes_nothing(tmp_path, monkeypatch):
    """Whether a run holds a folder is told without /proc, without a change to the file, and not for good."""
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    monkeypatch.setattr("pathlib.Path.read_text", None)  # no list of the kernel's is read
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        before = path.read_bytes()
        assert is_held(path)
        assert path.read_bytes() == before
        holder.stdin.close()
    assert not is_held(path)
    with OutputLock(path, "mine"):
        assert is_held(path)
