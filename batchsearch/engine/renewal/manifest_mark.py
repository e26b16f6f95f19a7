"""What tells that a manifest is still the one that was read to its end: then it is not read again.

A file that is written over keeps neither its change time nor its inode, and one that is moved in place of it
has its own. Only a file that was changed within the last ticks of a coarse clock could be changed once more
and look the same: of such a one the content's sum is kept as well.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from batchsearch.manifest.remote_file import RemoteFile
from batchsearch.storage.file_sum import sha256_of

if TYPE_CHECKING:
    from batchsearch.manifest.source import Manifest

_TICKS: Final = 2_500_000_000
"""No file system's clock ticks more rarely, nanoseconds."""


def manifest_mark(manifest: Manifest) -> list[dict[str, Any]] | None:
    """A mark of each file, to be made before it is read; None where one cannot be told from another.

    Raises:
        OSError: A file is not there any more.
    """
    marks = []
    for path in manifest.files:
        if isinstance(path, RemoteFile):
            mark = path.identity()
            if not mark["tag"]:
                return None
        elif isinstance(path, Path) and path.is_file():
            mark = _mark_of(path)
            if time.time_ns() - max(mark["modified"], mark["changed"]) < _TICKS:
                mark["sha256"] = sha256_of(path)
        else:
            # A table in memory; or a folder of images, which does not change with what is put below it.
            return None
        marks.append(mark)
    return marks


def is_marked(manifest: Manifest, marks: object) -> bool:
    """Whether the manifest's files are those that `manifest_mark` has marked.

    Raises:
        OSError: A file is not there any more.
    """
    if not isinstance(marks, list) or len(marks) != len(manifest.files):
        return False
    return all(_is_same(path, mark) for path, mark in zip(manifest.files, marks, strict=True))


def _is_same(path: object, mark: dict[str, Any]) -> bool:
    if isinstance(path, RemoteFile):
        return path.identity() == mark
    if not (isinstance(path, Path) and path.is_file()):
        return False
    noted = dict(mark)
    sha256 = noted.pop("sha256", None)
    return _mark_of(path) == noted and (sha256 is None or sha256_of(path) == sha256)


def _mark_of(path: Path) -> dict[str, Any]:
    about = path.stat()
    return {
        "path": str(path),
        "bytes": about.st_size,
        "modified": about.st_mtime_ns,
        "changed": about.st_ctime_ns,
        "inode": about.st_ino,
    }
