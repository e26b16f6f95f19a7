"""The job that an output folder holds: what it was, what it is tonight, and what that touches."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from batchsearch.engine.job.changes import JobChanges, job_changes, ways_on
from batchsearch.engine.job.identity import fingerprint
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.renewal.mending import Mended, mended
from batchsearch.engine.renewal.renewal_rules import NOTHING_TOUCHED, Touched
from batchsearch.engine.renewal.short_lists import short_lists
from batchsearch.errors import ConfigError, OutputDamagedError
from batchsearch.storage.output_layout import LEDGER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from batchsearch.config.model import JobSettings
    from batchsearch.storage.ledger.queries import LedgerQueries

RECOVERED: Final = "recovered"
"""Named text of a ledger that was made anew from its parts: when, and what was called where."""

JOB: Final = "job"
"""Named text of the ledger: all settings of the last run that was one of the job itself."""

FINGERPRINT: Final = "fingerprint"
"""Named text of the ledger: what decides the outcomes' meaning, by setting."""


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job beside the one that its output holds.

    Attributes:
        before: What decided the outcomes' meaning, by setting; empty where nobody knows.
        now: What does tonight.
        changes: What differs.
        mended: Failures whose cause may be gone.
    """

    before: Mapping[str, Any]
    now: dict[str, Any]
    changes: JobChanges
    mended: Mended


def held_job(settings: JobSettings, ledger: LedgerQueries) -> HeldJob:
    """Compare a job with the one whose results its output holds.

    Args:
        settings: The job.
        ledger: The output's.

    Raises:
        ConfigError: It is another job, and its rows are not to be renewed or cannot be.
        OutputDamagedError: What the ledger tells of the job cannot be read.
    """
    now: dict[str, Any] = json.loads(json.dumps(fingerprint(settings)))
    before = told_settings(ledger, FINGERPRINT)
    if not before:
        _hold_recovered(settings, ledger)
    changes = job_changes(before, now)
    if changes.told and not (changes.can_renew and settings.reuse.changed_job == "renew"):
        raise ConfigError(ways_on(changes, settings.output.dir))
    was = told_settings(ledger, JOB)
    return HeldJob(before, now, changes, mended(was, settings.model_dump(mode="json")))


def touched_by(held: HeldJob, ledger: LedgerQueries, folder: Path) -> Touched:
    """What the settings that are others tonight touch of what is finished.

    Raises:
        OutputError: A part or the ledger cannot be read.
    """
    changes = held.changes
    if not ledger.has_finished():
        return NOTHING_TOUCHED
    touched = Touched(mended=held.mended, look=changes.columns)
    if changes.told:
        return Touched(every="elsewhere" if changes.elsewhere else "changed")
    if changes.full is not None:
        short = short_lists(ledger, folder, full=changes.full, wanted=changes.wanted)
        return Touched(mended=touched.mended, look=touched.look, short=short)
    return touched


def told_settings(ledger: LedgerQueries, name: str) -> dict[str, Any]:
    """A named text of the ledger as the settings that it holds; empty where there is none.

    Raises:
        OutputDamagedError: It is not what a run writes.
    """
    try:
        return dict(json.loads(ledger.meta(name) or "{}"))
    except (ValueError, TypeError) as error:
        raise OutputDamagedError(
            f"{LEDGER} in the output folder: what it tells of the job (`{name}`) cannot be "
            f"read, it is damaged: {error}. No part was touched. Put the ledger back from a copy, or let "
            "`batchsearch recover DIR` make it anew from the parts, so that nothing is asked for twice."
        ) from error


def _hold_recovered(settings: JobSettings, ledger: LedgerQueries) -> None:
    """A ledger made anew from parts alone knows no settings, but what was called and where."""
    known = told_settings(ledger, RECOVERED)
    operations = set(known.get("operations", ())) - {settings.operation}
    instances = set(known.get("instances", ())) - {worker.instance.name for worker in workers_of(settings)}
    if operations or instances:
        raise ConfigError(
            f"{settings.output.dir}: holds the results of another job: of "
            f"{', '.join(sorted(operations | instances))}; begin anew in another folder (`--fresh DIR` or "
            "another `output.dir`), or change the settings back."
        )
