"""A job whose output is in an object store: worked on in a local folder, carried to the store by a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.config.sections.image_settings import connections_of
from batchsearch.storage.stores.address import is_store_url
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.storage.remote.mirror import Mirror
    from batchsearch.storage.sealed.inventory import SealedFile


def localised(settings: JobSettings) -> JobSettings:
    """The job with its output in a local folder: the work folder where the output is in an object store.

    Raises:
        ConfigError: The address names no place that can be written to.
    """
    output = settings.output
    if not is_store_url(output.dir):
        return settings
    from batchsearch.storage.remote.store_output import work_folder

    folder = work_folder(output.dir, output.work_dir)
    return settings.model_copy(update={"output": output.model_copy(update={"dir": str(folder)})})


def mirror_of(settings: JobSettings, folder: Path, run_id: str) -> Mirror | None:
    """What carries a job's output to its store; None where the output is a local folder.

    Args:
        settings: The job, as its file says it.
        folder: The work folder.
        run_id: The run's name.

    Raises:
        ConfigError: The address names no place that can be written to, or an optional part is missing.
    """
    if not is_store_url(settings.output.dir):
        return None
    from batchsearch.storage.remote.store_output import open_mirror

    return open_mirror(
        settings.output.dir,
        connections_of(settings.stores, settings.images.stores),
        folder=folder,
        run=run_id,
        files_of=files_of,
        carry_seconds=settings.output.carry_seconds,
        lease_seconds=settings.output.lease_seconds,
        journal_seconds=settings.output.journal_seconds,
        log=logger(),
    )


def files_of(ledger_copy: Path) -> Sequence[SealedFile] | None:
    """The files that a ledger counts; None in the middle of an exchange."""
    from batchsearch.storage.ledger.ledger_reader import LedgerReader
    from batchsearch.storage.sealed.inventory import inventory_of

    with LedgerReader(ledger_copy) as ledger:
        inventory = inventory_of(ledger)
    return None if inventory.switching else inventory.files
