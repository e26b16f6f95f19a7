"""The check of a manifest beside the loop, which a signal ends soon however large the manifest is."""

from __future__ import annotations

import asyncio
import csv
import threading
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, Self

from batchsearch.pages.spreadsheet_cells import harmless
from batchsearch.publish import NewFile, disk_errors, make_folder, own_name, unwritable
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.manifest.keys import RepeatFinder
    from batchsearch.manifest.layers import WithoutImage
    from batchsearch.manifest.source import Manifest
    from batchsearch.manifest.whole_check import Beside

WITHOUT_IMAGE: Final = "without_image.csv"
"""File of an output folder that lists the rows left out for want of an image."""

_HEADER: Final = ("file", "row", "key")


async def checked(
    manifest: Manifest,
    folder: Path | None = None,
    *,
    keys: RepeatFinder | None = None,
    beside: Beside | None = None,
) -> int:
    """The number of a manifest's rows, once all of them are known to be good.

    Args:
        manifest: The rows.
        folder: Where the rows are listed that are left out for want of an image; None lists none.
        keys: Takes the rows' keys; see `Manifest.check`.
        beside: Makes what each is kept with, likewise.

    Raises:
        ManifestError: They are not.
        OutputError: The list cannot be written.
    """
    stop = threading.Event()

    def check() -> int:
        if folder is None:
            return manifest.check(stop)
        with _List(folder / WITHOUT_IMAGE) as listed:
            return manifest.check(stop, listed.add, keys, beside)

    try:
        rows = await asyncio.to_thread(check)
    except asyncio.CancelledError:
        # The process would wait for the thread to its end.
        stop.set()
        raise
    left_out = manifest.left_out.as_dict()
    if left_out:
        logger().info("rows_left_out", **left_out)
    return rows


class _List:
    """The list of rows without an image, made when there is the first; one that is not true any more goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._new: NewFile | None = None
        self._file: Any = None
        self._writer: Any = None

    def add(self, row: WithoutImage) -> None:
        """One row more.

        Raises:
            OutputError: The disk refuses.
        """
        with disk_errors(self._path, "cannot be written"):
            if self._file is None:
                make_folder(self._path.parent)
                self._new = NewFile(self._path, own_name(self._path))
                self._file = TextIOWrapper(self._new.file, encoding="utf-8", errors="replace", newline="")
                self._writer = csv.writer(self._file)
                self._writer.writerow(_HEADER)
            self._writer.writerow((harmless(row.file), row.row + 1, harmless(row.key)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if self._new is not None and kind is None:
                self._file.flush()
                self._new.publish()
            elif kind is None:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self._path, error) from error
        finally:
            if self._new is not None:
                self._new.abandon()
