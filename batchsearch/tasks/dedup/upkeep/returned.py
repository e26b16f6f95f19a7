"""Images that were deleted from the instance and are in the manifest again: they are added once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.storage.ledger.entries import digest_of
from batchsearch.storage.output_layout import UPKEEP
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of, places

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.manifest.source import Manifest
    from batchsearch.tasks.dedup.night_jobs import Given


def returned_rows(folder: Path, manifest: Manifest, given: Given) -> list[bytes]:
    """Rows of the manifest whose image was deleted after it was last added, by digest.

    Args:
        folder: The dedup's output folder.
        manifest: The job's rows.
        given: Columns of the manifest.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The upkeep's results cannot be read.
    """
    deleted, deleted_at = _latest(folder / UPKEEP["delete"], "product_id", "pic_name")
    if not len(deleted) or given.pic_name is None:
        return []
    names = manifest.schema_carried.names
    written = dict(zip(names, passthrough_names("AddImage", names), strict=True))
    there = pa.concat_arrays([pa.array(keys, pa.string()) for keys in manifest.keys()])  # noqa: SIM118 - a table's row keys
    again: list[bytes] = []
    product, image = written[given.product], written[given.pic_name]
    for batch in _ended_well(folder / UPKEEP["add"], product, image):
        place = places(_images(batch, product, image), deleted)
        left = (
            (place >= 0)
            & (deleted_at[place] > _moments(batch))
            & (places(batch.column("row_key"), there) >= 0)
        )
        again += [digest_of(key) for key in batch.column("row_key").filter(pa.array(left)).to_pylist()]
    return again


def _latest(folder: Path, product: str, image: str) -> tuple[pa.Array, NDArray[np.int64]]:
    """The images of a run's rows that ended well, each once, and the last moment of each."""
    images, moments = [], []
    for batch in _ended_well(folder, product, image):
        images.append(_images(batch, product, image))
        moments.append(_moments(batch))
    if not images:
        return pa.array([], pa.string()), np.empty(0, np.int64)
    texts = pa.concat_arrays(images)
    each = pc.unique(texts)
    last = np.zeros(len(each), np.int64)
    np.maximum.at(last, places(texts, each), np.concatenate(moments))
    return each, last


def _ended_well(folder: Path, product: str, image: str) -> list[pa.RecordBatch]:
    wanted = ["row_key", product, image, "outcome", "finished_at"]
    return [
        batch.filter(pc.equal(batch.column("outcome"), "ok"))
        for batch in batches_of(folder / RESULTS, wanted)
    ]


def _images(batch: pa.RecordBatch, product: str, image: str) -> pa.Array:
    return pc.binary_join_element_wise(
        batch.column(product).cast(pa.string()), batch.column(image).cast(pa.string()), "\x1f"
    )


def _moments(batch: pa.RecordBatch) -> NDArray[np.int64]:
    column = batch.column("finished_at").cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
