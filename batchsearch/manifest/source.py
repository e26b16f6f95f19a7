"""A manifest: found, understood, checked in one pass, and given out row by row."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np
import pyarrow as pa

from batchsearch.errors import ManifestError, Problem
from batchsearch.manifest.arrow_memory import use_plain_allocator
from batchsearch.manifest.column_types import cell, fractions, image_lengths, normalised, parameter_cells
from batchsearch.manifest.files import find_files
from batchsearch.manifest.folder_columns import InFolders, folder_columns
from batchsearch.manifest.formats.registry import open_table
from batchsearch.manifest.formats.table_file import SkippingFile, UnreadableError, Wished, placed
from batchsearch.manifest.given import table_at
from batchsearch.manifest.keys import KeyBatch, RepeatFinder, digests_of, is_quoted, key_column, key_texts
from batchsearch.manifest.layers import ROW, Layer, rows_of
from batchsearch.manifest.meaning import Meaning, Wanted, understand
from batchsearch.manifest.passthrough import never_names, shown_cells
from batchsearch.manifest.row_findings import LISTED, Findings
from batchsearch.manifest.row_numbers import Numbered
from batchsearch.manifest.rows import RowBatch
from batchsearch.manifest.shaping import kept_always, left_out, naming_images, shaped
from batchsearch.steps import step
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from batchsearch.config.sections.manifest_settings import ManifestSettings
    from batchsearch.config.sections.store_settings import ConnectionsSettings
    from batchsearch.manifest.files import ManifestFiles
    from batchsearch.manifest.formats.memory_table import GivenTable
    from batchsearch.manifest.formats.table_file import AnyOf, Report, TableFile
    from batchsearch.manifest.layers import LeftOut, WithoutImage
    from batchsearch.manifest.remote_file import ManifestPath
    from batchsearch.steps import Step

__all__ = ["Manifest", "Wanted"]

Beside: TypeAlias = "Callable[[Sequence[pa.Array], Mapping[str, pa.Array], int], NDArray[Any]]"
"""Makes the records of `keys.BESIDE` of so many rows from their columns of images and of parameters."""

_BATCH_BYTES: Final = 16 * 1024 * 1024
"""Image bytes in one batch of rows; a single row may have more."""

_KEYS_AT_ONCE: Final = 8_192


class CheckStoppedError(Exception):
    """Nobody waits for the check any more."""


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
    _tables: tuple[TableFile, ...]
    _meaning: Meaning
    _format: str
    _quoted: tuple[bool, ...] | None = None

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
        return cls(settings, files, meaning.carried, tables, meaning, kind)

    @property
    def quoted(self) -> tuple[bool, ...]:
        """Which columns stand in quotes in the key of a row, where the key has several; see `key_column`."""
        types = self._meaning.types
        return self._quoted or tuple(is_quoted(types[name]) for name in self.settings.key)

    def naming_rows(self, quoted: Sequence[bool] | None) -> Manifest:
        """This manifest, its rows named as they were before; None leaves it as it is."""
        if quoted is None or len(quoted) != len(self.settings.key):
            return self
        return replace(self, _quoted=tuple(quoted))

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
        return left_out(self._tables)

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
        findings = Findings(self._tables)
        rows = [table.rows for table in self._tables]
        reading = step("reading the manifest", None if None in rows else sum(count or 0 for count in rows))
        starts: list[int] = []
        total = 0
        layers = [table for table in self._tables if isinstance(table, Layer)]
        for layer in layers:
            layer.listener = without_image
        try:
            with ExitStack() as stack:
                finder = stack.enter_context(RepeatFinder(listed=LISTED)) if keys is None else keys
                for number in range(len(self._tables)):
                    starts.append(total)
                    take = _Taker(finder, beside, total)
                    total += self._check_file(number, findings, take, stop, reading)
                repeats = finder.repeats()
        except OSError as error:
            raise ManifestError(
                f"the row keys cannot be compared: {error.strerror or error}; "
                "they need 24 bytes a row in the temporary folder (TMPDIR)"
            ) from error
        finally:
            for layer in layers:
                layer.listener = None
        if repeats.total:
            self._report_repeats(repeats.pairs, starts, findings)
            findings.count_only(repeats.total - len(repeats.pairs))
        findings.raise_any()
        return total

    @property
    def has_inline_images(self) -> bool:
        """Whether images are in the table itself."""
        return any(use.has_bytes for use in self._meaning.columns)

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
            for use in self._meaning.columns
        ]
        start = above = 0
        for number in range(len(self._tables)):
            seen = rows_read = 0
            stop = _Stop(self._tables, number)
            for first, piece in self._pieces_among(number, wished, stop, partial(_any_of, among, start)):
                seen = first
                at = rows_of(piece)
                rows_read = int(at[-1]) + 1 if len(at) else rows_read
                if not _any_of(among, start, seen, piece.num_rows):
                    seen += piece.num_rows
                    continue
                keys = [self._plain(piece, name) for name in self.settings.key]
                self._usable(keys, number, at, stop)
                named = key_column(keys, self._quoted)
                images = [self._plain(piece, name) for name in self._meaning.images]
                parameters = {
                    name: parameter_cells(self._plain(piece, column))
                    for name, column in self._meaning.parameters.items()
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
                        carry=partial(self._carried, piece, offset, length),
                    )
                seen += piece.num_rows
            if isinstance(self._tables[number], SkippingFile):
                # What follows the last wanted row was not read.
                seen = rows_read = self._tables[number].rows or 0
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
        types = self._meaning.types
        wished = [Wished(name, types[name]) for name in self.settings.key]
        for number in range(len(self._tables)):
            stop = _Stop(self._tables, number)
            for piece in self._pieces(number, wished, stop):
                columns = [piece.column(name) for name in self.settings.key]
                at = rows_of(piece)
                for offset in range(0, piece.num_rows, rows):
                    keys = [column.slice(offset, rows) for column in columns]
                    self._usable(keys, number, at[offset : offset + rows], stop)
                    yield KeyBatch(key_column(keys, self._quoted))

    def _plain(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        """A column in the type in which keys, images and parameters are read."""
        return normalised(batch.column(name), self._meaning.types[name])

    def _pieces(self, number: int, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        """A file's pieces, each with the column `ROW`.

        The place at which it cannot be read is reported like a row's problem. A column that the file lacks is
        null in them.
        """
        for _, piece in self._pieces_among(number, wished, report, lambda *_: True):
            yield piece

    def _pieces_among(
        self, number: int, wished: Sequence[Wished], report: Report, any_of: AnyOf
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The same, each with its first row; those without a wanted row may be left out."""
        table = self._tables[number]
        names = frozenset(table.schema.names)
        given = [column for column in wished if column.name in names]
        # Without any column a piece would not know how many rows it has.
        asked = given or [Wished(field.name, field.type) for field in list(table.schema)[:1]]
        if isinstance(table, SkippingFile):
            found = table.pieces_among(asked, report, any_of)
        else:
            found = placed(table.pieces(asked, report))
        try:
            for first, piece in found:
                there = dict(zip(piece.schema.names, piece.columns, strict=True))
                if ROW not in there:
                    there[ROW] = pa.array(np.arange(first, first + piece.num_rows))
                columns = [there.get(each.name, pa.nulls(piece.num_rows, each.type)) for each in wished]
                names_of = [*(each.name for each in wished), ROW]
                yield first, pa.record_batch([*columns, there[ROW]], names=names_of)
        except UnreadableError as error:
            report(error.row, error.what)

    def _check_file(
        self,
        number: int,
        findings: Findings,
        take: _Taker,
        stop: threading.Event | None,
        reading: Step,
    ) -> int:
        """Checks one file; gives its number of rows."""
        wished = [
            Wished(use.name, use.type if use.carried is None else use.carried, path_only=use.has_bytes)
            for use in self._meaning.columns
            if use.carried is not None or not use.has_bytes
        ]

        told: set[int | None] = set()

        def report(row: int | None, what: str) -> None:
            # One problem a row: a cell that was reported is null from then on, and no second problem.
            if row not in told:
                told.add(row)
                findings.add(number, row, what)

        seen = 0
        for piece in self._pieces(number, wished, report):
            if stop is not None and stop.is_set():
                raise CheckStoppedError
            # Keys become Python text a few thousand at a time: a piece's worth would be a hundred megabytes.
            for offset in range(0, piece.num_rows, _KEYS_AT_ONCE):
                part = piece.slice(offset, _KEYS_AT_ONCE)
                keys = [self._plain(part, name) for name in self.settings.key]
                usable = self._usable(keys, number, rows_of(part), report)
                if usable is not None:
                    keys = [key.filter(usable) for key in keys]
                told_beside = None if take.beside is None else self._told_of(part, take.beside, usable)
                take.rows(key_column(keys, self._quoted), seen, part.num_rows, usable, told_beside)
                seen += part.num_rows
                reading.advance(part.num_rows)
            told.clear()
        return seen

    def _told_of(self, part: pa.RecordBatch, beside: Beside, usable: pa.Array | None) -> NDArray[Any]:
        """What the keys of some rows are kept with."""
        if usable is not None:
            part = part.filter(usable)
        images = [self._plain(part, name) for name in self._meaning.images]
        parameters = {
            name: parameter_cells(self._plain(part, column))
            for name, column in self._meaning.parameters.items()
        }
        return beside(images, parameters, part.num_rows)

    def _usable(
        self, keys: Sequence[pa.Array], number: int, at: NDArray[np.int64], report: Report
    ) -> pa.Array | None:
        """Which rows have a whole key; None for all. The others are reported; `at` are places in the file."""
        usable = None
        table = self._tables[number]
        file = table.base if isinstance(table, Layer) else table
        for name, key in zip(self.settings.key, keys, strict=True):
            is_empty = (
                pc.equal(key, "").fill_null(fill_value=True)
                if pa.types.is_string(key.type)
                else key.is_null()
            )
            if not pc.any(is_empty).as_py():
                continue
            for index in pc.indices_nonzero(is_empty).to_pylist():
                said = "is null" if key[index].as_py() is None else "is empty text"
                report(file.row_at(int(at[index])), f"the key column `{name}` {said}")
            present = pc.invert(is_empty)
            usable = present if usable is None else pc.and_(usable, present)
        for name, key in zip(self.settings.key, keys, strict=True):
            refused = never_names(key) if name in self._meaning.images else []
            refused += [
                (index, f"has a fraction ({key[index].as_py()}); a row is named by whole numbers or text")
                for index in fractions(key)
            ]
            for index, why in refused:
                report(file.row_at(int(at[index])), f"the key column `{name}` {why}")
            if refused:
                present = pa.array(~np.isin(np.arange(len(key)), [index for index, _ in refused]))
                usable = present if usable is None else pc.and_(usable, present)
        return usable

    def _report_repeats(
        self, pairs: Sequence[tuple[int, int]], starts: Sequence[int], findings: Findings
    ) -> None:
        """Names the key and both places of each repeat."""

        def place(row: int) -> tuple[int, int]:
            number = bisect_right(starts, row) - 1
            return number, row - starts[number]

        keys = self._keys_at({row for row, _ in pairs}, starts)
        earlier: dict[int, list[int]] = {}
        for _, first in pairs:
            number, position = place(first)
            earlier.setdefault(number, []).append(self._tables[number].row_at(position))
        words = {number: self._tables[number].places(rows) for number, rows in earlier.items()}
        for row, first in pairs:
            number, position = place(row)
            before, first_position = place(first)
            where = words[before][self._tables[before].row_at(first_position)]
            if before != number:
                where = f"{self._tables[before].path}: {where}"
            what = f"the key {cell(keys.get(row, ''))} is also that of {where}; keys must be unique"
            findings.add(number, self._tables[number].row_at(position), what)

    def _keys_at(self, rows: set[int], starts: Sequence[int]) -> dict[int, str]:
        """The keys of a few rows; reads the key columns again up to the last of them."""
        types = self._meaning.types
        wished = [Wished(name, types[name]) for name in self.settings.key]
        found: dict[int, str] = {}
        for number, start in enumerate(starts):
            seen = start
            for piece in self._pieces(number, wished, lambda *_: None):
                inside = sorted(row for row in rows if seen <= row < seen + piece.num_rows)
                picked = piece.take(pa.array([row - seen for row in inside], pa.int64()))
                texts = key_texts([picked.column(name) for name in self.settings.key], self._quoted)
                found.update((row, text or "") for row, text in zip(inside, texts, strict=True))
                seen += piece.num_rows
                if len(found) == len(rows):
                    return found
        return found

    def _carried(self, piece: pa.RecordBatch, offset: int, length: int) -> pa.RecordBatch:
        """What of some rows goes into the results."""
        batch = piece.slice(offset, length)
        arrays = []
        for use in self._meaning.columns:
            if use.carried is None:
                continue
            array = batch.column(use.name)
            if use.is_image and use.name not in self.settings.key:
                text = pc.struct_field(array, "path") if use.has_bytes else normalised(array, use.type)
                safe = shown_cells(text, is_base64=self._meaning.base64 and not use.has_bytes)
                array = array if safe is text and not use.has_bytes else safe
            arrays.append(normalised(array, use.carried))
        if not arrays:
            return pa.RecordBatch.from_struct_array(pa.array([{}] * length, pa.struct([])))
        return pa.record_batch(arrays, schema=self.schema_carried)


@dataclass(frozen=True, slots=True)
class _Taker:
    """Gives the keys of one file to whoever looks for repeats.

    Attributes:
        finder: Takes them.
        beside: Makes what they are kept with.
        start: Place of the file's first row among all rows.
    """

    finder: RepeatFinder
    beside: Beside | None
    start: int

    def rows(
        self, keys: pa.Array, seen: int, count: int, usable: pa.Array | None, told: NDArray[Any] | None
    ) -> None:
        """Take the usable ones of the file's rows from `seen` on."""
        places = np.arange(self.start + seen, self.start + seen + count, dtype=np.uint64)
        if usable is not None:
            places = places[usable.to_numpy(zero_copy_only=False)]
        self.finder.add(digests_of(keys), places, told)


def _any_of(among: NDArray[np.bool_] | None, start: int, first: int, count: int) -> bool:
    """Whether any is wanted of so many rows of a file that begins at `start`, from its row `first` on."""
    first += start
    if among is None or first + count > len(among):
        return True
    return bool(among[first : first + count].any())


@dataclass(frozen=True, slots=True)
class _Stop:
    """Reports a row of a file by ending the command there."""

    tables: tuple[TableFile, ...]
    number: int

    def __call__(self, row: int | None, what: str) -> None:
        findings = Findings(self.tables)
        findings.add(self.number, row, what)
        findings.raise_any()


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
        tables.append(_numbered(InFolders(table, columns) if columns else table, settings, folders))
    if problems:
        raise ManifestError(problems[:LISTED])
    return tuple(tables)


def _numbered(table: TableFile, settings: ManifestSettings, folders: Sequence[str] = ()) -> TableFile:
    """The file with its rows numbered, where that is asked for and no column of its own is called so."""
    column = settings.row_number
    return table if column is None or column in table.schema.names else Numbered(table, column, folders)


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
