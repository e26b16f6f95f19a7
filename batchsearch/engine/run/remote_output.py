"""A job whose output is in an object store: worked on in a local folder, carried to the store by a mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.config.sections.image_settings import connections_of
from batchsearch.storage.stores.address import is_store_url
from batchsearch.telemetry.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.storage.remote.cargo import TableFile
    from batchsearch.storage.remote.mirror import Mirror


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


def files_of(ledger_copy: Path) -> list[TableFile] | None:
    """The files that a ledger counts; None in the middle of an exchange."""
    from batchsearch.storage.ledger.ledger_reader import LedgerReader
    from batchsearch.storage.ledger.queries import STAGED
    from batchsearch.storage.parts.part_files import HITS, RESULTS
    from batchsearch.storage.parts.rewrite import HISTORY
    from batchsearch.storage.remote.cargo import TableFile

    with LedgerReader(ledger_copy) as ledger:
        if ledger.coming() is not None:
            return None
        found = []
        for parts, under in ((ledger.parts(), ""), (ledger.parts(STAGED), f"{STAGED}/")):
            for part in parts:
                found.append(TableFile(f"{under}{RESULTS}/{part.name}", part.results_sha256, part.rows))
                found.append(TableFile(f"{under}{HITS}/{part.name}", part.hits_sha256, part.hits))
        found += [
            TableFile(f"{HISTORY}/{part.name}", part.results_sha256, part.rows)
            for part in ledger.parts("history")
        ]
        return found
