"""A Dask cluster of real processes: a scheduler and workers that may be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class DaskCluster:
    """One scheduler and workers under nannies, which start a new one in the place of one that was killed.

    Args:
        workers: How many, of one thread each.
        environment: Laid over that of the workers.
        nanny: Whether a killed worker comes back.
    """

    def __init__(
        self, workers: int, environment: dict[str, str] | None = None, *, nanny: bool = True
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dask-")
        self._workers = workers
        here = str(Path(__file__).parent.parent)
        self._environment = dict(os.environ) | {"PYTHONPATH": here} | (environment or {})
        self._nanny = nanny
        self._processes: list[subprocess.Popen[bytes]] = []
        self.address = ""

    @property
    def log(self) -> str:
        """What all of it has written."""
        folder = Path(self._folder.name)
        return "".join(each.read_text(encoding="utf-8") for each in sorted(folder.glob("*.log")))

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        told = folder / "scheduler.json"
        self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(told)
        )
        from distributed import Client

        while not told.exists() or not told.read_text():
            self._processes[0].poll()
            assert self._processes[0].returncode is None, self.log
        self.address = json.loads(told.read_text())["address"]
        kind = "--nanny" if self._nanny else "--no-nanny"
        many = ("--nworkers", str(self._workers), "--nthreads", "1")
        place = ("--host", "127.0.0.1", "--local-directory", str(folder), "--no-dashboard")
        self._start("worker", self.address, *many, *place, kind)
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(self._workers, timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._folder.cleanup()

    def kill_scheduler(self) -> None:
        """SIGKILL to the scheduler alone."""
        self._processes[0].send_signal(signal.SIGKILL)
        self._processes[0].wait()

    def _start(self, kind: str, *arguments: str) -> None:
        with Path(self._folder.name, f"{kind}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            )


class Deadly:
    """A task that ends its process, if the image says so."""

    def __call__(self, data: bytes, _repair: object, /) -> int:
        """How long the image is."""
        if data == b"deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return len(data)


def leave_after(seconds: float) -> None:
    """On a worker: have slow images left for later after so many seconds."""
    from batchsearch.images.cluster import worker_side

    worker_side.TOGETHER_SECONDS = seconds  # type: ignore[misc]


def worker_pids(client: object) -> dict[str, int]:
    """The process of each worker that is there, by its address."""
    return dict(client.run(os.getpid))  # type: ignore[attr-defined]
