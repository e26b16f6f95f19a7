"""Whether a night's additions go by a batch task: many of them, and each under the name that its row has."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from batchsearch.engine.run.opening import open_manifest
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.ledger.ledger_reader import LedgerReader
from batchsearch.storage.output_layout import LEDGER
from batchsearch.tasks.load.lines import bare_name
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings


def goes_by_task(add: JobSettings, load_above: int | None) -> bool:
    """Whether the images that a job adds are brought by a batch task.

    Images whose names have no extension are added by calls: a task would name them otherwise.

    Args:
        add: The job that adds images.
        load_above: As the setting says; None for never.

    Raises:
        ManifestError: The manifest cannot be read.
        OutputError: The ledger of earlier nights cannot be read.
    """
    if load_above is None:
        return False
    waiting, plain = _waiting(add)
    if waiting > load_above and plain:
        logger().warning("names_without_extension", rows=plain)
    return waiting > load_above and not plain


def _waiting(add: JobSettings) -> tuple[int, int]:
    """Rows that have no outcome yet, and how many of them have a name without an image's extension."""
    manifest = open_manifest(add, OPERATIONS[add.operation])
    ledger = Path(add.output.dir) / LEDGER
    waiting = plain = 0
    with ExitStack() as stack:
        reader = stack.enter_context(LedgerReader(ledger, oldest=1)) if ledger.is_file() else None
        for batch in manifest.batches():
            digests = batch.digests()
            done = reader.finished(digests) if reader is not None else set()
            for row, digest in zip(batch.rows, digests, strict=True):
                if digest not in done:
                    name = str(row.parameters.get("pic_name", ""))
                    waiting += 1
                    plain += bare_name(name) == name
    return waiting, plain
