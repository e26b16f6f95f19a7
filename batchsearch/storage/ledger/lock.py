"""One run at a time over an output folder.

The lock is the kernel's (`flock`): it lapses the moment its holder dies, however it died. The file's
text only tells people who holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from batchsearch.errors import OutputError, OutputInUseError

if TYPE_CHECKING:
    from pathlib import Path


_TRIES: Final = 3
_INSTANT: Final = 0.02
"""Seconds."""


class OutputLock:
    """Holds an output folder for one run, as a context manager.

    Raises:
        OutputInUseError: On entry, when another run holds it; the message says who.
        OutputError: On entry, when the file cannot be made.
    """

    def __init__(self, path: Path, run: str) -> None:
        self._path = path
        self._run = run
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot make the lock file: {error.strerror}") from error
        try:
            _lock(descriptor)
        except BlockingIOError:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise OutputInUseError(
                f"{self._path.parent.parent}: another run is working here ({holder}); "
                "wait for it, or give this job another `output.dir`"
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise OutputError(f"{self._path}: cannot lock: {error.strerror}") from error
        owner = {
            "run": self._run,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(owner).encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise OutputError(
                f"{self._path}: the lock file cannot be written: {error.strerror}; make room there, "
                "then run again"
            ) from error
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            # A disk that is gone must not hide why the run ended.
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def is_held(path: Path) -> bool:
    """Whether a run of this machine holds the lock file; False as well where that cannot be known.

    Asks by taking a shared lock for an instant, which works on every file system and changes nothing in the
    file. (Linux also lists locks in /proc/locks, but by a device number that Btrfs files do not show.)
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    """Take the lock; whoever only looks whether it is held holds it for an instant, which is waited out."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_INSTANT)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "its name is not readable"
