"""`batchsearch instance show`: what the service says of an instance, against what the job takes it for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.run.instance_calls import instance_calls
from batchsearch.service.facts import CAPACITY_UNIT, SERVICE_TYPES
from batchsearch.service.responses import DetailResponse, InstanceFacts
from batchsearch.tasks.ping.checks import Check, moment_of, of_instance, of_rate

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings


@dataclass(frozen=True, slots=True)
class Details:
    """One instance.

    Attributes:
        instance: The job's name for it.
        job_kind: Its kind by the job.
        endpoint: Where it was asked.
        facts: What the service says.
        checks: How that fits the job.
        asked_at: When, UTC.
    """

    instance: str
    job_kind: str
    endpoint: str
    facts: InstanceFacts
    checks: tuple[Check, ...]
    asked_at: datetime

    @property
    def kind(self) -> str:
        """The kind of instance, as far as the service tells it."""
        number = self.facts.service_type
        names = [kind.name for kind in SERVICE_TYPES.values() if number in kind.numbers]
        if number is None:
            return f"{self.job_kind} by the job; the service gives no number"
        return names[0] if names else f"number {number}, which no page lists"

    @property
    def capacity(self) -> int | None:
        """Images that it can hold."""
        return None if self.facts.capacity is None else self.facts.capacity * CAPACITY_UNIT

    @property
    def ends(self) -> datetime | None:
        """When it ends, UTC."""
        return moment_of(self.facts.utc_expire_time)

    @property
    def days_left(self) -> float | None:
        """Days until then."""
        return None if self.ends is None else (self.ends - self.asked_at).total_seconds() / 86_400

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        created = moment_of(self.facts.utc_create)
        return {
            "instance": self.instance,
            "endpoint": self.endpoint,
            "name": self.facts.name,
            "region": self.facts.region,
            "service_type": self.kind,
            "service_type_number": self.facts.service_type,
            "images": self.facts.total_count,
            "capacity": self.capacity,
            "qps": self.facts.qps,
            "created": None if created is None else created.isoformat(timespec="seconds"),
            "ends": None if self.ends is None else self.ends.isoformat(timespec="seconds"),
            "days_left": None if self.days_left is None else round(self.days_left, 1),
            "checks": [check.as_dict() for check in self.checks],
        }

    def lines(self) -> list[tuple[str, str]]:
        """For people: what is said, with its label."""
        facts, held, capacity = self.facts, self.facts.total_count, self.capacity
        lines = [("name", facts.name or self.instance), ("kind", self.kind)]
        if facts.region:
            lines.append(("region", facts.region))
        if held is not None:
            filled = f" of {capacity:,} ({held / capacity:.1%})" if capacity else ""
            lines.append(("images", f"{held:,}{filled}"))
        if facts.qps is not None:
            lines.append(("queries", f"{facts.qps} a second"))
        created = moment_of(facts.utc_create)
        if created is not None:
            lines.append(("created", f"{created:%Y-%m-%d}"))
        if self.ends is not None and self.days_left is not None:
            lines.append(("ends", f"{self.ends:%Y-%m-%d}, in {self.days_left:,.0f} days"))
        return lines


async def show_instances(settings: JobSettings) -> list[Details]:
    """Ask every instance of a job for its details; an embedded one is started for it, filled as for a run.

    Args:
        settings: The job.

    Raises:
        ConfigError: There are no credentials, or an endpoint is unusable.
        RunEndedError: An instance does not answer.
    """
    return [await _show(settings, worker.instance) for worker in workers_of(settings)]


async def _show(settings: JobSettings, instance: InstanceSettings) -> Details:
    async with instance_calls(settings, instance) as calls:
        answer = await calls.ask("Detail", DetailResponse)
        endpoint = str(calls.endpoint)
    now = datetime.now(UTC)
    facts = answer.instance or InstanceFacts(*[None] * 8)
    judged = facts
    if instance.endpoint == EMULATOR:
        # It lives as long as the job's folder: no end that anybody has to mind.
        judged = replace(facts, utc_expire_time=None)
    checks = (
        of_instance(instance, judged, settings.operation, now),
        of_rate(instance, facts, instance.qps_of("query")),
    )
    return Details(instance.name, instance.service_type, endpoint, facts, checks, now)
