"""What holds for every request of a job (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.engine.rows.pending_row import JobFacts
from batchsearch.images.rules import rules_for
from batchsearch.service.operations import ASKING

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.images.rules import Rules
    from batchsearch.service.operations import Operation


def facts_of(
    settings: JobSettings,
    operation: Operation,
    run_id: str,
    instance: InstanceSettings,
    *,
    several_keys: bool = False,
) -> JobFacts:
    """What holds for every row of a job that goes to one of its instances."""
    return JobFacts.of(
        run_id=run_id,
        operation=operation.name,
        instance=instance.name,
        service_type=instance.service_type,
        longest_id=instance.longest_id,
        parameters=settings.parameters,
        results_per_row=settings.results_per_row,
        roles=tuple(image.role for image in operation.images),
        has_hits=operation.paged,
        symmetric=settings.reuse.symmetric_pairs,
        reusable=operation.response in ASKING,
        several_keys=several_keys,
    )


def rules_of(settings: JobSettings, operation: Operation, instance: InstanceSettings) -> Rules:
    """What an image must be that goes to an instance; those that travel in one body share its size."""
    together = 1 if settings.calls.upload == "url" else max(1, len(operation.images))
    return rules_for(instance.service_type, settings.images, images=together)
