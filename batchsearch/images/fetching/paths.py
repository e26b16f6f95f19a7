"""Reading files under a root that nothing leads out of: no `..`, no absolute path, no symbolic link.

Each component is opened by itself, relative to the folder before it and without following links; links
are read and walked by the same rules. What was checked is therefore what is read, even if somebody
changes the folders meanwhile. One folder is open at a time, however long the path. The way up is checked
by the folder's identity. Links, and they alone, may also lead to folders that the job names.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, Self

from batchsearch.disk_paths import named_here

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_LINKS: Final = 40
_LONGEST: Final = 4_096
"""Bytes of the longest path that an operating system takes."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LINK_ERRORS: Final = frozenset({errno.ELOOP, errno.ENOTDIR})


class OutsideRootError(Exception):
    """A path leads out of its root."""


class NotAFileError(Exception):
    """A path names a folder, a device, a pipe or a socket."""


class TooLargeError(Exception):
    """A file is longer than anything that is read."""


class RootError(Exception):
    """The root itself, or a folder that links may lead to, cannot be opened; says nothing about the file."""

    def __init__(self, error: OSError, folder: str) -> None:
        self.error = error
        self.folder = folder
        super().__init__(error.strerror)


def read_under(root: Path, path: str, limit: int, links_to: Sequence[str] = ()) -> bytes:
    """Reads a regular file below a root.

    Args:
        root: An absolute folder; may itself be or contain symbolic links.
        path: Relative to the root, or absolute and below it.
        limit: Most bytes that are read.
        links_to: Absolute folders that links may lead to as well.

    Raises:
        OutsideRootError: The path leads out of the root.
        NotAFileError: It names something other than a regular file.
        TooLargeError: The file is longer than the limit.
        RootError: The root cannot be opened.
        OSError: The file cannot be opened or read; FileNotFoundError and NotADirectoryError if it is missing.
        ValueError: The path holds a NUL character.
    """
    path = named_here(path)
    if len(os.fsencode(path)) > _LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    parts = _parts_below(str(root), path)
    if parts is None:
        raise OutsideRootError
    with _Walk((str(root), *links_to)) as walk:
        while parts:
            name = parts.pop(0)
            if name == "..":
                walk.leave()
                continue
            try:
                if not parts:
                    return walk.read(name, limit)
                walk.enter(name)
            except OSError as error:
                target = walk.link_target(name) if error.errno in _LINK_ERRORS else None
                if target is None:
                    raise
                parts = walk.follow(target) + parts
        raise NotAFileError


class _Walk:
    """Where one is below the root: one open folder, and how one came to it."""

    def __init__(self, tops: Sequence[str]) -> None:
        self._tops = tops
        self._links = 0
        self._here = -1
        self._top = 0
        self._names: list[str] = []
        self._identities: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        self._begin(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._here >= 0:
            os.close(self._here)

    def read(self, name: str, limit: int) -> bytes:
        """All of a file in the current folder."""
        descriptor = os.open(name, _FILE, dir_fd=self._here)
        try:
            return _read(descriptor, limit)
        finally:
            os.close(descriptor)

    def enter(self, name: str) -> None:
        """Goes one folder down."""
        self._move(os.open(name, _FOLDER, dir_fd=self._here))
        self._names.append(name)
        self._identities.append(self._identity())

    def leave(self) -> None:
        """Goes one folder up, never above the root."""
        if not self._names:
            raise OutsideRootError
        self._move(os.open("..", _FOLDER, dir_fd=self._here))
        self._names.pop()
        self._identities.pop()
        if self._identity() != self._identities[-1]:
            # Somebody has moved the folder meanwhile: its parent is no longer what was walked through.
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def link_target(self, name: str) -> str | None:
        """What a symbolic link in the current folder says, or None for anything else."""
        try:
            return os.readlink(name, dir_fd=self._here)
        except OSError:
            return None

    def follow(self, target: str) -> list[str]:
        """The components that a link stands for, from the current folder or anew from a top."""
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        parts = _split(target)
        if not target.startswith("/"):
            up = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
            if up <= len(self._names):
                return parts
            # Out of this top by a link: as the folder's own place on the disk says it.
            place = os.path.realpath(self._tops[self._top])
            for _ in range(up - len(self._names)):
                place = os.path.dirname(place)  # noqa: PTH120 - text, not a file
            target = "/".join([place.rstrip("/"), *parts[up:]]) or "/"
        for number, top in enumerate(self._tops):
            found = _parts_below(top, target)
            if found is not None:
                self._begin(number)
                return found
        raise OutsideRootError

    def _begin(self, number: int) -> None:
        try:
            # Only the tops may be reached through links: the job names them, not the manifest.
            folder = os.open(self._tops[number], _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise RootError(error, self._tops[number]) from error
        self._move(folder)
        self._top = number
        self._names = []
        self._identities = [self._identity()]

    def _move(self, folder: int) -> None:
        before, self._here = self._here, folder
        if before >= 0:
            os.close(before)

    def _identity(self) -> tuple[int, int]:
        status = os.fstat(self._here)
        return status.st_dev, status.st_ino


def _parts_below(root: str, path: str) -> list[str] | None:
    """The components of a path below a root; None for an absolute path elsewhere.

    An absolute path starts with the root as it is given, or as it is with links resolved.
    """
    if not path.startswith("/"):
        return _split(path)
    normal = "/" + os.path.normpath(path).lstrip("/")
    for start in (os.path.normpath(root), os.path.realpath(root)):
        if normal == start or normal.startswith(start.rstrip("/") + "/"):
            return _split(normal[len(start) :])
    return None


def _split(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _read(descriptor: int, limit: int) -> bytes:
    """All of an open regular file."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise NotAFileError
    if status.st_size > limit:
        raise TooLargeError
    chunks: list[bytes] = []
    total = 0
    # One byte more than its length: a file that did not change ends in two reads.
    want = status.st_size + 1
    while chunk := os.read(descriptor, want):
        chunks.append(chunk)
        total += len(chunk)
        if total > limit:
            raise TooLargeError
        want = max(64 * 1024, want - len(chunk))
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
