"""What images look like, kept from night to night: only a changed image is read and decoded again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.renewal.change_detection import sources_of
from batchsearch.engine.run.places import image_root
from batchsearch.images.batches_ahead import BatchesAhead
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop_at
from batchsearch.publish import make_folder, own_name, publishing, unwritable
from batchsearch.steps import step
from batchsearch.tasks.dedup.candidates.catalogue_images import places
from batchsearch.tasks.dedup.verifying.features import packed_features
from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, THUMB, Fingerprint, look_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from batchsearch.config.model import JobSettings
    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules
    from batchsearch.manifest.rows import ImageReference, RowBatch
    from batchsearch.tasks.dedup.verifying.feature_store import FeatureStore

LOOKS_FILE: Final = "looks.parquet"
ROWS_A_BATCH: Final = 256

SCHEMA: Final = pa.schema(
    [
        ("row_key", pa.string()),
        ("token", pa.binary(16)),
        ("sha256", pa.binary(32)),
        ("pixels", pa.binary()),
        ("outline", pa.uint64()),
        ("thumb", pa.binary(THUMB)),
        ("colours", pa.binary(COLOURS)),
        ("flat", pa.float32()),
        ("changed_at", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of an image.

    Attributes:
        fingerprint: What it looks like.
        features: Its packed features, where they were asked for.
    """

    fingerprint: Fingerprint
    features: bytes | None


@dataclass(frozen=True, slots=True)
class Looking:
    """The task of a workshop that looks at images.

    Attributes:
        rules: Frame, background and largest canvas.
        whole: Decode every pixel.
        features: Find features, too.
    """

    rules: Rules
    whole: bool
    features: bool

    def __call__(self, data: bytes, repair: Repairer, /) -> Look | None:
        """What is seen; None for what is no usable image."""
        packed: list[bytes] = []

        def find(image: Image.Image) -> None:
            packed.append(packed_features(image))

        also = find if self.features else None
        fingerprint = look_of(data, self.rules, whole=self.whole, repair=repair, also=also)
        return None if fingerprint is None else Look(fingerprint, packed[0] if packed else None)


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    reference: ImageReference
    token: bytes | None


class FingerprintStore:
    """The looks of a job's images, by row key.

    Args:
        settings: The job; its images are fetched as a run fetches them.
        path: File that keeps them.
        whole: Decode every pixel, for `Fingerprint.pixels`.
        stop: Set when looking is to end; what was looked at is kept.
        features: Is given the features of the images that are looked at because they are wanted.
    """

    def __init__(
        self,
        settings: JobSettings,
        path: Path,
        *,
        whole: bool,
        stop: threading.Event,
        features: FeatureStore | None = None,
    ) -> None:
        self._settings = settings
        self._rules = rules_for(settings.instance.service_type, settings.images)
        self._root = image_root(settings)
        # What says that an image has changed is the same for a look and for a search.
        self._sources = sources_of(settings, self._root)
        self._every_image = settings.reuse.notice_changes == "contents"
        self._path = path
        self._whole = whole
        self._stop = stop
        self._features = features
        self._table = self._read()
        self._added: list[dict[str, object]] = []
        self._unusable: list[str] = []

    @property
    def table(self) -> pa.Table:
        """All looks that are known, one row an image; columns as in `SCHEMA`."""
        return self._table

    async def look_at(
        self,
        batches: Iterator[RowBatch],
        wanted: NDArray[np.bool_] | None = None,
        *,
        again: bool = False,
    ) -> int:
        """Look at images that are new or changed.

        Args:
            batches: The manifest's rows.
            wanted: By row number of the manifest: which to look at, and to keep the features of; None looks
                at all, and keeps none.
            again: Look also at those that seem to be what they were.

        Returns:
            How many were looked at.

        Raises:
            OutputError: What was seen cannot be kept.
        """
        settings = self._settings
        async with open_workshop_at(settings.workers, self._root, settings.images) as workshop:
            features = None if wanted is None else self._features
            look = Looking(self._rules, whole=self._whole, features=features is not None)
            looking = step("looking at images", None if wanted is None else int(wanted.sum()))

            async def one(row: _Row) -> None:
                found = await workshop.make(row.reference, look)
                if found is None:
                    self._unusable.append(row.key)
                elif not isinstance(found, Rejected | Unreachable):
                    self._added.append(_line(row, found.fingerprint))
                    if features is not None and found.features is not None:
                        features.add(found.fingerprint.sha256, found.features)
                looking.advance()

            async def finish(most: int) -> None:
                while len(ahead) > most or (ahead and ahead.is_full):
                    await ahead.finish()
                    if features is not None:
                        await asyncio.to_thread(features.keep)

            seen = 0
            # Many workers are kept busy by more than a batch.
            ahead: BatchesAhead[None, list[None]] = BatchesAhead(workshop.size)
            try:
                while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                    if self._stop.is_set():
                        break
                    rows = await asyncio.to_thread(self._unknown, batch, wanted, again=again)
                    seen += len(rows)
                    looking.advance(_asked(batch, wanted) - len(rows))
                    ahead.begin(None, len(rows), asyncio.gather(*map(one, rows)))
                    await finish(len(ahead))
                await finish(0)
            finally:
                await ahead.drop()
                await asyncio.to_thread(self._keep)
        return seen

    def _unknown(self, batch: RowBatch, wanted: NDArray[np.bool_] | None, *, again: bool) -> list[_Row]:
        """Rows of a batch whose images are to be looked at and have not been, as they are now."""
        rows = [
            _Row(row.key, row.images[0], self._token(row.images[0]))
            for row in batch.rows
            if row.images[0] is not None
            and (
                wanted is None or (batch.start + row.index < len(wanted) and wanted[batch.start + row.index])
            )
        ]
        if not rows or again:
            return rows
        at = places(pa.array([row.key for row in rows], pa.string()), self._keys)
        known = pa.array(at, mask=at < 0)
        kept = self._table.column("token").take(known).to_pylist()
        lacking: set[bytes] = set()
        files = self._table.column("sha256").take(known).to_pylist()
        if wanted is not None and self._features is not None:
            lacking = self._features.lacking([file for file in files if file is not None])
        return [
            row
            for row, token, file in zip(rows, kept, files, strict=True)
            if row.token is None or row.token != token or file in lacking
        ]

    def _token(self, reference: ImageReference) -> bytes | None:
        """Stands for an image as it is now; None where only reading it can tell."""
        if self._every_image and reference.data is None:
            return None
        source = self._sources.of_image(reference)
        if source.missing:
            return None
        return hashlib.blake2b(source.digest + bytes([self._whole]), digest_size=16).digest()

    def _read(self) -> pa.Table:
        table = SCHEMA.empty_table()
        with suppress(OSError, pa.ArrowException):  # a cache that cannot be read is made anew
            read = pq.read_table(arrow_readable(self._path))
            if read.schema.equals(SCHEMA):
                table = read
        self._keys = _plain(table.column("row_key"))
        return table

    def _keep(self) -> None:
        if not self._added and not self._unusable:
            return
        added = self._with_changes(pa.Table.from_pylist(self._added, SCHEMA))
        # What is no usable image any more looks like nothing.
        seen = pa.concat_arrays([_plain(added.column("row_key")), pa.array(self._unusable, pa.string())])
        renewed = places(self._keys, pc.unique(seen)) >= 0
        self._table = pa.concat_tables([self._table.filter(pa.array(~renewed)), added]).combine_chunks()
        self._added, self._unusable = [], []
        try:
            make_folder(self._path.parent)
            with publishing(self._path, own_name(self._path)) as file:
                pq.write_table(self._table, file, compression="zstd")
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._keys = _plain(self._table.column("row_key"))

    def _with_changes(self, added: pa.Table) -> pa.Table:
        """The looks, each with the moment at which its row's image was last seen to be another one."""
        at = places(_plain(added.column("row_key")), self._keys)
        before = self._table.select(["sha256", "changed_at"]).take(pa.array(at, mask=at < 0))
        same = pc.equal(_plain(before.column("sha256")), _plain(added.column("sha256")))
        now = pa.scalar(time.time_ns() // 1000, pa.int64())
        changed = pc.if_else(same, _plain(before.column("changed_at")), now)
        return added.set_column(
            added.schema.get_field_index("changed_at"), SCHEMA.field("changed_at"), changed.fill_null(0)
        )

    def changed_at(self, keys: pa.Array) -> NDArray[np.int64]:
        """When the image of each row was first seen to be another one, microseconds since 1970; 0: never."""
        at = self.rows_of(keys)
        found = self._table.column("changed_at").take(pa.array(at, mask=at < 0)).fill_null(0)
        return np.asarray(found.to_numpy(), dtype=np.int64)

    def rows_of(self, keys: pa.Array) -> NDArray[np.int32]:
        """The place of each row key in `table`; -1 for images that were not seen."""
        return places(keys, self._keys)

    def files(self, at: NDArray[np.int32]) -> list[bytes]:
        """The SHA-256 of the files at these places in `table`."""
        found: list[bytes] = self._table.column("sha256").take(pa.array(at)).to_pylist()
        return found

    def bytes_of(self, column: str, at: NDArray[np.int32], width: int) -> NDArray[np.uint8]:
        """A column of fixed width as an array of shape (n, width); zeros where `at` is -1."""
        found = np.zeros((len(at), width), np.uint8)
        known = at >= 0
        values: Iterable[bytes] = self._table.column(column).take(pa.array(at[known])).to_pylist()
        if known.any():
            found[known] = np.frombuffer(b"".join(values), np.uint8).reshape(-1, width)
        return found


def _asked(batch: RowBatch, wanted: NDArray[np.bool_] | None) -> int:
    """How many rows of a batch are to be looked at, known ones included."""
    if wanted is None:
        return len(batch)
    return int(wanted[batch.start : batch.start + len(batch)].sum())


def _plain(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _line(row: _Row, fingerprint: Fingerprint) -> dict[str, object]:
    return {
        "row_key": row.key,
        # Without one, the image is read again each time: it is then never taken for unchanged.
        "token": row.token or bytes(16),
        "sha256": fingerprint.sha256,
        "pixels": fingerprint.pixels,
        "outline": fingerprint.outline,
        "thumb": fingerprint.thumb,
        "colours": fingerprint.colours,
        "flat": fingerprint.flat,
    }
