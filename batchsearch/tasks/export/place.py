"""Where an export goes: a file that appears whole or not at all, and in the place of none that is there."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from batchsearch.errors import ConfigError, OutputError
from batchsearch.publish import make_folder, sync_path, unwritable

_ROOM: Final = ".export-"
_LOCK: Final = "lock"
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def refuse_existing(path: Path, *, force: bool) -> None:
    """Refuse a file that is there, before anything is read for it.

    Raises:
        ConfigError: It is there and may not be replaced, or is a folder.
    """
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder; name a file with -o")
    if not force and os.path.lexists(path):
        raise ConfigError(f"{path}: is there already; name another file with -o, or replace it with --force")


class Place:
    """A file to be, as a context manager: what was written appears at `publish`, else nothing stays.

    Args:
        path: Its name. What is missing of its folder is made.
        force: Whether a file of that name is replaced.

    Attributes:
        temporary: Where it is written.
        room: A folder for whatever else is needed meanwhile.

    Raises:
        ConfigError: From `publish`: somebody else has made a file of that name meanwhile.
        OutputError: The disk refuses.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self.path = path
        self._force = force

    def __enter__(self) -> Self:
        try:
            make_folder(self.path.parent)
            _sweep(self.path.parent)
            self.room, self._held = _new_room(self.path.parent)
        except OSError as error:
            raise self.refused(error) from error
        self.temporary = self.room / "file"
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.room, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)

    def publish(self) -> int:
        """Give the file its name; its size in bytes."""
        try:
            sync_path(self.temporary)
            self.temporary.chmod(0o666 & ~_umask())
            size = self.temporary.stat().st_size
            if self._force or not self._linked():
                self.temporary.replace(self.path)
            sync_path(self.path.parent)
        except OSError as error:
            raise self.refused(error) from error
        return size

    def _linked(self) -> bool:
        """Give it its name unless that is taken; False where this file system has no links."""
        try:
            os.link(self.temporary, self.path)
        except FileExistsError:
            refuse_existing(self.path, force=False)
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            refuse_existing(self.path, force=False)
            return False
        return True

    def refused(self, error: OSError) -> OutputError:
        """What to say of a disk that refuses."""
        return unwritable(self.path, error)


def _new_room(folder: Path) -> tuple[Path, int | None]:
    """A folder beside the file: the system's own temporary one may be small, or in memory."""
    while True:
        room = Path(tempfile.mkdtemp(prefix=_ROOM, dir=folder))
        with suppress(FileNotFoundError):
            held = _held(room)
            if room.is_dir():
                return room, held
        # Another export, which began in this moment, took it for one that nobody holds.


def _held(room: Path) -> int | None:
    """Hold a room as long as this process lives; None where this file system has no locks."""
    descriptor = os.open(room / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep(folder: Path) -> None:
    """Remove the rooms of exports that were killed: nobody holds them any more."""
    for room in folder.glob(f"{_ROOM}*"):
        with suppress(OSError):
            descriptor = os.open(room / _LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(room, ignore_errors=True)
            finally:
                os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    with suppress(OSError):
        os.umask(mask)
    return mask
