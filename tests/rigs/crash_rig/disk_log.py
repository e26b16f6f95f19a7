"""The recorder of `disk_log.c`: built with the machine's C compiler, its records read back."""

import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("disk_log.c")
_HEAD = struct.Struct("<4I4Q")

(
    OPENED,
    WRITTEN,
    TRUNCATED,
    RENAMED,
    UNLINKED,
    MADE_FOLDER,
    REMOVED_FOLDER,
    SYNCED,
    MARK,
    EXCHANGED,
    LINKED,
) = range(1, 12)


@dataclass(frozen=True)
class Record:
    """One thing that a process did to its disk, or said.

    Attributes:
        kind: One of the constants above.
        path: What it was done to; empty where only the file's inode says so.
        target: New path of a renamed or linked one, or what it was exchanged for.
        inode: Device and inode number of a file.
        offset: Where it was written, or the new size.
        data: What was written, or said.
    """

    kind: int
    path: str
    target: str
    inode: tuple
    offset: int
    data: bytes


def compiler():
    """A C compiler of this machine, None when it has none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def build(folder):
    """The recorder as a library to preload."""
    library = folder / "disk_log.so"
    command = [compiler(), "-O2", "-Wall", "-shared", "-fPIC", "-o", library, SOURCE, "-lpthread"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return library


def read(path):
    """All records of a log; one that was cut off at its end is left out."""
    data, place, records = path.read_bytes(), 0, []
    while place + _HEAD.size <= len(data):
        kind, first, second, _, device, inode, offset, size = _HEAD.unpack_from(data, place)
        start = place + _HEAD.size
        has_data = kind in (WRITTEN, MARK)
        place = start + first + second + (size if has_data else 0)
        if place > len(data):
            break
        records.append(
            Record(
                kind,
                data[start : start + first].decode(),
                data[start + first : start + first + second].decode(),
                (device, inode),
                offset,
                data[start + first + second : place] if has_data else b"",
            )
        )
    return records
