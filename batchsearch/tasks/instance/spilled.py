"""Two large tables joined by their keys in bounded memory: spilled by key into parts, joined part by part."""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from batchsearch.tasks.load.lines import bare_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

PARTS: Final = 64
_AT_ONCE: Final = 4_096
"""Rows of a part that are kept before they are written."""

Key = tuple[str, str]


class Spill:
    """One side of a join: rows go to the part that their key names. A context manager; closed to be read.

    Args:
        folder: Where the parts are.
        name: Of this side.
        schema: Columns of its rows; `product_id` and `pic_name` name them.

    Raises:
        OSError: The disk refuses.
    """

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self._folder = folder
        self._name = name
        self._schema = schema
        self._stack = ExitStack()
        self._waiting: list[list[dict[str, Any]]] = [[] for _ in range(PARTS)]
        self._writers: list[pa.RecordBatchStreamWriter | None] = [None] * PARTS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                for part in range(PARTS):
                    self._write(part)

    def add(self, row: dict[str, Any]) -> None:
        """Put a row aside."""
        part = part_of((row["product_id"], row["pic_name"]))
        waiting = self._waiting[part]
        waiting.append(row)
        if len(waiting) >= _AT_ONCE:
            self._write(part)

    def part(self, number: int) -> Iterator[dict[str, Any]]:
        """The rows of a part, in the order in which they came."""
        path = self._path(number)
        if not path.exists():
            return
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield from batch.to_pylist()

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number}.arrows"

    def _write(self, part: int) -> None:
        rows = self._waiting[part]
        if not rows:
            return
        writer = self._writers[part]
        if writer is None:
            file = self._stack.enter_context(pa.OSFile(str(self._path(part)), "wb"))
            writer = self._stack.enter_context(pa.ipc.new_stream(file, self._schema))
            self._writers[part] = writer
        writer.write_batch(pa.RecordBatch.from_pylist(rows, self._schema))
        self._waiting[part] = []


def part_of(key: Key) -> int:
    """The part of a key; names that differ in an image's extension alone share one."""
    return zlib.crc32(f"{key[0]}\x1f{bare_name(key[1])}".encode("utf-8", "replace")) % PARTS
