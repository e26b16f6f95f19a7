"""The local pre-check, the colour check and verification: what the images themselves say, without a call.

The pre-check is opt-in. It finds images that are identical, byte by byte or pixel by pixel, or nearly so.
`report` only writes them into `pairs`. `first` has the search begin with them. `instead` searches only the
earliest of each group: the later copies get no call and no row in the search's results.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.config.model import PRIORITY
from batchsearch.engine.run.places import image_root
from batchsearch.errors import ConfigError
from batchsearch.manifest.passthrough import shown_cells
from batchsearch.publish import disk_errors, make_folder, own_name, publishing
from batchsearch.storage import arrow_functions as pc
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.alike import Alike, find_alike, later_copies
from batchsearch.tasks.dedup.candidates.matches import (
    FOUND_BY,
    IDENTICAL_BYTES,
    NO_RANK,
    PERCEPTUAL,
    UNKNOWN,
    Matches,
)
from batchsearch.tasks.dedup.candidates.text_index import TextIndex
from batchsearch.tasks.dedup.clusters.table_rows import LocalMatches
from batchsearch.tasks.dedup.clusters.verdicts import nothing_measured
from batchsearch.tasks.dedup.verifying.feature_store import FEATURES_FILE, FeatureStore
from batchsearch.tasks.dedup.verifying.fingerprint_store import ROWS_A_BATCH, FingerprintStore, batched
from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, THUMB, colour_distance
from batchsearch.tasks.dedup.verifying.looks_file import LOOKS_FILE
from batchsearch.tasks.dedup.verifying.verification import measure_pairs

if TYPE_CHECKING:
    import threading
    from typing import Self

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.dedup_settings import DedupSettings
    from batchsearch.manifest.rows import ImageReference
    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.dedup.candidates.catalogue_images import Images
    from batchsearch.tasks.dedup.clusters.verdicts import Measures
    from batchsearch.tasks.dedup.night_jobs import Given

PRECHECK: Final = "precheck"
ROWS: Final = "rows.parquet"
COPIES: Final = "copies.parquet"
PRIORITY_COLUMN: Final = "precheck_priority"
SHA256: Final = 32
_HALF: Final = 16
_ROWS_AT_ONCE: Final = 8_192

_IMAGE: Final = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


class LocalLooks:
    """Looks at a job's own images.

    Args:
        settings: The job.
        dedup: Its `dedup` section.
        manifest: Its rows.
        stop: Set when looking is to end.

    Attributes:
        counts: Pairs of images found by each way, and rows that need no call.
    """

    def __init__(
        self, settings: JobSettings, dedup: DedupSettings, manifest: Manifest, stop: threading.Event
    ) -> None:
        self._settings = settings
        self._mode = dedup.precheck
        self._manifest = manifest
        self._folder = Path(settings.output.dir)
        self._stop = stop
        self._store: FingerprintStore | None = None
        self._verifies = dedup.verify is not None
        self._features: FeatureStore | None = None
        self._keys: pa.Array = pa.array([], pa.string())
        self._alike: Alike | None = None
        self._has_secrets = False
        self.counts: dict[str, int] = {}

    @property
    def copies(self) -> Path | None:
        """File of the rows that are not searched."""
        return self._folder / PRECHECK / COPIES if self._mode == "instead" else None

    async def before_search(self, search: JobSettings, given: Given) -> JobSettings:
        """Look at every image where the job asks for it; the search as it is to be made then.

        Raises:
            ConfigError: The manifest's image column names its rows.
            OutputError: What was found cannot be kept.
        """
        if self._mode == "none":
            return search
        store = self._looks()
        await store.look_at(self._manifest.batches(ROWS_A_BATCH))
        if self._stop.is_set():
            raise asyncio.CancelledError
        keys = [pa.array([], pa.string()), *(batch.column for batch in self._manifest.key_batches())]
        self._keys = pa.concat_arrays(keys)
        alike = await asyncio.to_thread(_found_alike, store, self._keys)
        self._alike = alike
        self.counts = {
            FOUND_BY[kind]: int((alike.kind == kind).sum()) for kind in range(IDENTICAL_BYTES, PERCEPTUAL + 1)
        }
        if self._mode == "report":
            return search
        if given.image in self._settings.manifest.key:
            raise ConfigError(
                f"dedup.precheck: `{self._mode}` needs row keys without the image's column "
                f"{given.image!r}; use `report`, or another `manifest.key`"
            )
        copy_of = later_copies(len(self._keys), alike)
        self.counts["rows_not_called"] = int((copy_of >= 0).sum()) if self._mode == "instead" else 0
        priority = np.zeros(len(self._keys), np.int64)
        priority[alike.first] = priority[alike.second] = 1
        await asyncio.to_thread(self._write_rows, given, copy_of, priority)
        columns = dict(search.manifest.columns)
        columns["image"] = given.image
        if self._mode == "first":
            columns.setdefault(PRIORITY, PRIORITY_COLUMN)
        rows = search.manifest.of_made_rows(str(self._folder / PRECHECK / ROWS), columns=columns)
        images = search.images.model_copy(update={"root": str(image_root(self._settings))})
        return search.model_copy(update={"manifest": rows, "images": images})

    def matches(self, images: Images) -> LocalMatches:
        """What the pre-check found, as matches of the rows that the results know."""
        alike = self._alike
        if alike is None:
            raise RuntimeError("before_search comes first")
        row = images.row_index.places(self._keys)
        first, second = row[alike.first], row[alike.second]
        kept = (first >= 0) & (second >= 0)
        kept[kept] = images.product[first[kept]] != images.product[second[kept]]
        first, second = first[kept], second[kept]
        crowded = row[alike.crowded]
        return LocalMatches(
            Matches(
                product=images.product[second],
                other=images.product[first],
                row=second,
                image=images.name[second],
                found_image=images.name[first],
                score=alike.similarity[kept],
                rank=np.full(len(first), NO_RANK, np.int32),
                category=np.full(len(first), UNKNOWN, np.int64),
                found_by=alike.kind[kept],
            ),
            images.product[crowded[crowded >= 0]],
        )

    def compared(
        self, images: Images, one: NDArray[np.int64], other: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Measures]:
        """What the images of two rows each say of them.

        How much they differ in colour (NaN where an image cannot be told), and what was measured where the
        job verifies. Reads images, in its own event loop: for a worker thread. A file that is no longer the
        one that was searched says nothing.
        """
        store = self._looks()
        needed = np.unique(np.concatenate((one, other)))
        keys = images.row_keys.take(pa.array(needed))
        self._look_at(store, keys)
        searched = _of_hexadecimal(images.sha256.take(pa.array(needed)))
        seen, same = _searched_ones(store, keys, searched)
        if not same.all():
            # An address says nothing of what is behind it: the search has found another image there.
            self._look_at(store, keys.filter(pa.array(~same)), again=True)
            seen, same = _searched_ones(store, keys, searched)
        colours, _ = store.bytes_of("colours", keys, COLOURS)
        colours[~same] = 0
        first, second = np.searchsorted(needed, one), np.searchsorted(needed, other)
        distance = colour_distance(colours[first], colours[second])
        if self._features is None:
            return distance, nothing_measured(len(one))
        pairs = _FilePairs(seen, same, first, second)
        threads = self._settings.images.threads
        found = measure_pairs(self._features, pairs, threads=threads, stop=self._stop)
        if self._stop.is_set():
            raise asyncio.CancelledError
        return distance, found

    def flat(self, images: Images, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """What share of these rows' images their three most frequent colours cover; NaN: not known."""
        store = self._looks()
        keys = images.row_keys.take(pa.array(rows))
        self._look_at(store, keys)
        found = np.full(len(keys), np.nan)
        for place, flat in store.rows(keys, "flat"):
            found[place] = np.nan if flat is None else np.float32(flat)
        return found

    def _look_at(self, store: FingerprintStore, keys: pa.Array, *, again: bool = False) -> None:
        index = TextIndex(keys)
        wanted = [index.places(batch.column) >= 0 for batch in self._manifest.key_batches()]
        mask = np.concatenate(wanted) if wanted else np.zeros(0, bool)
        asyncio.run(store.look_at(self._manifest.batches(ROWS_A_BATCH), mask, again=again))

    def forget_others(self) -> None:
        """Keep the features of the images that the manifest has, and no others."""
        if self._features is not None and self._store is not None:
            store, batches = self._store, self._manifest.key_batches()
            self._features.forget_others(name for batch in batches for name in store.files(batch.column))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_secrets:
            # Signed addresses are kept no longer than the search that fetches from them.
            with suppress(OSError):
                (self._folder / PRECHECK / ROWS).unlink(missing_ok=True)
        if self._features is not None:
            self._features.close()
        if self._store is not None:
            self._store.close()

    def changed_at(self, images: Images) -> NDArray[np.int64]:
        """When the image of each row was first seen to be another one, microseconds since 1970; 0: never."""
        return self._looks().changed_at(images.row_keys)

    def _looks(self) -> FingerprintStore:
        if self._store is None:
            if self._verifies:
                self._features = FeatureStore(self._folder / PRECHECK / FEATURES_FILE)
            self._store = FingerprintStore(
                self._settings,
                self._folder / PRECHECK / LOOKS_FILE,
                whole=self._mode != "none",
                stop=self._stop,
                features=self._features,
            )
        return self._store

    def _write_rows(self, given: Given, copy_of: NDArray[np.int64], priority: NDArray[np.int64]) -> None:
        """The manifest that the search goes by, and the rows that it leaves out."""
        folder = self._folder / PRECHECK
        texts = self._settings.images.texts
        carried = self._manifest.schema_carried
        fields = [field for field in carried if field.name != given.image]
        schema = pa.schema([*fields, (given.image, _IMAGE), (PRIORITY_COLUMN, pa.int64())])
        written = passthrough_names("SearchImageByPic", carried.names)
        copies = pa.schema(
            [
                ("row_key", pa.string()),
                *(field.with_name(name) for field, name in zip(carried, written, strict=True)),
            ]
        )
        places = [folder / name for name in (ROWS, COPIES)]
        with disk_errors(folder, "cannot be written"):
            make_folder(folder)
            with (
                publishing(places[1], own_name(places[1])) as copies_file,
                publishing(places[0], own_name(places[0])) as rows_file,
                pq.ParquetWriter(rows_file, schema) as rows,
                pq.ParquetWriter(copies_file, copies) as left,
            ):
                for batch in self._manifest.batches():
                    number = np.arange(batch.start, batch.start + len(batch))
                    stays = (copy_of[number] < 0) | (self._mode != "instead")
                    images = pa.array([_struct(row.images[0]) for row in batch.rows], _IMAGE)
                    paths = pc.struct_field(images, "path")
                    self._has_secrets = self._has_secrets or (
                        texts != "base64" and shown_cells(paths, texts) is not paths
                    )
                    values = {field.name: batch.carried.column(field.name) for field in fields}
                    values |= {given.image: images, PRIORITY_COLUMN: pa.array(priority[number])}
                    table = pa.table([values[field.name] for field in schema], schema=schema)
                    rows.write_table(table.filter(pa.array(stays)))
                    keys = pa.array([row.key for row in batch.rows], pa.string())
                    table = pa.table([keys, *batch.carried.columns], schema=copies)
                    left.write_table(table.filter(pa.array(~stays)))


def _struct(reference: ImageReference | None) -> dict[str, object] | None:
    if reference is None:
        return None
    return {"bytes": reference.data, "path": reference.path or reference.url}


@dataclass(frozen=True, slots=True)
class _FilePairs:
    """Pairs of files, made when they are asked for: as Python values they are three times as large.

    Attributes:
        files: The SHA-256 of images, an array of shape (n, 32).
        known: Which of the images are known.
        first: Place of the one image of each pair.
        second: Place of the other.
    """

    files: NDArray[np.uint8]
    known: NDArray[np.bool_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, some: slice, /) -> list[tuple[bytes, bytes]]:
        sides = [
            [
                file.tobytes() if known else b""
                for file, known in zip(self.files[at[some]], self.known[at[some]].tolist(), strict=True)
            ]
            for at in (self.first, self.second)
        ]
        return [(min(one, other), max(one, other)) for one, other in zip(*sides, strict=True)]


def _searched_ones(
    store: FingerprintStore, keys: pa.Array, searched: tuple[NDArray[np.uint8], NDArray[np.bool_]]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The SHA-256 of these rows' images as they were seen, and which are the image that was searched."""
    seen, known = store.bytes_of("sha256", keys, SHA256)
    sha256, given = searched
    return seen, known & (~given | (seen == sha256).all(axis=1))


def _of_hexadecimal(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """SHA-256 as bytes, an array of shape (n, 32), and which of the cells are not null."""
    given = np.asarray(texts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    found = np.zeros((len(texts), SHA256), np.uint8)
    whole = bytes.fromhex("".join(texts.drop_null().to_pylist()))
    found[given] = np.frombuffer(whole, np.uint8).reshape(-1, SHA256)
    return found, given


def _found_alike(store: FingerprintStore, keys: pa.Array) -> Alike:
    """Which of the rows' images are alike, by the places of the keys."""
    files, pixels = np.zeros((len(keys), 2), np.uint64), np.zeros((len(keys), 2), np.uint64)
    outlines, thumbs = np.zeros(len(keys), np.uint64), np.zeros((len(keys), THUMB), np.uint8)
    known, decoded = np.zeros(len(keys), bool), np.zeros(len(keys), bool)
    for rows in batched(store.rows(keys, "sha256", "pixels", "outline", "thumb"), _ROWS_AT_ONCE):
        at = np.array([row[0] for row in rows])
        known[at] = True
        # Half of a SHA-256 tells files apart as well as all of it.
        files[at] = np.frombuffer(b"".join(row[1][:_HALF] for row in rows), np.uint64).reshape(-1, 2)
        whole = at[[len(row[2]) > 0 for row in rows]]
        decoded[whole] = True
        pixels[whole] = np.frombuffer(b"".join(row[2][:_HALF] for row in rows), np.uint64).reshape(-1, 2)
        outlines[at] = [row[3] for row in rows]
        thumbs[at] = np.frombuffer(b"".join(row[4] for row in rows), np.uint8).reshape(-1, THUMB)
    seen = np.flatnonzero(known)
    numbers = _numbered(files[seen]), np.where(decoded[seen], _numbered(pixels[seen]), -1)
    found = find_alike(*numbers, outlines[seen], thumbs[seen])
    return Alike(seen[found.first], seen[found.second], found.kind, found.similarity, seen[found.crowded])


def _numbered(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """A number for each different digest."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    begins = np.zeros(len(order), np.int64)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(begins)
    return numbers
