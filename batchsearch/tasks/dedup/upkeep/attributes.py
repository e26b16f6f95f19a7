"""Images whose attributes are others than the instance was last told: `sync: [add, update]` updates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batchsearch.arrow_values import microseconds
from batchsearch.storage.output_layout import UPKEEP
from batchsearch.storage.parts.parquet_table import table_file, writing
from batchsearch.storage.parts.part_files import RESULTS
from batchsearch.storage.parts.passthrough_types import as_text
from batchsearch.storage.parts.results_and_hits import passthrough_names
from batchsearch.tasks.dedup.candidates.catalogue_images import batches_of, places, schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from batchsearch.config.model import JobSettings
    from batchsearch.manifest.source import Manifest

CHANGED: Final = "attributes.parquet"

_EIGHT_BYTES: Final = 2**64 - 1


def changed_attributes_job(
    sync: JobSettings, manifest: Manifest, attributes: Sequence[str], folder: Path, into: Path
) -> JobSettings:
    """The update of images that are in the instance with other attributes than the manifest has now.

    Args:
        sync: The update as `columns.sync_job` makes it.
        manifest: The job's rows.
        attributes: Columns that are the attributes.
        folder: The dedup's output folder.
        into: Where the table of those rows is written.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The upkeep's results cannot be read, or the table cannot be written.
    """
    keys, told = _last_told(folder, manifest.schema_carried.names, attributes)
    path = into / CHANGED
    with writing(path):
        into.mkdir(parents=True, exist_ok=True)
        with table_file(path, manifest.schema_carried) as file:
            for batch in manifest.batches():
                carried = pa.table(batch.carried.columns, schema=manifest.schema_carried)
                at = places(pa.array([row.key for row in batch.rows], pa.string()), keys)
                now = _digests(carried, attributes)
                differs = (at >= 0) & (now != told[at]) if len(told) else np.zeros(len(at), bool)
                file.add(carried.filter(pa.array(differs)))
    return sync.model_copy(update={"manifest": sync.manifest.of_made_rows(str(path), max_shrink=None)})


def _last_told(
    folder: Path, names: list[str], attributes: Sequence[str]
) -> tuple[pa.Array, NDArray[np.uint64]]:
    """The row keys of images that were added, and what the instance was last told of each."""
    found: list[tuple[pa.Array, NDArray[np.int64], NDArray[np.uint64], NDArray[np.bool_]]] = []
    for step, operation in (("add", "AddImage"), ("update", "UpdateImage")):
        written = dict(zip(names, passthrough_names(operation, names), strict=True))
        columns = [written[name] for name in attributes]
        results = folder / UPKEEP[step] / RESULTS
        there = [name for name in columns if name in schema_of(results).names]
        for batch in batches_of(results, ["row_key", *there, "outcome", "finished_at"]):
            good = batch.filter(pc.equal(batch.column("outcome"), "ok"))
            found.append(
                (
                    good.column("row_key"),
                    microseconds(good.column("finished_at")),
                    _digests(pa.Table.from_batches([good]), columns),
                    np.full(len(good), step == "add"),
                )
            )
    if not found:
        return pa.array([], pa.string()), np.empty(0, np.uint64)
    texts = pa.concat_arrays([each[0] for each in found])
    moments, told, added = (np.concatenate([each[place] for each in found]) for place in (1, 2, 3))
    keys = pc.unique(texts)
    place = places(texts, keys)
    order = np.argsort(moments, kind="stable")
    last = np.zeros(len(keys), np.uint64)
    last[place[order]] = told[order]
    known = np.zeros(len(keys), bool)
    known[place[added]] = True
    # An image that was never added has nothing to be updated.
    return keys.filter(pa.array(known)), last[known]


def _digests(table: pa.Table, columns: Sequence[str]) -> NDArray[np.uint64]:
    """Eight bytes for the values of these columns, by row; equal for equal values, in this process."""
    found = np.zeros(len(table), np.uint64)
    for name in columns:
        if name not in table.schema.names:
            # A column that the manifest did not have then: it was empty.
            found = found * np.uint64(1_000_003) + np.uint64(hash("\0") & _EIGHT_BYTES)
            continue
        # Alike whatever type the column had then: 1,000,000 is the same as a whole number and as a double.
        texts = (text for chunk in table.column(name).chunks for text in as_text(chunk).to_pylist())
        hashes = (hash("\0" if text is None else text) for text in texts)
        found = found * np.uint64(1_000_003) + np.fromiter(hashes, np.int64, len(table)).view(np.uint64)
    return found
