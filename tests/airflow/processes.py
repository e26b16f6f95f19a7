"""What a test looks at from outside: processes and how far a run is."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path


def wait_for(found, seconds=300):
    """What `found` returns, once it is something: a process's progress is all there is to wait for."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return value


def child_of(parent):
    """The id of the `batchsearch` process that a process has started; None while there is none."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and b"batchsearch.child" in command:
            return int(status.parent.name)
    return None


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"


def answered(folder):
    """How many rows have their outcome in an output folder, read beside the run."""
    ledger = folder / "ledger" / "ledger.sqlite3"
    if not ledger.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM rows").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
