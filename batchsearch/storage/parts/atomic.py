"""Files that appear whole or not at all, and stay when the machine stops."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable.

    Raises:
        OSError: The disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY)
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
        sync_folder(made.parent)


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file: at every moment a reader finds the old file or the new one, never a piece.

    Args:
        path: The file; its folder is there. A link of that name is replaced, not followed.
        text: What it is to hold; half a surrogate pair, which no file can hold, becomes a question mark.

    Raises:
        OutputError: It cannot be written; an older file stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()
        with temporary.open("xb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
