"""A manifest: found, understood, checked in one pass, and given out row by row."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.column_types import image_lengths, parameter_cells
from batchsearch.manifest.files import find_files
from batchsearch.manifest.folder_columns import folder_columns, in_folders, row_numbered
from batchsearch.manifest.formats.registry import open_table
from batchsearch.manifest.formats.table_file import SkippingFile, Wished
from batchsearch.manifest.given import table_at
from batchsearch.manifest.keys import KeyBatch, RepeatFinder, is_quoted
from batchsearch.manifest.layers import rows_of
from batchsearch.manifest.meaning import Wanted, understand
from batchsearch.manifest.pieces import Pieces, StopsThere
from batchsearch.manifest.row_findings import LISTED
from batchsearch.manifest.rows import RowBatch
from batchsearch.manifest.shaping import kept_always, left_out, naming_images, shaped
from batchsearch.manifest.whole_check import ManifestCheck

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.manifest.files import ManifestFiles
    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import TableFile
    from batchsearch.manifest.layers import LeftOut, WithoutImage
    from batchsearch.manifest.remote_file import ManifestPath
    from batchsearch.manifest.whole_check import Beside

__all__ = ["Manifest", "Wanted"]

_BATCH_BYTES: Final = 16 * 1024 * 1024
"""Image bytes in one batch of rows; a single row may have more."""

_KEYS_AT_ONCE: Final = 8_192


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table of rows to be worked on.

    Attributes:
        settings: As the job file gives them.
        files: Paths of its files, in the order of the rows.
        schema_carried: The manifest's own columns as they go into the results.
    """

    settings: ManifestSettings
    files: tuple[ManifestPath | GivenTable, ...]
    schema_carried: pa.Schema
    _pieces: Pieces
    _format: str

    @classmethod
    def open(
        cls,
        settings: ManifestSettings,
        *,
        base: Path,
        wanted: Wanted,
        stores: ConnectionsSettings | None = None,
        without: str | None = None,
        given: Sequence[TableFile] | None = None,
    ) -> Self:
        """Finds the files, reads their headers or footers, and settles what each column means.

        Args:
            settings: Path, format, key and columns.
            base: Where a relative path starts: the job file's folder.
            wanted: What the operation takes.
            stores: How object stores are reached, for a manifest in one.
            without: Folder whose files are never rows: the job's own output.
            given: Tables that are the manifest themselves, such as a `MemoryTable`; nothing is looked for.

        Raises:
            ConfigError: The path is an address that nothing installed reads.
            ManifestError: A file is missing or not what it is said to be, the files disagree, or a column
                is missing or of a type that cannot be used; with every such problem.
        """
        use_plain_allocator()
        if given is None and (handed := table_at(settings.path)) is not None:
            given = [handed]
        if given is not None:
            tables = tuple(_numbered(table, settings) for table in given)
            files: tuple[ManifestPath | GivenTable, ...] = tuple(table.path for table in tables)
            kind = "given"
        else:
            found = find_files(
                settings.path, base=base, wanted=settings.format, stores=stores, without=without
            )
            tables, files, kind = _opened(found, settings), found.paths, found.format
        tables = shaped(tables, settings, wanted)
        wanted = replace(wanted, kept=wanted.kept | kept_always(settings))
        meaning = understand(tables, naming_images(settings, wanted), wanted)
        pieces = Pieces(tables, meaning, settings.key, meaning.carried)
        return cls(settings, files, meaning.carried, pieces, kind)

    @property
    def quoted(self) -> tuple[bool, ...]:
        """Which columns stand in quotes in the key of a row, where the key has several; see `key_column`."""
        types = self._pieces.meaning.types
        return self._pieces.quoted or tuple(is_quoted(types[name]) for name in self.settings.key)

    def naming_rows(self, quoted: Sequence[bool] | None) -> Manifest:
        """This manifest, its rows named as they were before; None leaves it as it is."""
        if quoted is None or len(quoted) != len(self.settings.key):
            return self
        return replace(self, _pieces=replace(self._pieces, quoted=tuple(quoted)))

    def identity(self) -> dict[str, Any]:
        """What this manifest is, for a run's records: how rows are named and which files there were.

        Files may grow or be added between runs of one job; their sizes (bytes) and times (nanoseconds) are
        for people, and for telling that nothing changed at all.
        """
        files = []
        for path in self.files:
            if not isinstance(path, Path):
                files.append(path.identity())
                continue
            status = path.stat()
            files.append({"path": str(path), "bytes": status.st_size, "modified_ns": status.st_mtime_ns})
        return {
            "path": self.settings.path,
            "format": self._format,
            "key": list(self.settings.key),
            "columns": dict(self.settings.columns),
            "files": files,
            **self.settings.rows_as_said(),
        }

    @property
    def left_out(self) -> LeftOut:
        """What the last whole reading, such as `check`, left out of the rows."""
        return left_out(self._pieces.tables)

    def check(
        self,
        stop: threading.Event | None = None,
        without_image: Callable[[WithoutImage], None] | None = None,
        keys: RepeatFinder | None = None,
        beside: Beside | None = None,
    ) -> int:
        """Reads everything but inline images once: whole, well-typed, keys present and unique.

        Args:
            stop: Set when nobody waits for it any more.
            without_image: Told of each row that is left out for want of an image.
            keys: Takes the keys, each with its place among all rows that the manifest gives.
            beside: Makes what each key is kept with; not where images are inline.

        Returns:
            The number of rows.

        Raises:
            CheckStoppedError: `stop` was set.
            ManifestError: With up to 20 problems by file and row, and how many there are in all.
        """
        return ManifestCheck(self._pieces, stop, beside).all(without_image, keys)

    @property
    def has_inline_images(self) -> bool:
        """Whether images are in the table itself."""
        return any(use.has_bytes for use in self._pieces.meaning.columns)

    def batches(self, rows: int = 1024, among: NDArray[np.bool_] | None = None) -> Iterator[RowBatch]:
        """The rows in order, each with its key, its images and its parameters.

        Args:
            rows: Most rows in a batch; fewer where images are inline and large.
            among: Of all rows that the manifest gives, those that are wanted: batches without any of them are
                left out. Rows beyond its end are wanted.

        Raises:
            ManifestError: At the first row that `check` would have reported, repeated keys aside; not for
                rows that are left out.
        """
        wished = [
            Wished(use.name, use.type if use.has_bytes or use.carried is None else use.carried)
            for use in self._pieces.meaning.columns
        ]
        start = above = 0
        for number in range(len(self._pieces.tables)):
            seen = rows_read = 0
            stop = StopsThere(self._pieces.tables, number)
            for first, piece in self._pieces.among(number, wished, stop, partial(_any_of, among, start)):
                seen = first
                at = rows_of(piece)
                rows_read = int(at[-1]) + 1 if len(at) else rows_read
                if not _any_of(among, start, seen, piece.num_rows):
                    seen += piece.num_rows
                    continue
                keys = [self._pieces.plain(piece, name) for name in self.settings.key]
                self._pieces.usable(keys, number, at, stop)
                named = self._pieces.keys_of(keys)
                images = [self._pieces.plain(piece, name) for name in self._pieces.meaning.images]
                parameters = {
                    name: parameter_cells(self._pieces.plain(piece, column))
                    for name, column in self._pieces.meaning.parameters.items()
                }
                for offset, length in _cuts(piece.num_rows, images, rows):
                    if not _any_of(among, start, seen + offset, length):
                        continue
                    yield RowBatch(
                        named.slice(offset, length),
                        start=start + seen + offset,
                        numbers=above + at[offset : offset + length],
                        images=[column.slice(offset, length) for column in images],
                        parameters={
                            name: column.slice(offset, length) for name, column in parameters.items()
                        },
                        carry=partial(self._pieces.passthrough, piece, offset, length),
                    )
                seen += piece.num_rows
            if isinstance(self._pieces.tables[number], SkippingFile):
                # What follows the last wanted row was not read.
                seen = rows_read = self._pieces.tables[number].rows or 0
            start += seen
            above += rows_read

    def keys(self, rows: int = _KEYS_AT_ONCE) -> Iterator[list[str]]:
        """The row keys in order, as `key_batches` reads them.

        Args:
            rows: Most keys at a time.

        Raises:
            ManifestError: At the first row without a key, or where a file cannot be read on.
        """
        for batch in self.key_batches(rows):
            yield batch.keys()

    def key_batches(self, rows: int = _KEYS_AT_ONCE) -> Iterator[KeyBatch]:
        """The row keys in order, and nothing else of the rows: no image is read.

        The batches are those of `batches` where the same number of rows is asked for and no image is
        inline.

        Args:
            rows: Most keys at a time.

        Raises:
            ManifestError: At the first row without a key, or where a file cannot be read on.
        """
        types = self._pieces.meaning.types
        wished = [Wished(name, types[name]) for name in self.settings.key]
        for number in range(len(self._pieces.tables)):
            stop = StopsThere(self._pieces.tables, number)
            for piece in self._pieces.of_file(number, wished, stop):
                columns = [piece.column(name) for name in self.settings.key]
                at = rows_of(piece)
                for offset in range(0, piece.num_rows, rows):
                    keys = [column.slice(offset, rows) for column in columns]
                    self._pieces.usable(keys, number, at[offset : offset + rows], stop)
                    yield KeyBatch(self._pieces.keys_of(keys))


def _any_of(among: NDArray[np.bool_] | None, start: int, first: int, count: int) -> bool:
    """Whether any is wanted of so many rows of a file that begins at `start`, from its row `first` on."""
    first += start
    if among is None or first + count > len(among):
        return True
    return bool(among[first : first + count].any())


def _opened(found: ManifestFiles, settings: ManifestSettings) -> tuple[TableFile, ...]:
    """The files, their headers or footers read; every one that cannot be is reported."""
    tables: list[TableFile] = []
    problems: list[Problem] = []
    for path, folders in zip(found.paths, found.folders, strict=True):
        try:
            table = open_table(path, found.format, settings, without=found.without)
        except ManifestError as error:
            problems += error.problems
            continue
        columns = folder_columns(folders)
        tables.append(_numbered(in_folders(table, columns) if columns else table, settings, folders))
    if problems:
        raise ManifestError(problems[:LISTED])
    return tuple(tables)


def _numbered(table: TableFile, settings: ManifestSettings, folders: Sequence[str] = ()) -> TableFile:
    """The file with its rows numbered, where that is asked for and no column of its own is called so."""
    column = settings.row_number
    return table if column is None or column in table.schema.names else row_numbered(table, column, folders)


def _cuts(total: int, images: Sequence[pa.Array], rows: int) -> Iterator[tuple[int, int]]:
    """Where to cut `total` rows so that no part has more than `rows` or, with several, `_BATCH_BYTES`."""
    lengths = np.zeros(total, dtype=np.int64)
    for array in images:
        lengths += image_lengths(array).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    offset = 0
    while offset < total:
        before = int(ends[offset - 1]) if offset else 0
        fitting = int(np.searchsorted(ends, before + _BATCH_BYTES, side="right"))
        stop = min(max(fitting, offset + 1), offset + rows, total)
        yield offset, stop - offset
        offset = stop


CHOSEN_BY_USER = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow's own variable; whoever sets it has chosen."""


def use_plain_allocator() -> None:
    """Let Arrow take memory from the system's allocator, for the whole process.

    Its own allocators keep freed memory for later: over a manifest of ten million rows the process grows by
    30 to 40 MB where it needs 4, and is no faster for it (`tests/benchmarks/manifest.py`).
    """
    if CHOSEN_BY_USER not in os.environ and pa.default_memory_pool().backend_name != "system":
        pa.set_memory_pool(pa.system_memory_pool())
