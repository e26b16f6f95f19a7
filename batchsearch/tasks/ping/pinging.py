"""Asks each instance of a job for its details: one call each of a budget that searches do not draw on."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from batchsearch.config.sections.instance_settings import EMULATOR, OTHER_QPS
from batchsearch.engine.job.instance_worker import workers_of
from batchsearch.engine.retry.asking import asked, rules_for_one
from batchsearch.engine.run import embedded
from batchsearch.errors import ConfigError
from batchsearch.exit_codes import ExitCode
from batchsearch.pacing.pacer import Pacer
from batchsearch.proxies import proxies_of
from batchsearch.redaction import redacted
from batchsearch.service.client import Client
from batchsearch.service.credentials import default_chain
from batchsearch.service.endpoint import parse_endpoint
from batchsearch.service.facts import endpoint_of
from batchsearch.service.form import build_call
from batchsearch.service.http_exchange import Timeouts, new_session
from batchsearch.service.parameters import ParameterProblem
from batchsearch.service.responses import DetailResponse
from batchsearch.tasks.ping.checks import (
    NAMES,
    Check,
    failed_by,
    of_clock,
    of_credentials,
    of_instance,
    of_rate,
    passed,
    unknown,
    without_credentials,
)

if TYPE_CHECKING:
    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.service.credentials import CredentialsProvider
    from batchsearch.service.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Pinged:
    """What was found out about one instance.

    Attributes:
        instance: Its name.
        endpoint: Where it was asked; None where that is not known.
        checks: One for each of `NAMES`.
    """

    instance: str
    endpoint: str | None
    checks: tuple[Check, ...]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "instance": self.instance,
            "endpoint": self.endpoint,
            "checks": [check.as_dict() for check in self.checks],
        }


def exit_code_of(found: list[Pinged]) -> ExitCode:
    """What the command ends with: the first failure's code."""
    codes = [check.exit_code for each in found for check in each.checks if check.exit_code != ExitCode.DONE]
    return codes[0] if codes else ExitCode.DONE


async def ping(settings: JobSettings) -> list[Pinged]:
    """Ask every instance of a job for its details, and compare them with the job.

    An embedded instance is started for it, empty, and taken down again: it says that one can be.

    Args:
        settings: The job.

    Raises:
        ConfigError: An endpoint or a proxy is no usable address, or an optional part is missing.
    """
    return [await _ping(settings, worker.instance) for worker in workers_of(settings)]


async def _ping(settings: JobSettings, instance: InstanceSettings) -> Pinged:
    async with AsyncExitStack() as stack:
        if instance.endpoint == EMULATOR:
            endpoint, provider = await _embedded(settings, stack)
            first = passed("credentials", "none needed: the instance is embedded")
        else:
            endpoint = parse_endpoint(
                instance.endpoint or endpoint_of(instance.region or "", vpc=instance.vpc)
            )
            provider = default_chain()
            try:
                first = of_credentials(await provider.get())
            except ConfigError as error:
                first = without_credentials(redacted(str(error)))
        if first.state == "fail":
            return _ended(instance, endpoint, {first.name: first}, "there are no credentials")
        return await _asked(settings, instance, endpoint, provider, first, stack)


async def _asked(  # noqa: PLR0917 - one instance and all that is needed to ask it
    settings: JobSettings,
    instance: InstanceSettings,
    endpoint: Endpoint,
    provider: CredentialsProvider,
    first: Check,
    stack: AsyncExitStack,
) -> Pinged:
    calls = settings.calls
    proxies = proxies_of(calls.proxy, os.environ, where="calls.proxy")
    client = Client(
        await stack.enter_async_context(new_session(connections=1)),
        endpoint,
        provider,
        timeouts=Timeouts(connect=calls.connect_timeout, total=calls.timeout),
        signature=calls.signing,
        proxies=proxies,
    )
    call = build_call("Detail", instance.name, {}, ())
    if isinstance(call, ParameterProblem):
        raise ConfigError(f"instance.name: {call.message}")
    try:
        pacer, rules = Pacer(OTHER_QPS), rules_for_one(settings)
        answer, _ = await asked(client, call, pacer, rules)
    except ConfigError as error:
        # The service refused what there was, and no place has others.
        refused = without_credentials(redacted(str(error)))
        return _ended(instance, endpoint, {refused.name: refused}, "the credentials were refused")
    found = {first.name: first}
    problem = failed_by(answer)
    if answer.origin != "transport":
        through = proxies.of(endpoint.scheme, endpoint.host.strip("[]"), endpoint.port)
        way = ", through a proxy" if through else ""
        found["endpoint"] = passed("endpoint", f"{endpoint} answers in {answer.latency * 1000:,.0f} ms{way}")
        found["clock"] = of_clock(client.service_time.apart)
    if problem is not None:
        return _ended(instance, endpoint, found | {problem.name: problem}, f"of the {problem.name}")
    response = answer.response
    facts = response.instance if isinstance(response, DetailResponse) else None
    if facts is not None and instance.endpoint == EMULATOR:
        # It was started for this: that it is empty says nothing of the job's own.
        facts = replace(facts, total_count=None, capacity=None, utc_expire_time=None)
    found["instance"] = of_instance(instance, facts, settings.operation, datetime.now(UTC))
    found["rate"] = of_rate(instance, facts, instance.qps_of("query"))
    return _ended(instance, endpoint, found, "")


def _ended(instance: InstanceSettings, endpoint: Endpoint, found: dict[str, Check], why: str) -> Pinged:
    """All checks in order; those that were not made say why."""
    checks = tuple(found.get(name) or unknown(name, why) for name in NAMES)
    return Pinged(instance.name, str(endpoint), checks)


async def _embedded(settings: JobSettings, stack: AsyncExitStack) -> tuple[Endpoint, CredentialsProvider]:
    """An embedded instance as the job's, but empty and in a folder of its own."""
    room = stack.enter_context(tempfile.TemporaryDirectory(prefix="batchsearch-ping-"))
    emulator = settings.emulator.model_copy(update={"data": room, "faults": None})
    started = await asyncio.to_thread(embedded.start, settings.model_copy(update={"emulator": emulator}))
    stack.push_async_callback(asyncio.to_thread, started.stop)
    return parse_endpoint(started.endpoint), embedded.credentials_of(started)
