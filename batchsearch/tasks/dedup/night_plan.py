"""What a night of dedup would take: its search and each step of its upkeep, a plan each."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batchsearch.engine.run.opening import open_manifest
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.output_layout import SEARCH
from batchsearch.tasks.dedup.night_jobs import dedup_settings, given_columns, search_job
from batchsearch.tasks.dedup.upkeep.upkeep_steps import began_as, upkeep_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchsearch.config.model import JobSettings

_PLANNED: Final = "planned"


@contextmanager
def night_to_plan(settings: JobSettings) -> Iterator[dict[str, JobSettings]]:
    """The runs of a night, in their order, by name: `search`, and what `dedup.sync` names.

    Nothing is written into the output folder: tables of rows are made in a temporary one, which goes when
    the block ends. What an upkeep will have changed by then is not known to a plan: images that are added
    tonight count for the update on the night after.

    Raises:
        ConfigError: The job is not one that dedup can do.
        ManifestError: The manifest is not usable.
        OutputError: The results of earlier nights cannot be read.
    """
    manifest = open_manifest(settings, OPERATIONS[settings.operation])
    given = given_columns(settings, manifest.schema_carried.names)
    with tempfile.TemporaryDirectory(prefix="batchsearch-plan-") as folder:
        upkeep: dict[str, JobSettings] = dict(upkeep_jobs(settings, given, _PLANNED, into=Path(folder)))
        search = {"search": search_job(settings, given, began_as(Path(settings.output.dir) / SEARCH))}
        yield search | upkeep if dedup_settings(settings).order == "search_first" else upkeep | search
