"""Reading files under a root that nothing leads out of: no `..`, no absolute path, no symbolic link.

Each component is opened by itself, relative to the folder before it and without following links; links
are read and walked by the same rules. What was checked is therefore what is read, even if somebody
changes the folders meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LINKS: Final = 40
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
    """The root itself cannot be opened; says nothing about the file."""

    def __init__(self, error: OSError) -> None:
        self.error = error
        super().__init__(error.strerror)


def read_under(root: Path, path: str, limit: int) -> bytes:
    """Reads a regular file below a root.

    Args:
        root: An absolute folder; may itself be or contain symbolic links.
        path: Relative to the root, or absolute and below it.
        limit: Most bytes that are read.

    Raises:
        OutsideRootError: The path leads out of the root.
        NotAFileError: It names something other than a regular file.
        TooLargeError: The file is longer than the limit.
        RootError: The root cannot be opened.
        OSError: The file cannot be opened or read; FileNotFoundError and NotADirectoryError if it is missing.
        ValueError: The path holds a NUL character.
    """
    parts = _parts_below(root, path)
    with ExitStack() as stack:
        walk = _Walk(root, stack)
        while parts:
            name = parts.pop(0)
            if name == "..":
                walk.leave()
                continue
            try:
                if not parts:
                    return _read(walk.open(name, _FILE), limit)
                walk.enter(name)
            except OSError as error:
                target = walk.link_target(name) if error.errno in _LINK_ERRORS else None
                if target is None:
                    raise
                parts = walk.follow(target) + parts
        raise NotAFileError


class _Walk:
    """The folders between the root and the current one, all open."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self._root = root
        self._stack = stack
        self._links = 0
        try:
            # Only the root may be reached through links: the job names it, not the manifest.
            top = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        except OSError as error:
            raise RootError(error) from error
        stack.callback(os.close, top)
        self._folders = [top]

    def open(self, name: str, flags: int) -> int:
        """A descriptor of something in the current folder, closed with the walk."""
        descriptor = os.open(name, flags, dir_fd=self._folders[-1])
        self._stack.callback(os.close, descriptor)
        return descriptor

    def enter(self, name: str) -> None:
        """Goes one folder down."""
        self._folders.append(self.open(name, _FOLDER))

    def leave(self) -> None:
        """Goes one folder up, never above the root."""
        if len(self._folders) == 1:
            raise OutsideRootError
        self._folders.pop()

    def link_target(self, name: str) -> str | None:
        """What a symbolic link in the current folder says, or None for anything else."""
        try:
            return os.readlink(name, dir_fd=self._folders[-1])
        except OSError:
            return None

    def follow(self, target: str) -> list[str]:
        """The components that a link stands for, from the current folder or anew from the root."""
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            del self._folders[1:]
            return _parts_below(self._root, target)
        return _split(target)


def _parts_below(root: Path, path: str) -> list[str]:
    """The components of a path below the root.

    Raises:
        OutsideRootError: An absolute path does not start with the root, as given or with links resolved.
    """
    if not path.startswith("/"):
        return _split(path)
    normal = os.path.normpath(path)
    for start in (os.path.normpath(root), os.path.realpath(root)):
        if normal == start or normal.startswith(start.rstrip("/") + "/"):
            return _split(normal[len(start) :])
    raise OutsideRootError


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
