"""Files that appear whole or not at all, and stay when the machine stops.

A file is written beside its place under a temporary name, synced and renamed; then its folder is
synced, since a name that is not on disk is lost with what it names.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NewFile:
    """A file being written under a temporary name; `publish` puts it in its place, over an older one.

    Args:
        path: Its place. A link of that name is replaced, not followed.
        temporary: Its name until then, for a writer that no other one writes beside: what a killed one left
            is written over. One of this process when None.
        mode: Its permissions, less those that the process masks.

    Raises:
        OSError: From every method but `abandon`: the disk refuses.
    """

    def __init__(self, path: Path, temporary: Path | None = None, *, mode: int = 0o666) -> None:
        self.path = path
        self.temporary = temporary or path.with_name(f".{path.name}.{os.getpid()}.tmp")
        with suppress(FileNotFoundError):
            self.temporary.unlink()
        # A name that is new is no link that somebody laid.
        descriptor = os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        self.file: BinaryIO = os.fdopen(descriptor, "wb")

    def sync(self) -> None:
        """Put everything on disk under the temporary name; nothing can be written after it."""
        if not self.file.closed:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def publish(self) -> None:
        """Give the file its name, for good: a reader finds the old one or the new one, whole."""
        self.sync()
        self.temporary.replace(self.path)
        sync_path(self.path.parent)

    def abandon(self) -> None:
        """Leave nothing of what is not published; an older file stays as it is."""
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.temporary.unlink()


def own_name(path: Path) -> Path:
    """The temporary name of a file that one process alone writes, kept apart from others by a lock."""
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def publishing(path: Path, temporary: Path | None = None, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write into; it is published when the block ends well, and leaves nothing when it fails.

    Args:
        path: As for `NewFile`.
        temporary: The same.
        mode: The same.

    Raises:
        OSError: The disk refuses.
    """
    new = NewFile(path, temporary, mode=mode)
    try:
        yield new.file
        new.publish()
    except BaseException:
        new.abandon()
        raise


def publish(temporary: Path, path: Path) -> None:
    """Put a file that something else has written in its place, over an older one, for good.

    Raises:
        OSError: The disk refuses.
    """
    sync_path(temporary)
    temporary.replace(path)
    sync_path(path.parent)


def write_text(path: Path, text: str, temporary: Path | None = None) -> None:
    """Write a UTF-8 text file: at every moment a reader finds the old file or the new one, never a piece.

    Args:
        path: The file; its folder is there. A link of that name is replaced, not followed.
        text: What it is to hold; half a surrogate pair, which no file can hold, becomes a question mark.
        temporary: As for `NewFile`.

    Raises:
        OutputError: It cannot be written; an older file stays as it was.
    """
    with disk_errors(path, "cannot be written"), publishing(path, temporary) as file:
        file.write(text.encode("utf-8", "replace"))


@contextmanager
def disk_errors(place: object, what: str) -> Iterator[None]:
    """A block whose OSError is raised as an OutputError: the place, what cannot be done there, and why."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{place}: {what}: {error.strerror or error}") from error


def made_folder(folder: Path) -> Path:
    """A folder, made with what is missing above it so that it stays when the machine stops.

    Raises:
        OutputError: The disk refuses.
    """
    with disk_errors(folder, "cannot make the folder"):
        make_folder(folder)
    return folder


def unwritable(path: Path, error: OSError) -> OutputError:
    """What to say of a disk that refuses a file."""
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def sync_path(path: Path) -> None:
    """Put a file's content, or a folder's entries, on disk.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and what is missing above it, so that it stays when the machine stops.

    Raises:
        OSError: The disk refuses, or something that is no folder is in the way.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for made in reversed(missing):
        made.mkdir(exist_ok=True)
        # Whatever is synced inside is lost with its name.
        sync_path(made.parent)
