"""What images look like, kept from night to night: only a changed image is read and decoded again."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from batchsearch.engine.renewal.change_detection import sources_of
from batchsearch.engine.run.places import image_root
from batchsearch.images.batches_ahead import BatchesAhead
from batchsearch.images.outcome import Rejected, Unreachable
from batchsearch.images.rules import rules_for
from batchsearch.images.workshop import open_workshop_at
from batchsearch.steps import step
from batchsearch.tasks.dedup.candidates.catalogue_images import places
from batchsearch.tasks.dedup.verifying.features import packed_features
from batchsearch.tasks.dedup.verifying.fingerprints import Fingerprint, look_of
from batchsearch.tasks.dedup.verifying.looks_file import LooksFile, SeenImage

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from batchsearch.config.model import JobSettings
    from batchsearch.images.prepare import Repairer
    from batchsearch.images.rules import Rules
    from batchsearch.manifest.rows import ImageReference, RowBatch
    from batchsearch.tasks.dedup.verifying.feature_store import FeatureStore

ROWS_A_BATCH: Final = 256
_KEPT_AT_ONCE: Final = 1_024
"""Looks in memory before they are written."""


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
        path: File that keeps them; see `LooksFile`.
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
        self._looks = LooksFile(path)
        self._added: list[SeenImage] = []
        self._unusable: list[str] = []

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
                    self._added.append(SeenImage(row.key, row.token, found.fingerprint))
                    if features is not None and found.features is not None:
                        features.add(found.fingerprint.sha256, found.features)
                looking.advance()

            async def finish(most: int) -> None:
                while len(ahead) > most or (ahead and ahead.is_full):
                    await ahead.finish()
                    if features is not None:
                        await asyncio.to_thread(features.keep)
                    await self._keep(_KEPT_AT_ONCE)

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
                await self._keep()
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
        keys = pa.array([row.key for row in rows], pa.string())
        kept = {place: (token, file) for place, token, file in self._looks.rows(keys, "token", "sha256")}
        lacking: set[bytes] = set()
        if wanted is not None and self._features is not None:
            lacking = self._features.lacking([file for _, file in kept.values()])
        unknown = []
        for place, row in enumerate(rows):
            token, file = kept.get(place, (None, b""))
            if row.token is None or row.token != token or file in lacking:
                unknown.append(row)
        return unknown

    def _token(self, reference: ImageReference) -> bytes | None:
        """Stands for an image as it is now; None where only reading it can tell."""
        if self._every_image and reference.data is None:
            return None
        source = self._sources.of_image(reference)
        if source.missing:
            return None
        return hashlib.blake2b(source.digest + bytes([self._whole]), digest_size=16).digest()

    async def _keep(self, least: int = 1) -> None:
        """Write what was seen, where it is so many rows at least."""
        if len(self._added) + len(self._unusable) < least:
            return
        added, self._added = self._added, []
        unusable, self._unusable = self._unusable, []
        await asyncio.to_thread(self._looks.keep, added, unusable)

    def changed_at(self, keys: pa.Array) -> NDArray[np.int64]:
        """When the image of each row was first seen to be another one, microseconds since 1970; 0: never."""
        changed = dict(self._looks.changed())
        at = places(keys, pa.array(list(changed), pa.string()))
        when = np.array([*changed.values(), 0], np.int64)
        return when[at]

    def rows(self, keys: pa.Array, *columns: str) -> Iterator[tuple[Any, ...]]:
        """What is known of rows; see `LooksFile.rows`."""
        return self._looks.rows(keys, *columns)

    def files(self, keys: pa.Array) -> Iterator[bytes]:
        """The SHA-256 of the files of these rows; of those that were seen, in any order."""
        return (row[1] for row in self._looks.rows(keys, "sha256"))

    def bytes_of(
        self, column: str, keys: pa.Array, width: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """A column of fixed width as an array of shape (n, width), zeros for rows not seen; which were."""
        found, known = np.zeros((len(keys), width), np.uint8), np.zeros(len(keys), bool)
        for rows in batched(self._looks.rows(keys, column), _KEPT_AT_ONCE):
            at = [row[0] for row in rows]
            found[at] = np.frombuffer(b"".join(row[1] for row in rows), np.uint8).reshape(-1, width)
            known[at] = True
        return found, known

    def close(self) -> None:
        """Close the file."""
        self._looks.close()


def batched(rows: Iterator[Any], most: int) -> Iterator[list[Any]]:
    """Rows, so many at a time."""
    while some := list(islice(rows, most)):
        yield some


def _asked(batch: RowBatch, wanted: NDArray[np.bool_] | None) -> int:
    """How many rows of a batch are to be looked at, known ones included."""
    if wanted is None:
        return len(batch)
    return int(wanted[batch.start : batch.start + len(batch)].sum())
