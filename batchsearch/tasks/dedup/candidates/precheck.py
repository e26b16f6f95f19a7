"""The local pre-check, the colour check and verification: what the images themselves say, without a call.

The pre-check is opt-in. It finds images that are identical, byte by byte or pixel by pixel, or nearly so.
`report` only writes them into `pairs`. `first` has the search begin with them. `instead` searches only the
earliest of each group: the later copies get no call and no row in the search's results.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.config.model import PRIORITY
from batchsearch.engine.run.places import image_root
from batchsearch.errors import ConfigError, OutputError
from batchsearch.publish import make_folder, own_name, publishing
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.alike import Alike, find_alike, later_copies
from batchsearch.tasks.dedup.candidates.catalogue_images import coded, places
from batchsearch.tasks.dedup.candidates.matches import (
    FOUND_BY,
    IDENTICAL_BYTES,
    NO_RANK,
    PERCEPTUAL,
    UNKNOWN,
    Matches,
)
from batchsearch.tasks.dedup.clusters.table_rows import LocalMatches
from batchsearch.tasks.dedup.clusters.verdicts import nothing_measured
from batchsearch.tasks.dedup.verifying.feature_store import FEATURES_FILE, FeatureStore
from batchsearch.tasks.dedup.verifying.fingerprint_store import LOOKS_FILE, ROWS_A_BATCH, FingerprintStore
from batchsearch.tasks.dedup.verifying.fingerprints import COLOURS, THUMB, colour_distance
from batchsearch.tasks.dedup.verifying.verification import measure_pairs

if TYPE_CHECKING:
    import threading
    from types import TracebackType
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
        self._keys = pa.array([key for keys in self._manifest.keys() for key in keys], pa.string())  # noqa: SIM118 - a table's row keys
        at = store.rows_of(self._keys)
        alike = await asyncio.to_thread(self._find, store, at)
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
        searched = images.sha256.take(pa.array(needed)).to_pylist()
        at, same = self._searched_ones(store, keys, searched)
        if not same.all():
            # An address says nothing of what is behind it: the search has found another image there.
            self._look_at(store, keys.filter(pa.array(~same)), again=True)
            at, same = self._searched_ones(store, keys, searched)
        colours = store.bytes_of("colours", np.where(same, at, -1).astype(np.int32), COLOURS)
        first, second = np.searchsorted(needed, one), np.searchsorted(needed, other)
        distance = colour_distance(colours[first], colours[second])
        if self._features is None:
            return distance, nothing_measured(len(one))
        named = iter(store.files(at[same]))
        files = [next(named) if known else b"" for known in same]
        pairs = [
            (min(files[here], files[there]), max(files[here], files[there]))
            for here, there in zip(first.tolist(), second.tolist(), strict=True)
        ]
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
        at = store.rows_of(keys)
        found = store.table.column("flat").take(pa.array(at, mask=at < 0))
        return np.asarray(found.to_numpy(), dtype=np.float64)

    def _look_at(self, store: FingerprintStore, keys: pa.Array, *, again: bool = False) -> None:
        wanted = [places(pa.array(some, pa.string()), keys) >= 0 for some in self._manifest.keys()]  # noqa: SIM118 - a table's row keys
        mask = np.concatenate(wanted) if wanted else np.zeros(0, bool)
        asyncio.run(store.look_at(self._manifest.batches(ROWS_A_BATCH), mask, again=again))

    def forget_others(self) -> None:
        """Keep the features of the images that the manifest has, and no others."""
        if self._features is not None and self._store is not None:
            keys = (pa.array(some, pa.string()) for some in self._manifest.keys())  # noqa: SIM118 - a table's row keys
            at = (self._store.rows_of(some) for some in keys)
            self._features.forget_others(name for some in at for name in self._store.files(some[some >= 0]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._features is not None:
            self._features.close()

    def changed_at(self, images: Images) -> NDArray[np.int64]:
        """When the image of each row was first seen to be another one, microseconds since 1970; 0: never."""
        return self._looks().changed_at(images.row_keys)

    @staticmethod
    def _searched_ones(
        store: FingerprintStore, keys: pa.Array, searched: list[str | None]
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """The looks of these rows, and which of them are of the image that was searched."""
        at = store.rows_of(keys)
        seen = store.bytes_of("sha256", at, 32)
        same = [
            bool(place >= 0) and (sha256 is None or bytes.fromhex(sha256) == mine.tobytes())
            for place, sha256, mine in zip(at, searched, seen, strict=True)
        ]
        return at, np.array(same, dtype=bool)

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

    def _find(self, store: FingerprintStore, at: NDArray[np.int32]) -> Alike:
        seen = np.flatnonzero(at >= 0)
        table = store.table.take(pa.array(at[seen]))
        outlines = table.column("outline").to_numpy()
        found = find_alike(
            _numbered(table.column("sha256")),
            _numbered(table.column("pixels")),
            outlines,
            store.bytes_of("thumb", at[seen], THUMB),
        )
        return Alike(seen[found.first], seen[found.second], found.kind, found.similarity, seen[found.crowded])

    def _write_rows(self, given: Given, copy_of: NDArray[np.int64], priority: NDArray[np.int64]) -> None:
        """The manifest that the search goes by, and the rows that it leaves out."""
        folder = self._folder / PRECHECK
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
        try:
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
                    values = {field.name: batch.carried.column(field.name) for field in fields}
                    values |= {given.image: images, PRIORITY_COLUMN: pa.array(priority[number])}
                    table = pa.table([values[field.name] for field in schema], schema=schema)
                    rows.write_table(table.filter(pa.array(stays)))
                    keys = pa.array([row.key for row in batch.rows], pa.string())
                    table = pa.table([keys, *batch.carried.columns], schema=copies)
                    left.write_table(table.filter(pa.array(~stays)))
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _struct(reference: ImageReference | None) -> dict[str, object] | None:
    if reference is None:
        return None
    return {"bytes": reference.data, "path": reference.path or reference.url}


def _numbered(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """A number for each different value; -1 for empty ones."""
    plain = (
        pa.concat_arrays(column.chunks).cast(pa.binary()) if column.num_chunks else pa.array([], pa.binary())
    )
    known = pc.if_else(pc.equal(plain, b""), pa.nulls(len(plain), pa.binary()), plain)
    return coded(known)[1].astype(np.int64)
