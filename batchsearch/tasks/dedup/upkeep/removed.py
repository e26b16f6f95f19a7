"""Images that have left the manifest: the table over which the instance is rid of them.

A row of it is one image and the night on which it was first missing (`left`): one that comes back and leaves
again is another row, and is deleted once more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchsearch.arrow_values import one_array
from batchsearch.disk_paths import arrow_readable
from batchsearch.engine.run.opening import open_manifest
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.output_layout import SEARCH, UPKEEP
from batchsearch.storage.parts.parquet_table import reading, table_file, writing
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of, coded
from batchsearch.tasks.dedup.candidates.catalogue_reading import read_images
from batchsearch.tasks.dedup.candidates.off_memory import Room
from batchsearch.tasks.dedup.night_jobs import result_columns

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.manifest.rows import RowBatch
    from batchsearch.tasks.dedup.night_jobs import Given

REMOVED: Final = "removed.parquet"
KEY: Final = ("product_id", "pic_name", "left")
_SCHEMA: Final = pa.schema([(name, pa.string()) for name in KEY])


@dataclass(frozen=True, slots=True)
class Removed:
    """What has left the manifest.

    Attributes:
        table: Columns as in `KEY`, an image each.
        pending: Those that are still to be deleted.
        present: Images of the manifest that were searched on some night.
        rows: Rows of the manifest.
    """

    table: pa.Table
    pending: int
    present: int
    rows: int


def removed_images(settings: JobSettings, given: Given, night: str) -> Removed:
    """Every image that any night has searched and that no row of the manifest has.

    Args:
        settings: The job.
        given: Columns of its manifest.
        night: Tonight's id, for those that are missing for the first time.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The results of the search or of the upkeep cannot be read.
    """
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, OPERATIONS[settings.operation])
    columns = result_columns(settings, given, manifest.schema_carried.names)
    images = read_images(folder / SEARCH, columns, None, room=Room(folder))
    image = np.unique((images.product.astype(np.int64) << 32) | images.name)
    there = np.zeros(len(image), bool)
    rows = 0
    # Whatever row has an image now, it has not left: rows are not compared.
    for batch in manifest.batches():
        rows += len(batch.rows)
        product = images.product_index.places(_column(batch, given.product)).astype(np.int64)
        name = images.name_index.places(_column(batch, given.pic_name)).astype(np.int64)
        known = (product >= 0) & (name >= 0)
        there[np.isin(image, (product[known] << 32) | name[known], assume_unique=False)] = True
    gone = image[~there]
    names = pa.table(
        {
            "product_id": images.products.take(pa.array(gone >> 32)),
            "pic_name": images.names.take(pa.array(gone & 0xFFFFFFFF)),
        }
    )
    table = _since(names, _earlier(folder / REMOVED), night)
    done = _deleted(folder)
    pending = int(pc.invert(pc.is_in(_texts(table), done)).to_numpy(zero_copy_only=False).sum())
    return Removed(table, pending, int(there.sum()), rows)


def removed_job(sync: JobSettings, removed: Removed, folder: Path) -> JobSettings:
    """The upkeep over what the manifest no longer has.

    Args:
        sync: The upkeep as `columns.sync_job` makes it.
        removed: What has left the manifest.
        folder: Where the table is written.

    Raises:
        OutputError: It cannot be written.
    """
    path = folder / REMOVED
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with table_file(path, _SCHEMA) as file:
            file.add(removed.table)
    named = {"product_id": "product_id", "pic_name": "pic_name"}
    manifest = sync.manifest.of_made_rows(str(path), key=KEY, columns=named, max_shrink=None)
    # How much may go was asked before anything was changed.
    return sync.model_copy(update={"manifest": manifest, "max_deleted": "100%"})


def _column(batch: RowBatch, name: str | None) -> pa.Array:
    """A column of the manifest as the results have it as text; empty texts where there is none."""
    if name is None:
        return pa.repeat("", len(batch.rows))
    column = batch.carried.column(name)
    return column.cast(pa.string()).fill_null("")


def _since(names: pa.Table, earlier: pa.Table | None, night: str) -> pa.Table:
    """The images, each with the night on which it was first missing."""
    left = pa.repeat(night, len(names))
    if earlier is not None:
        known = earlier.set_column(2, "known", earlier.column("left"))
        joined = names.append_column("at", pa.array(np.arange(len(names)))).join(
            known, keys=["product_id", "pic_name"], join_type="left outer"
        )
        joined = joined.sort_by("at")
        left = pc.fill_null(joined.column("known").combine_chunks(), night)
    return pa.table([names.column(0), names.column(1), left], schema=_SCHEMA)


def _earlier(path: Path) -> pa.Table | None:
    """The table as the last night left it; None where there is none that can be read."""
    with reading(path), suppress(FileNotFoundError):
        read = pq.read_table(arrow_readable(path))
        return read if read.schema.names == list(KEY) else None
    return None


def _deleted(folder: Path) -> pa.Array:
    """Images that were deleted, each as one text."""
    done = [
        _texts(pa.Table.from_batches([batch]).filter(pc.equal(batch.column("outcome"), "ok")))
        for batch in batches_of(folder / UPKEEP["delete"] / RESULTS, [*KEY, "outcome"])
    ]
    return coded(pa.concat_arrays(done))[0] if done else pa.array([], pa.string())


def _texts(table: pa.Table) -> pa.Array:
    """Each row of `KEY` as one text: no id holds the character between them."""
    columns = [table.column(name).cast(pa.string()).combine_chunks() for name in KEY]
    return one_array(pc.binary_join_element_wise(*columns, "\x1f"))
