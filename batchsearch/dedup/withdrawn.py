"""Pictures that have left the manifest: the table over which the instance is rid of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from batchsearch.api.operations import OPERATIONS
from batchsearch.dedup.columns import SEARCH, result_columns
from batchsearch.dedup.pictures import read_pictures
from batchsearch.engine.opening import open_manifest
from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.dedup.columns import Given

WITHDRAWN: Final = "withdrawn.parquet"


def withdrawn_job(sync: JobSettings, settings: JobSettings, given: Given) -> JobSettings | None:
    """The upkeep over what the manifest no longer has; None where nothing has left it.

    A picture that comes back is not withdrawn any more; to have it in the instance again, add it.

    Args:
        sync: The upkeep as `sync_job` makes it.
        settings: The job.
        given: Columns of its manifest.

    Raises:
        OutputError: The table cannot be written, or the search's results cannot be read.
    """
    folder = Path(settings.output.dir)
    manifest = open_manifest(settings, OPERATIONS[settings.operation])
    columns = result_columns(settings, given, manifest.schema_carried.names)
    pictures = read_pictures(folder / SEARCH, columns, manifest.keys())
    gone = pa.array(~pictures.present)
    table = pa.table(
        {
            "product_id": pictures.products.take(pa.array(pictures.product)).filter(gone),
            "pic_name": pictures.names.take(pa.array(pictures.name)).filter(gone),
        }
    )
    if table.num_rows == 0:
        return None
    path = folder / WITHDRAWN
    temporary = folder / f".{WITHDRAWN}.tmp"
    try:
        pq.write_table(table, temporary)
        os.replace(temporary, path)  # noqa: PTH105 - the house's way to say that it replaces
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    parts = {"path": str(path), "format": "parquet", "key": ("product_id", "pic_name")}
    named = {"product_id": "product_id", "pic_name": "pic_name"}
    return sync.model_copy(update={"manifest": sync.manifest.model_copy(update={**parts, "columns": named})})
