"""The table that `batchsearch check` writes: what would become of each image of a manifest.

One row for each image that a row sends, in manifest order. The columns are declared once, like those of
`results`, and pinned by a contract test.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.errors import OutputError
from batchsearch.publish import NewFile, disk_errors, publishing
from batchsearch.storage.parts.fitting import fitting_of
from batchsearch.storage.parts.results_and_hits import SCHEMA_VERSION, Column, table_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

VERDICTS_FILE: Final = "verdicts.parquet"
_ROW_GROUP_ROWS: Final = 20_000
_TEXT: Final = pa.string()
_SIDE: Final = pa.int32()

VERDICT_COLUMNS: Final = (
    Column("row_key", _TEXT, "Names the manifest row: the key column's text, or a JSON array of several."),
    Column("row_number", pa.int64(), "Position of the row in the manifest, from 0. Names nothing."),
    Column("role", _TEXT, "Which of the row's images: `image`, `primary_image` or `secondary_image`."),
    Column("reference", _TEXT, "Where the image is, without what an address may keep secret."),
    Column("verdict", _TEXT, "`pass`, `repaired`, `rejected` or `unreachable` (not known this time)."),
    Column("code", _TEXT, "`Local.…` of a rejected image, `Transport.…` of an unreachable one."),
    Column("prevents", _TEXT, "The service's code that a call would have ended with."),
    Column("message", _TEXT, "What was found, for a person."),
    Column("source_format", _TEXT, "Format of the file by content."),
    Column("source_width", _SIDE, "Width of the file's pixel grid."),
    Column("source_height", _SIDE, "Height of the file's pixel grid."),
    Column("source_bytes", pa.int64(), "Size of the file, bytes."),
    Column("source_sha256", _TEXT, "SHA-256 of the file."),
    Column("sent_format", _TEXT, "Format of what would be sent."),
    Column("sent_width", _SIDE, "Width of what would be sent, pixels."),
    Column("sent_height", _SIDE, "Height of what would be sent, pixels."),
    Column("sent_bytes", pa.int64(), "Size of what would be sent, bytes."),
    Column("sent_sha256", _TEXT, "SHA-256 of what would be sent."),
    Column("transforms", pa.list_(_TEXT), "What was done to the image, in order; empty where it passed."),
    Column("saved_as", _TEXT, "File name below the folder of `--save`; null where nothing was saved."),
)


def verdicts_schema() -> pa.Schema:
    """The columns of the verdicts."""
    return table_schema(VERDICT_COLUMNS, "verdicts", SCHEMA_VERSION)


_REFUSED: Final = "the verdicts cannot be written"


class VerdictFile:
    """Writes verdicts as they come; the file appears whole when the `with` block ends well, or not at all.

    An earlier file of that name stays until then.

    Args:
        folder: Where `verdicts.parquet` goes; made when it is not there.

    Raises:
        OutputError: The folder or the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / VERDICTS_FILE
        self._waiting: list[Mapping[str, Any]] = []
        with disk_errors(folder, "the verdicts cannot be written here"):
            folder.mkdir(parents=True, exist_ok=True)
            self._schema = verdicts_schema()
            self._fitting = fitting_of(self._schema)
            self._new = NewFile(self.path)
            with ExitStack() as undo:
                undo.callback(self._new.abandon)
                self._writer = pq.ParquetWriter(self._new.file, self._schema, compression="zstd")
                undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            with disk_errors(self.path, _REFUSED):
                self._flush()
                self._writer.close()
                self._new.publish()
        except OutputError:
            self._abandon()
            raise

    def add(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Adds verdicts, each a mapping of column names to plain values; what is absent is null.

        Raises:
            OutputError: The disk refuses.
        """
        self._waiting += verdicts
        if len(self._waiting) >= _ROW_GROUP_ROWS:
            with disk_errors(self.path, _REFUSED):
                self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Adds verdicts of the columns of `verdicts_schema`, that fit already.

        Raises:
            OutputError: The disk refuses.
        """
        with disk_errors(self.path, _REFUSED):
            self._flush()
            self._writer.write_table(table)

    def _flush(self) -> None:
        if self._waiting:
            # A file's header may hold a number that no column does: it costs that field, not the table.
            self._writer.write_table(self._fitting.table(self._waiting, self._schema))
            self._waiting = []

    def _abandon(self) -> None:
        with suppress(Exception):
            self._writer.close()
        self._new.abandon()


class SavedImages:
    """Writes the images that would be sent into a folder, under names that nothing in a manifest chooses.

    A name is 32 hexadecimal digits of a digest of row key and role, and the ending of the format sent, so
    that checking again writes the same files anew. Files that are there under other names stay.

    Args:
        folder: Made when it is not there.

    Raises:
        OutputError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with disk_errors(folder, "images cannot be saved here"):
            folder.mkdir(parents=True, exist_ok=True)

    def save(self, row_key: str, role: str, image_format: str, data: bytes) -> str:
        """Writes one image whole; its file name. Safe to call from several threads.

        Raises:
            OutputError: The disk refuses.
        """
        name = saved_name(row_key, role, image_format)
        with disk_errors(self.folder, "an image cannot be saved"), publishing(self.folder / name) as file:
            file.write(data)
        return name


def saved_name(row_key: str, role: str, image_format: str) -> str:
    """File name for one image of a row."""
    digest = hashlib.sha256(f"{role}\0{row_key}".encode(errors="surrogatepass")).hexdigest()
    return f"{digest[:32]}.{_ENDINGS.get(image_format, 'bin')}"


_ENDINGS: Final = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
