"""The child process: started, listened to, stopped.

Everything here may be interrupted by a signal handler that calls `stop` in the same thread, as Airflow's
does; so no lock is ever held while waiting, and the child's pipes are read by threads of their own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Final

from batchsearch.child.ending import Ended, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

STOP_SECONDS: Final = 60.0
"""A child that was told to stop and has not ended after this long is killed; what was answered is kept."""

_LINE: Final = 65_536
_LAST_LINES: Final = 20
_TICK: Final = 0.2
_STRAY_SECONDS: Final = 5.0


class Child:
    """One `batchsearch` process.

    Args:
        arguments: Its command line, without the program.
        environment: All of its environment.
        on_line: Given each line of its stderr as it comes, from a thread of its own; says whether the line
            was an event. The last ones that were none are kept for the error message.
        folder: Where its relative paths start; this process's folder when absent.
        python: The interpreter that has batchsearch installed; this one when absent.
        stop_seconds: How long it may take to stop; then it is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        on_line: Callable[[str], bool],
        folder: Path | None = None,
        python: str | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._command = [python or sys.executable, "-m", "batchsearch.child", *arguments]
        self._environment = dict(environment)
        self._on_line = on_line
        self._folder = folder
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._last_output = ""

    @property
    def pid(self) -> int | None:
        """The process's id; None before it has started."""
        return None if self._process is None else self._process.pid

    def run(self) -> Ended:
        """Start it and wait for its end. Whatever interrupts the waiting stops it in good order first.

        Raises:
            OSError: It cannot be started.
        """
        readers: list[threading.Thread] = []
        try:
            # A session of its own: signals to the parent's group leave it to be told once, by `stop`.
            self._process = process = subprocess.Popen(  # noqa: S603 - this program's own command line
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
            for name, read, pipe in (
                ("stderr", self._read_events, process.stderr),
                ("stdout", self._read_output, process.stdout),
            ):
                reader = threading.Thread(target=read, args=(pipe,), name=f"batchsearch-{name}", daemon=True)
                reader.start()
                readers.append(reader)
            if self._stopped:
                self._tell()
            while process.poll() is None:
                if readers[0].is_alive():
                    readers[0].join(_TICK)
                else:
                    time.sleep(_TICK)
        except BaseException:
            self.stop()
            raise
        finally:
            self._let_go(readers)
        return Ended(
            process.returncode, result_of(self._last_output), tuple(self._last_lines), stopped=self._stopped
        )

    def stop(self) -> None:
        """Tell it to stop as SIGTERM does, and wait for its end; kill it when that takes too long.

        May be called at any time, from a signal handler too, and more than once.
        """
        self._stopped = True
        process = self._process
        if process is None:
            return
        self._tell()
        deadline = time.monotonic() + self._stop_seconds
        while process.poll() is None:
            if time.monotonic() >= deadline:
                process.kill()
                deadline = time.monotonic() + _STRAY_SECONDS
            time.sleep(_TICK / 4)

    def _tell(self) -> None:
        """End its stdin: `batchsearch.child` takes that for SIGTERM."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _let_go(self, readers: Sequence[threading.Thread]) -> None:
        """Let go of the ended child's pipes: a reader closes its own when it has read everything."""
        self._tell()
        process = self._process
        if process is None or process.returncode is None:
            return
        for pipe in (process.stderr, process.stdout)[len(readers) :]:
            if pipe is not None:
                pipe.close()
        # A process that the child left behind may hold its pipes open; it isn't waited for.
        deadline = time.monotonic() + _STRAY_SECONDS
        for reader in readers:
            reader.join(max(0.0, deadline - time.monotonic()))

    def _read_events(self, pipe: IO[bytes]) -> None:
        for line in _lines(pipe):
            if not self._on_line(line):
                self._last_lines.append(line)

    def _read_output(self, pipe: IO[bytes]) -> None:
        for line in _lines(pipe):
            self._last_output = line


def _lines(pipe: IO[bytes]) -> Iterator[str]:
    """Lines that are not blank; one that is longer than any should be comes in pieces."""
    with pipe:
        while data := pipe.readline(_LINE):
            line = data.decode("utf-8", errors="replace").rstrip()
            if line:
                yield line
