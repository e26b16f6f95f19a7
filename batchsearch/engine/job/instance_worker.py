"""A job's instances, each with rows, a rate and an endpoint of its own (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.config.model import INSTANCE
from batchsearch.errors import ConfigError
from batchsearch.manifest.instance_rows import InstanceRows
from batchsearch.nearest import did_you_mean
from batchsearch.service.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.manifest.rows import RowBatch


@dataclass(frozen=True, slots=True)
class InstanceWorker:
    """One instance of a job, and which rows go to it.

    Attributes:
        instance: Its settings.
        elsewhere: Names of the job's other instances, when this is the one for rows that name none, or one
            that the job does not have; None for any other.
        alone: It is the job's only instance.
    """

    instance: InstanceSettings
    elsewhere: frozenset[str] | None
    alone: bool

    def places(self, batch: RowBatch) -> list[int]:
        """Where in a batch the rows of this instance worker are."""
        if self.alone:
            return list(range(len(batch)))
        rows = self._rows(INSTANCE)
        return [place for place, name in enumerate(batch.values(INSTANCE)) if rows.takes(name)]

    def rows_in(self, columns: Mapping[str, str]) -> InstanceRows | None:
        """Its rows in a manifest with these columns by their meaning; None where all are its own."""
        return None if self.alone else self._rows(columns[INSTANCE])

    def _rows(self, column: str) -> InstanceRows:
        return InstanceRows(column, self.instance.name, self.elsewhere)


def workers_of(settings: JobSettings) -> tuple[InstanceWorker, ...]:
    """The instance workers of a run: `instance` first, then `instances`; one where only one is meant."""
    found = all_workers_of(settings)
    if settings.only_instance is None:
        return found
    return tuple(worker for worker in found if worker.instance.name == settings.only_instance)


def all_workers_of(settings: JobSettings) -> tuple[InstanceWorker, ...]:
    """The instance workers of a job, those included that only another run works for."""
    others = settings.instances
    if not others:
        return (InstanceWorker(settings.instance, frozenset(), alone=True),)
    names = frozenset(other.name for other in others)
    return (
        InstanceWorker(settings.instance, names, alone=False),
        *(InstanceWorker(other, None, alone=False) for other in others),
    )


def rows_of_run(settings: JobSettings) -> InstanceRows | None:
    """The rows that are a run's, where they are those of one instance; None for all of them."""
    if settings.only_instance is None:
        return None
    return workers_of(settings)[0].rows_in(settings.manifest.columns)


def instance_named(settings: JobSettings, name: str | None) -> InstanceSettings:
    """The instance of that name, or the job's first one.

    Raises:
        ConfigError: The job has none of that name.
    """
    workers = {worker.instance.name: worker.instance for worker in workers_of(settings)}
    if name is None:
        return settings.instance
    if name not in workers:
        raise ConfigError(
            f"--instance: the job file has no instance {name[:40]!r}{did_you_mean(name, workers)}"
        )
    return workers[name]


def names_of(workers: Sequence[InstanceWorker]) -> str:
    """The instances' names, for people."""
    return ", ".join(worker.instance.name for worker in workers)


def rate_of(settings: JobSettings) -> float:
    """Calls per second that the job may make: its share of each budget that its operation draws on.

    It is infinite where an instance is unlimited.
    """
    budget = OPERATIONS[settings.operation].budget
    return sum(worker.instance.qps_of(budget) * worker.instance.share for worker in workers_of(settings))


def tier_of(settings: JobSettings) -> float | None:
    """The same for people and for JSON: None for no limit."""
    rate = rate_of(settings)
    return None if math.isinf(rate) else rate
