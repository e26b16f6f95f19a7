"""One Parquet file: written so that it appears whole or not at all, and looked at again later."""

from __future__ import annotations

import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch import crash_points
from batchsearch.arrow_values import size_of
from batchsearch.disk_paths import arrow_readable
from batchsearch.errors import OutputError
from batchsearch.publish import NewFile
from batchsearch.storage.file_sum import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow.dataset as ds

_ROW_GROUP_BYTES: Final = 32 * 1024 * 1024
_ROW_GROUP_ROWS: Final = 100_000
_LONGEST_REASON: Final = 300


class TableFile:
    """One Parquet file being written: small tables in, row groups of about 32 MB out.

    Args:
        path: Its final name; until `publish` it has `.tmp` behind it.
        schema: Its columns.

    Raises:
        OSError: From every method: the disk refuses.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._new = NewFile(path, path.with_name(path.name + ".tmp"))
        try:
            self._writer = pq.ParquetWriter(
                self._new.file, schema, compression="zstd", write_page_checksum=True
            )
        except BaseException:
            self._new.abandon()
            raise

    def add(self, table: pa.Table) -> None:
        """Take some rows, in the order that they are to have."""
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self._waiting_bytes += size_of(table)
        self.rows += table.num_rows
        if self._waiting_bytes >= _ROW_GROUP_BYTES or self._waiting_rows >= _ROW_GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting_rows:
            crash_points.reached("part_write")
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._waiting_rows, self._waiting_bytes = [], 0, 0

    def sync(self) -> str:
        """Put everything on disk under the temporary name; the file's SHA-256."""
        self._flush()
        self._writer.close()
        self._new.file.flush()
        crash_points.reached("part_sync")
        self._new.sync()
        return sha256_of(self._new.temporary)

    def publish(self) -> None:
        """Give the file its name, for good."""
        crash_points.reached("part_rename")
        self._new.publish()

    def abandon(self) -> None:
        """Leave nothing of what is not published."""
        with suppress(Exception):
            self._writer.close()
        self._new.abandon()


@contextmanager
def table_files() -> Iterator[Callable[[Path, pa.Schema], TableFile]]:
    """Opens files to fill and to publish; nothing is left of those that are not when the block fails."""
    files: list[TableFile] = []

    def opened(path: Path, schema: pa.Schema) -> TableFile:
        files.append(TableFile(path, schema))
        return files[-1]

    try:
        yield opened
    except BaseException:
        for file in files:
            file.abandon()
        raise


@contextmanager
def table_file(path: Path, schema: pa.Schema) -> Iterator[TableFile]:
    """One of `table_files`, published when the block ends well."""
    with table_files() as opened:
        file = opened(path, schema)
        yield file
        file.sync()
        file.publish()


def checked_parquet() -> ds.ParquetFileFormat:
    """How the Parquet files of a data set are read: every page is compared with its checksum."""
    import pyarrow.dataset as ds

    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    return ds.ParquetFileFormat(default_fragment_scan_options=options)


def reason_of(error: BaseException) -> str:
    """What an error says, one line of it."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:_LONGEST_REASON]


@contextmanager
def reading(place: object, what: str = "cannot be read", *, then: str = "") -> Iterator[None]:
    """A block that reads Parquet: what goes wrong is raised as an OutputError, with place and reason.

    Args:
        place: Where it goes wrong.
        what: What does.
        then: What the message ends with: what is kept, or what to do.
    """
    try:
        yield
    except (OSError, pa.ArrowException, ValueError) as error:
        raise OutputError(f"{place}: {what}: {reason_of(error)}{then}") from error


@contextmanager
def writing(place: object, what: str = "cannot be written", *, then: str = "") -> Iterator[None]:
    """Like `reading`, of a block that writes."""
    with reading(place, what, then=then):
        yield


def damage_of(path: Path, rows: int) -> str | None:
    """What is wrong with a sealed file that has to have so many rows; None when its footer says nothing.

    Only the footer is looked at, and of it only the rows: a flipped bit in what it says of its columns makes
    pyarrow end the whole process (`RowGroupMetaData.column`), where reading the table raises an error.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return "is not a file"
        footer = pq.read_metadata(arrow_readable(path))
    except FileNotFoundError:
        return "is not there"
    except (OSError, pa.ArrowException, ValueError) as error:
        return f"cannot be read: {reason_of(error)}"
    if footer.num_rows != rows:
        return f"has {footer.num_rows} rows, was sealed with {rows}"
    return None
