"""A folder of images as a table: a row for each image file in it and below it, in the order of their names.

A row is named by its path from the folder on. Names that begin with a dot are passed over, and so is what
ends with no ending of an image. A link to a file is one; a link to a folder is followed where it leads to
somewhere else, and no folder is walked through twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.image_folders import IMAGE, IMAGE_ENDINGS
from batchsearch.disk_paths import is_text
from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.table_file import EveryRow, UnreadableError
from batchsearch.manifest.formats.typed_columns import fitted_batch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchsearch.manifest.formats.table_file import Report, Wished
    from batchsearch.manifest.remote_file import ManifestPath

_ROWS_AT_ONCE: Final = 4_096
_NAMES: Final = (IMAGE, "folder", "file_name")


class ImageFolder(EveryRow):
    """A folder; its columns are `image` (path from the folder on), `folder` and `file_name`."""

    def __init__(self, path: ManifestPath, *, without: str | None = None) -> None:
        """Takes a folder, but for what is in another one below it, such as the job's own output.

        Raises:
            ManifestError: It is none, or may not be looked into.
        """
        if not isinstance(path, Path) or not path.is_dir():
            what = "is no folder of this machine; `manifest.format: images` is for a folder of images"
            raise ManifestError.at(path, what)
        self.path = path
        self._without = without
        self.schema = pa.schema([(name, pa.string()) for name in _NAMES])
        try:
            with os.scandir(path):
                pass
        except OSError as error:
            raise ManifestError.at(path, f"cannot be looked into: {error.strerror}") from None

    def pieces(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """See `TableFile.pieces`."""
        seen = 0
        waiting: list[tuple[str, str, str]] = []
        try:
            for parts in self._files():
                text = "/".join(parts)
                if not is_text(text):
                    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                    report(None, f"the name of {shown!r} is no text; rename the file")
                    continue
                waiting.append((text, "/".join(parts[:-1]), parts[-1]))
                if len(waiting) >= _ROWS_AT_ONCE:
                    yield _piece(waiting, wished, report, seen)
                    seen += len(waiting)
                    waiting = []
        except OSError as error:
            where = error.filename or self.path
            raise UnreadableError(None, f"{where} cannot be looked into: {error.strerror}") from None
        if waiting:
            yield _piece(waiting, wished, report, seen)

    def places(self, rows: Sequence[int]) -> dict[int, str]:
        """See `TableFile.places`: people look for a file."""
        sought = set(rows)
        found = {
            number: f"image {'/'.join(parts)}"
            for number, parts in enumerate(self._files())
            if number in sought
        }
        return {row: found.get(row, f"row {row + 1}") for row in rows}

    def _files(self) -> Iterator[tuple[str, ...]]:
        return image_files(self.path, without=self._without)


def image_files(folder: Path, *, without: str | None = None) -> Iterator[tuple[str, ...]]:
    """The image files in a folder and below it, as parts of their paths, in the order of their names.

    Raises:
        OSError: A folder cannot be looked into.
    """
    root = os.path.realpath(folder)
    walked = {_place(folder)}
    if without is not None and os.path.isdir(without):  # noqa: PTH112 - a text, as all here
        walked.add(_place(without))
    # Folders under way, the innermost last: one may be deeper than Python calls itself.
    under_way: list[tuple[tuple[str, ...], Iterator[os.DirEntry[str]]]] = [((), iter(_entries(str(folder))))]
    while under_way:
        parts, entries = under_way[-1]
        entry = next(entries, None)
        if entry is None:
            under_way.pop()
        elif _is_folder(entry):
            if entry.is_symlink() and (os.path.realpath(entry.path) + os.sep).startswith(root + os.sep):
                continue  # What a link in the folder leads to within it is met by its own name.
            status = entry.stat()
            if (status.st_dev, status.st_ino) not in walked:
                walked.add((status.st_dev, status.st_ino))
                under_way.append(((*parts, entry.name), iter(_entries(entry.path))))
        elif entry.name.lower().endswith(IMAGE_ENDINGS) and (entry.is_symlink() or entry.is_file()):
            yield (*parts, entry.name)


def _place(folder: str | Path) -> tuple[int, int]:
    """The device and inode of a folder, of the one that a link leads to."""
    status = os.stat(folder)  # noqa: PTH116 - a text or a path
    return status.st_dev, status.st_ino


def _entries(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted((each for each in found if not each.name.startswith(".")), key=lambda each: each.name)


def _is_folder(entry: os.DirEntry[Any]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # A link that leads round in a circle.


def _piece(
    rows: Sequence[tuple[str, str, str]], wished: Sequence[Wished], report: Report, seen: int
) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    batch = pa.record_batch(columns, names=list(_NAMES))
    return fitted_batch(batch, wished, report, seen)
