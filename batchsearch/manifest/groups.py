"""What rows of one group have in common: the images and cells that a row without its own takes from another.

Shops write a product as several rows that share a column (`Handle`), the first of which alone has title and
image; or as a parent, whose id its variants name. Both are read once, before the rows themselves, into a
temporary database on disk: memory holds two megabytes of it, wherever a group's rows stand.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import weakref
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.errors import ManifestError
from batchsearch.manifest.column_types import normal_type, normalised
from batchsearch.manifest.formats.table_file import UnreadableError, Wished
from batchsearch.manifest.keys import digests_of, key_column
from batchsearch.manifest.layers import Layer
from batchsearch.manifest.product_images.image_cells import InlineImage
from batchsearch.manifest.product_images.image_columns import images_of
from batchsearch.storage import arrow_functions as pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from batchsearch.manifest.formats.table_file import Report, TableFile
    from batchsearch.manifest.product_images.image_cells import Image

_IMAGES: Final = -1
_TABLE: Final = (
    "CREATE TABLE told (name BLOB, place INTEGER, value BLOB, PRIMARY KEY (name, place)) WITHOUT ROWID"
)
_TELL: Final = "INSERT OR IGNORE INTO told VALUES (?, ?, ?)"
_ASK: Final = "SELECT value FROM told WHERE name = ? AND place = ?"
_CACHE: Final = "PRAGMA cache_size = -2000"
_JOURNAL: Final = "PRAGMA journal_mode = OFF"


@dataclass(frozen=True, slots=True)
class GroupColumns:
    """Which columns make groups, and what is taken from a group.

    Attributes:
        group: Column that says to which group a row belongs.
        teller: Column that says for which group a row speaks: `group` itself, or the parents' own id.
        fill: Columns whose empty cells are filled.
        images: Columns with images; empty where none are taken over.
        separator: What stands between several images of one text.
    """

    group: str
    teller: str
    fill: tuple[str, ...]
    images: tuple[str, ...]
    separator: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every column, each once."""
        return tuple(dict.fromkeys((self.group, self.teller, *self.fill, *self.images)))


class Groups:
    """What the first row of each group that says something says.

    Args:
        columns: What is taken from where.
        tables: All files of the manifest, as they are.
    """

    def __init__(self, columns: GroupColumns, tables: Sequence[TableFile]) -> None:
        self.columns = columns
        self._tables = tuple(tables)
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def gather(self) -> None:
        """Read what groups say, once: before the rows are read, since a file is read once at a time.

        Raises:
            ManifestError: The temporary folder has no room.
        """
        with self._lock:
            if self._database is None:
                with self._kept():
                    self._database = self._gathered()
                # A manifest is open as long as anybody has it: the database is closed with the last of them.
                weakref.finalize(self, self._database.close)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ManifestError(
                f"the groups of `manifest.group` cannot be kept ({error}); they need room in the "
                "temporary folder (SQLITE_TMPDIR, TMPDIR)"
            ) from error

    def names(self, piece: pa.RecordBatch, column: str) -> list[bytes | None]:
        """The groups that a column names, as digests; None where a cell is empty."""
        if column not in piece.schema.names:
            return [None] * piece.num_rows
        array = piece.column(column)
        texts = key_column([normalised(array, normal_type(array.type))])
        said = pc.not_equal(pc.utf8_trim_whitespace(texts.fill_null("")), "").to_pylist()
        digests = digests_of(texts.fill_null(""))
        return [digest if there else None for digest, there in zip(digests, said, strict=True)]

    def images(self, group: bytes | None) -> list[Image]:
        """The images of a group."""
        value = self._told(group, _IMAGES)
        return [] if value is None else _images_from(value)

    def cell(self, group: bytes | None, place: int) -> Any:
        """What a group says in the column `columns.fill[place]`; None where it says nothing."""
        value = self._told(group, place)
        return None if value is None else json.loads(value)

    def _told(self, group: bytes | None, place: int) -> bytes | None:
        if group is None:
            return None
        self.gather()
        with self._lock, self._kept():
            found = self._database.execute(_ASK, (group, place)).fetchone() if self._database else None
        return None if found is None else bytes(found[0])

    def _gathered(self) -> sqlite3.Connection:
        # An empty name is a database in a temporary file of its own, gone when it is closed.
        database = sqlite3.connect("", check_same_thread=False)
        try:
            for command in (_CACHE, _JOURNAL, _TABLE):
                database.execute(command)
            for table in self._tables:
                there = {field.name: field.type for field in table.schema}
                wished = [Wished(name, there[name]) for name in self.columns.all if name in there]
                # What cannot be read ends the reading of the rows themselves, which names it.
                with suppress(UnreadableError):
                    for piece in table.pieces(wished, lambda *_: None):
                        database.executemany(_TELL, self._lines(piece))
            database.commit()
        except BaseException:
            database.close()
            raise
        return database

    def _lines(self, piece: pa.RecordBatch) -> Iterator[tuple[bytes, int, bytes]]:
        names = self.names(piece, self.columns.teller)
        for place, column in enumerate(self.columns.fill):
            if column in piece.schema.names:
                cells = piece.column(column).to_pylist()
                for name, value in zip(names, cells, strict=True):
                    if name is not None and not is_empty(value):
                        yield name, place, json.dumps(value).encode()
        for name, images in zip(
            names, own_images(piece, self.columns.images, self.columns.separator), strict=True
        ):
            if name is not None and images:
                yield name, _IMAGES, _images_into(images)


def is_empty(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or (isinstance(value, str) and not value.strip())


def own_images(
    piece: pa.RecordBatch, columns: Iterable[str], separator: str, report: Report | None = None
) -> list[list[Image]]:
    """The images of each row, column after column; a cell that cannot be read is told by its position."""
    found: list[list[Image]] = [[] for _ in range(piece.num_rows)]
    for column in columns:
        if column not in piece.schema.names:
            continue

        def bad(position: int, column: str = column) -> None:
            if report is not None:
                report(position, f"column `{column}` is not UTF-8 text")

        for mine, more in zip(found, images_of(piece.column(column), separator, bad), strict=True):
            mine.extend(more)
    return found


def _images_into(images: Sequence[Image]) -> bytes:
    """Texts as JSON, then the bytes of those that are in the table itself."""
    held = [each for each in images if isinstance(each, InlineImage)]
    told = [[len(each.data), each.path] if isinstance(each, InlineImage) else each for each in images]
    head = json.dumps(told).encode()
    return b"".join([len(head).to_bytes(8, "big"), head, *(each.data for each in held)])


def _images_from(value: bytes) -> list[Image]:
    at = 8 + int.from_bytes(value[:8], "big")
    found: list[Image] = []
    for each in json.loads(value[8:at]):
        if isinstance(each, str):
            found.append(each)
        else:
            length, path = each
            found.append(InlineImage(value[at : at + length], path))
            at += length
    return found


class Filled(Layer):
    """A file's rows, the empty cells of some columns filled with what their group says."""

    def __init__(self, below: TableFile, groups: Groups) -> None:
        """Puts groups over a file."""
        super().__init__(below, below.schema)
        self._groups = groups
        fields = {field.name: field.type for field in below.schema}
        self._fill = {name: place for place, name in enumerate(groups.columns.fill) if name in fields}
        self._needed = (
            [Wished(groups.columns.group, fields[groups.columns.group])]
            if groups.columns.group in fields
            else []
        )

    def _made(self, wished: Sequence[Wished], report: Report) -> Iterator[pa.RecordBatch]:
        to_fill = [each.name for each in wished if each.name in self._fill]
        whole = {each.name: each for each in self._needed} if to_fill else {}
        if whole:
            self._groups.gather()
        for piece in self._read(
            [*(each for each in wished if each.name not in whole), *whole.values()], report
        ):
            given = self._given(piece, wished, whole, report)
            if to_fill and whole:
                names = self._groups.names(piece, self._groups.columns.group)
                for name in to_fill:
                    place = given.schema.get_field_index(name)
                    filled = self._filled(given.column(place), names, self._fill[name])
                    given = given.set_column(place, given.schema.field(place), filled)
            yield given
        self.left_out = self.left_out_below

    def _filled(self, array: pa.Array, names: Sequence[bytes | None], place: int) -> pa.Array:
        cells = array.to_pylist()
        empty = [at for at, value in enumerate(cells) if is_empty(value) and names[at] is not None]
        for at in empty:
            cells[at] = self._groups.cell(names[at], place)
        return pa.array(cells, array.type) if empty else array
