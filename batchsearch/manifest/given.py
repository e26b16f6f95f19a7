"""Tables that a program hands over as its manifest, found by a path that is on no disk.

The path holds what the table's content comes to, so that it is the same whenever the content is. It leads to
the table only while the program's call lasts.
"""

from __future__ import annotations

import hashlib
import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from batchsearch.config.sections.manifest_settings import IN_MEMORY
from batchsearch.errors import ManifestError
from batchsearch.manifest.formats.memory_table import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS_AT_ONCE: Final = 8_192
_DIGITS: Final = 16

_lock: Final = threading.Lock()
_tables: Final[dict[str, list[MemoryTable]]] = {}


class _Digest(io.RawIOBase):
    """Takes bytes in and keeps what they come to."""

    def __init__(self) -> None:
        self.sum = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.sum.update(view)
        return view.nbytes


def content_of(table: pa.Table) -> str:
    """What a table's columns and rows come to; the same however it is cut into pieces."""
    digest = _Digest()
    with pa.ipc.new_stream(pa.PythonFile(digest, mode="w"), table.schema.remove_metadata()) as stream:
        for start in range(0, table.num_rows, _ROWS_AT_ONCE):
            piece = table.slice(start, _ROWS_AT_ONCE).replace_schema_metadata(None).combine_chunks()
            stream.write_table(piece)
    return digest.sum.hexdigest()[:_DIGITS]


@contextmanager
def handed_over(table: pa.Table, name: str) -> Iterator[str]:
    """The path by which a table is found inside.

    Args:
        table: The manifest.
        name: What it is called in messages.

    Raises:
        ManifestError: It has a column name twice.
    """
    content = content_of(table)
    path = f"{IN_MEMORY}{content}"
    found = MemoryTable(table, name, content)
    with _lock:
        _tables.setdefault(path, []).append(found)
    try:
        yield path
    finally:
        with _lock:
            _tables[path].remove(found)
            if not _tables[path]:
                del _tables[path]


def is_handed_over(path: str) -> bool:
    """Whether a manifest's path is that of a table in memory."""
    return path.startswith(IN_MEMORY)


def table_at(path: str) -> MemoryTable | None:
    """The table that a path leads to; None where the path is one of files.

    Raises:
        ManifestError: The program that handed it over is done with it.
    """
    if not is_handed_over(path):
        return None
    with _lock:
        found = _tables.get(path)
    if found is None:
        what = (
            "was a table in the memory of a Python program, which is done with it; run it from there again "
            "with `manifest=`, or write the table to a file and name that: `--set manifest.path=FILE`"
        )
        raise ManifestError.at(path, what)
    return found[-1]
