"""The server's side of `fork_server`: imports everything once, then forks a run for each line it is given.

A run is a process of its own from its first statement to its last: its own event loop, threads, SQLite
connections and files, and what kills it kills nothing else. Only the imports are those of the server, made
before any thread, loop or connection is there.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path


def run(order):
    """The life of one run, in the forked process; never returns."""
    out = os.open(order["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(out, 1)
    os.dup2(out, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.environ.update(order["environ"])
    sys.argv = ["batchsearch", *order["arguments"]]

    from batchsearch import crash_points

    if order["record"] is not None:
        ctypes.CDLL(None).disk_log_start(*(os.fsencode(text) for text in order["record"]))
    counted = {}
    if order["count_to"] is not None:
        crash_points._countdown = Counting(counted)
    else:
        crash_points.arm(order["crash_at"])
    from batchsearch.cli import main

    code = 70
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:  # noqa: BLE001 - a forked process must never return into the server
        import traceback

        traceback.print_exc()
    if order["count_to"] is not None:
        Path(order["count_to"]).write_text(json.dumps(counted), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Counting:
    """In place of the countdown: how often each place was passed."""

    def __init__(self, counted):
        self._counted = counted

    def passed(self, name):
        self._counted[name] = self._counted.get(name, 0) + 1


def serve():
    """Do as told, a line of JSON at a time, until stdin ends."""
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    import pandas as pd
    import pyarrow.json
    import pyarrow.parquet

    import batchsearch.commands.run
    import batchsearch.engine.run.assembly
    import batchsearch.engine.run.job

    _ = pd, pyarrow.json, pyarrow.parquet, batchsearch.commands.run
    pids = set()
    for line in orders:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            pids.discard(order["wait"])
            answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        else:
            pid = os.fork()
            if pid == 0:
                run(order)
            pids.add(pid)
            answers.write(f"{pid}\n")
        answers.flush()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
