"""What pictures look like, kept from night to night: only a changed picture is read and decoded again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.dedup.looks import COLOURS, THUMB, Look, look_of
from batchsearch.dedup.pictures import places
from batchsearch.engine.fetching import fetch_patiently, made_patiently, read_here
from batchsearch.engine.places import picture_root
from batchsearch.errors import OutputError
from batchsearch.images.fetch import Fetcher
from batchsearch.images.isolate import Decoders
from batchsearch.images.rules import rules_for

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.manifest.rows import ImageReference, RowBatch

LOOKS_FILE: Final = "looks.parquet"
ROWS_A_BATCH: Final = 256
_FETCHES_BESIDE: Final = 16

SCHEMA: Final = pa.schema(
    [
        ("row_key", pa.string()),
        ("token", pa.binary(16)),
        ("sha256", pa.binary(32)),
        ("pixels", pa.binary()),
        ("outline", pa.uint64()),
        ("thumb", pa.binary(THUMB)),
        ("colours", pa.binary(COLOURS)),
    ]
)


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    reference: ImageReference
    token: bytes | None


class LookStore:
    """The looks of a job's pictures, by row key.

    Args:
        settings: The job; its pictures are fetched as a run fetches them.
        path: File that keeps them.
        whole: Decode every pixel, for `Look.pixels`.
        stop: Set when looking is to end; what was looked at is kept.
    """

    def __init__(
        self,
        settings: JobSettings,
        path: Path,
        *,
        whole: bool,
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._rules = rules_for(settings.instance.service_type, settings.images)
        self._root = picture_root(settings)
        self._path = path
        self._whole = whole
        self._stop = stop
        self._table = self._read()
        self._added: list[dict[str, object]] = []

    @property
    def table(self) -> pa.Table:
        """All looks that are known, one row a picture; columns as in `SCHEMA`."""
        return self._table

    async def look_at(self, batches: Iterator[RowBatch], wanted: NDArray[np.bool_] | None = None) -> int:
        """Look at pictures that are new or changed.

        Args:
            batches: The manifest's rows.
            wanted: By row number of the manifest: which to look at; None for all.

        Returns:
            How many were looked at.

        Raises:
            OutputError: What was seen cannot be kept.
        """
        threads = self._settings.images.threads or os.cpu_count() or 1
        async with AsyncExitStack() as stack:
            decoders = stack.enter_context(Decoders(self._settings.images))
            pool = stack.enter_context(ThreadPoolExecutor(threads, thread_name_prefix="look"))
            fetcher = await stack.enter_async_context(Fetcher(self._root, self._settings.images))
            room = asyncio.Semaphore(threads + _FETCHES_BESIDE)
            loop = asyncio.get_running_loop()

            async def one(row: _Row) -> None:
                async with room:
                    if fetcher.is_local(row.reference):
                        data = await made_patiently(
                            lambda: loop.run_in_executor(pool, read_here, fetcher, row.reference)
                        )
                    else:
                        data = await fetch_patiently(fetcher, row.reference, random.random)
                    if isinstance(data, bytes):
                        look = await made_patiently(
                            lambda: loop.run_in_executor(pool, self._look, data, decoders)
                        )
                        if look is not None:
                            self._added.append(_line(row, look))

            seen = 0
            try:
                while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                    if self._stop.is_set():
                        break
                    rows = await asyncio.to_thread(self._unknown, batch, wanted)
                    seen += len(rows)
                    await asyncio.gather(*map(one, rows))
            finally:
                await asyncio.to_thread(self._keep)
        return seen

    def _look(self, data: bytes, decoders: Decoders) -> Look | None:
        return look_of(data, self._rules, whole=self._whole, repair=decoders.repair)

    def _unknown(self, batch: RowBatch, wanted: NDArray[np.bool_] | None) -> list[_Row]:
        """Rows of a batch whose pictures are to be looked at and have not been, as they are now."""
        rows = [
            _Row(row.key, row.images[0], self._token(row.images[0]))
            for row in batch.rows
            if row.images[0] is not None
            and (wanted is None or (row.number < len(wanted) and wanted[row.number]))
        ]
        if not rows:
            return []
        at = places(pa.array([row.key for row in rows], pa.string()), self._keys)
        kept = self._table.column("token").take(pa.array(at, mask=at < 0)).to_pylist()
        return [row for row, token in zip(rows, kept, strict=True) if row.token is None or row.token != token]

    def _token(self, reference: ImageReference) -> bytes | None:
        """Stands for a picture as it is now; None where only reading it can tell."""
        if reference.data is not None:
            text: object = hashlib.sha256(reference.data).hexdigest()
        elif reference.url is not None:
            text = reference.url
        else:
            try:
                status = (self._root / (reference.path or "")).stat()
            except (OSError, ValueError):
                return None
            text = (reference.path, status.st_size, status.st_mtime_ns)
        return hashlib.blake2b(repr((text, self._whole)).encode("utf-8", "replace"), digest_size=16).digest()

    def _read(self) -> pa.Table:
        table = SCHEMA.empty_table()
        with suppress(OSError, pa.ArrowException):  # a cache that cannot be read is made anew
            read = pq.read_table(self._path)
            if read.schema.equals(SCHEMA):
                table = read
        self._keys = table.column("row_key").combine_chunks()
        self._keys = (
            pa.concat_arrays(self._keys.chunks) if isinstance(self._keys, pa.ChunkedArray) else self._keys
        )
        return table

    def _keep(self) -> None:
        if not self._added:
            return
        added = pa.Table.from_pylist(self._added, SCHEMA)
        renewed = places(self._keys, added.column("row_key").combine_chunks()) >= 0
        self._table = pa.concat_tables([self._table.filter(pa.array(~renewed)), added]).combine_chunks()
        self._added = []
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self._table, temporary, compression="zstd")
            temporary.replace(self._path)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror or error}") from error
        self._keys = pa.concat_arrays(self._table.column("row_key").chunks)

    def rows_of(self, keys: pa.Array) -> NDArray[np.int32]:
        """The place of each row key in `table`; -1 for pictures that were not seen."""
        return places(keys, self._keys)

    def bytes_of(self, column: str, at: NDArray[np.int32], width: int) -> NDArray[np.uint8]:
        """A column of fixed width as an array of shape (n, width); zeros where `at` is -1."""
        found = np.zeros((len(at), width), np.uint8)
        known = at >= 0
        values: Iterable[bytes] = self._table.column(column).take(pa.array(at[known])).to_pylist()
        if known.any():
            found[known] = np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)
        return found


def _line(row: _Row, look: Look) -> dict[str, object]:
    return {
        "row_key": row.key,
        # Without one, the picture is read again each time: it is then never taken for unchanged.
        "token": row.token or bytes(16),
        "sha256": look.sha256,
        "pixels": look.pixels,
        "outline": look.outline,
        "thumb": look.thumb,
        "colours": look.colours,
    }
