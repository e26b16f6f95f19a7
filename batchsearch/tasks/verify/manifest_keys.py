"""The manifest that an output folder is measured against: as its ledger names it, or as it is given."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from batchsearch.config.load import load_job, recorded_settings
from batchsearch.config.sections.manifest_settings import MAKING_ROWS, ManifestSettings
from batchsearch.engine.job.identity import quoted_before
from batchsearch.engine.run.opening import open_manifest
from batchsearch.errors import BatchsearchError
from batchsearch.manifest.source import Manifest, Wanted
from batchsearch.service.operations import OPERATIONS
from batchsearch.storage.ledger.entries import digest_of
from batchsearch.tasks.verify.row_records import MANIFEST, records_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from batchsearch.config.model import JobSettings
    from batchsearch.tasks.verify.ledger_view import LedgerView
    from batchsearch.tasks.verify.row_records import SortedRecords


class ManifestUnknownError(Exception):
    """The manifest is not known or cannot be read; the message says why."""


def manifest_of(view: LedgerView, manifest: Path | None, config: Path | None) -> Manifest:
    """The manifest of a job, its columns found.

    Args:
        view: What the ledger says of the job.
        manifest: Another place of the manifest than the job's.
        config: The job file, in place of what the ledger says of the job.

    Raises:
        ConfigError: The job file is not usable.
        ManifestUnknownError: Nobody says which manifest it is, or it cannot be read.
    """
    if config is not None:
        # The rows of an output that holds those of one instance are no others for it.
        lane = (view.job or {}).get("only_instance")
        narrowed = () if lane is None else (f"only_instance={json.dumps(lane)}",)
        settings: JobSettings | None = load_job(config, overrides=narrowed).settings
    else:
        settings = None if view.job is None else recorded_settings(dict(view.job))
    if settings is not None:
        if manifest is not None:
            elsewhere = settings.manifest.model_copy(update={"path": str(manifest.absolute())})
            settings = settings.model_copy(update={"manifest": elsewhere})
        try:
            found = open_manifest(settings, OPERATIONS[settings.operation])
            return found.naming_rows(quoted_before(view.fingerprint, settings.manifest.key))
        except (BatchsearchError, OSError) as error:
            raise ManifestUnknownError(str(error)) from error
    return _by_fingerprint(view.fingerprint, manifest)


def _by_fingerprint(known: Mapping[str, Any], manifest: Path | None) -> Manifest:
    """By what decides the outcomes' meaning, which the ledger keeps for every job."""
    path = str(manifest.absolute()) if manifest is not None else known.get("manifest.path")
    if not path or not known.get("manifest.key"):
        raise ManifestUnknownError("the ledger does not say which manifest the job has")
    written = {
        section: {
            name.removeprefix(prefix): value for name, value in known.items() if name.startswith(prefix)
        }
        for section in ("csv", "xlsx")
        for prefix in (f"manifest.{section}.",)
    }
    try:
        settings = ManifestSettings.model_validate(
            {
                "path": path,
                "key": known["manifest.key"],
                "format": known.get("manifest.format", "auto"),
                **{
                    name: known[f"manifest.{name}"]
                    for name in MAKING_ROWS
                    if known.get(f"manifest.{name}") is not None
                },
                **{section: values for section, values in written.items() if values},
            }
        )
        wanted = Wanted(images=(), required=(), allowed=frozenset())
        found = Manifest.open(settings, base=Path(path).parent, wanted=wanted)
        return found.naming_rows(quoted_before(known, settings.key))
    except (BatchsearchError, ValidationError, OSError) as error:
        raise ManifestUnknownError(str(error)) from error


def read_keys(manifest: Manifest, records: SortedRecords) -> int:
    """Hand the manifest's rows on as records; how many there are.

    Raises:
        ManifestUnknownError: It cannot be read to its end.
    """
    total = 0
    try:
        for keys in manifest.keys():  # noqa: SIM118 - a table's row keys, not a dictionary's
            places = np.arange(total, total + len(keys), dtype=np.uint64)
            records.add(records_of(MANIFEST, [digest_of(key) for key in keys], places))
            total += len(keys)
    except (BatchsearchError, OSError) as error:
        raise ManifestUnknownError(str(error)) from error
    return total


def keys_at(manifest: Manifest, rows: Collection[int]) -> dict[int, str]:
    """The keys of a few rows by their numbers, for messages."""
    wanted, found, total = set(rows), dict[int, str](), 0
    if not wanted:
        return found
    for keys in manifest.keys():  # noqa: SIM118 - as above
        inside = [row for row in wanted if total <= row < total + len(keys)]
        found.update((row, next(islice(keys, row - total, None))) for row in inside)
        total += len(keys)
        if len(found) == len(wanted):
            break
    return found
