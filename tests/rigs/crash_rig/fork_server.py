"""Starts `batchsearch` commands as real processes: forked from one that has imported everything, or fresh.

Starting Python with its tables and network costs more than half a second, forking a hundredth of it: two
hundred kills and as many recoveries fit in a minute.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_CHILD = Path(__file__).with_name("fork_child.py")


class Process:
    """One command that was started; until `wait` it stays a zombie, so that its pid is nobody else's."""

    def __init__(self, pid, output, wait):
        self.pid = pid
        self.output = output
        self._wait = wait
        self._code = None

    def kill(self):
        """SIGKILL, whatever it is doing."""
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)

    def signal(self, number):
        """Any other signal."""
        os.kill(self.pid, number)

    def wait(self):
        """Its exit code; minus the signal's number when a signal ended it."""
        if self._code is None:
            self._code = self._wait()
        return self._code

    def ended(self, seconds):
        """Whether it has ended, at the latest after so long."""
        descriptor = os.pidfd_open(self.pid)
        try:
            import select

            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)

    def text(self):
        """What it wrote to stdout and stderr."""
        return self.output.read_text("utf-8", "replace")


class ForkServer:
    """Forks runs; a context manager.

    Args:
        environ: Added to every run's environment.
        preload: A library that all runs are under.
    """

    def __init__(self, environ, preload=None):
        self._environ = dict(environ)
        self._preload = preload

    def __enter__(self):
        environ = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        if self._preload is not None:
            environ["LD_PRELOAD"] = str(self._preload)
        self._server = subprocess.Popen(
            [sys.executable, str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=ROOT,
        )
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()

    def start(self, arguments, output, *, crash_at="", count_to=None, record=None, environ=None):
        """Start a command.

        Args:
            arguments: Of the command line.
            output: File for its stdout and stderr.
            crash_at: As `BATCHSEARCH_CRASH_AT` has it.
            count_to: File for how often each crash point was passed.
            record: Folder whose changes are recorded, and the file to record them to.
            environ: Added to its environment.
        """
        order = {
            "arguments": [str(argument) for argument in arguments],
            "output": str(output),
            "environ": self._environ | (environ or {}),
            "crash_at": crash_at,
            "count_to": count_to and str(count_to),
            "record": record and [str(path) for path in record],
        }
        pid = self._ask(order)
        return Process(pid, Path(output), lambda: self._ask({"wait": pid}))

    def _ask(self, order):
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())


class FreshStarter:
    """Starts `python -m batchsearch` anew each time."""

    def __init__(self, environ):
        self._environ = dict(environ)

    def start(self, arguments, output, *, crash_at="", environ=None):
        """Start a command; see `ForkServer.start`."""
        with Path(output).open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "batchsearch", *(str(argument) for argument in arguments)],
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=os.environ
                | self._environ
                | (environ or {})
                | ({"BATCHSEARCH_CRASH_AT": crash_at} if crash_at else {}),
            )
        return Process(process.pid, Path(output), process.wait)
