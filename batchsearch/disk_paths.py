"""Paths of this machine whose names are no text, or no text in the system's encoding.

POSIX names are bytes. Python gives those that are no text in the system's encoding with lone surrogates for
the odd bytes, and opens them again by that. Two things do not fit: Arrow encodes every path as UTF-8 and
raises; and where the system's encoding is ASCII (`LC_ALL=C` without UTF-8 mode), the `é` of a job file or a
manifest, which are UTF-8, is not what the same name is called on disk.
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any


def arrow_readable(path: Path) -> Any:
    """The path itself wherever Arrow can open it, else the file's bytes as an Arrow file.

    They are mapped into memory, which costs no read and no copy and ends with whoever reads from it.

    Raises:
        OSError: A file that has to be opened here cannot be.
    """
    if is_text(os.fspath(path)):
        return path
    import pyarrow as pa

    with path.open("rb") as file:
        empty = os.fstat(file.fileno()).st_size == 0
        held = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.BufferReader(pa.py_buffer(held))


def named_here(path: str) -> str:
    """A path as the system's encoding spells it; what no file can be called is returned as it is."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        try:
            return os.fsdecode(path.encode("utf-8", "surrogateescape"))
        except UnicodeEncodeError:
            return path
    return path


def is_text(path: str) -> bool:
    """Whether a path is text that every encoding of Unicode can hold, as UTF-8 and JSON must."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def arrow_dataset(paths: Sequence[Path], kind: Any, schema: Any = None) -> Any:
    """A dataset of Parquet files, wherever they are.

    Args:
        paths: At least one.
        kind: The `ParquetFileFormat` to read them by.
        schema: The columns; the first file's when absent.

    Raises:
        OSError: A file cannot be opened.
    """
    import pyarrow.dataset as ds

    if all(is_text(os.fspath(path)) for path in paths):
        return ds.dataset([os.fspath(path) for path in paths], schema=schema, format=kind)
    fragments = [kind.make_fragment(arrow_readable(path)) for path in paths]
    return ds.FileSystemDataset(fragments, schema or fragments[0].physical_schema, kind)
