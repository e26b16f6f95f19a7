"""Calls on an instance itself, outside a run: once a second, repeated by the job's rules."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeVar

from batchsearch.config.sections.instance_settings import EMULATOR
from batchsearch.engine.retry.asking import asked, rules_for_one
from batchsearch.engine.run.instance_access import Services, client_of, pacer_for
from batchsearch.errors import ConfigError, RunEndedError, StoppedError
from batchsearch.proxies import proxies_of
from batchsearch.service.codes.lookup import code_for
from batchsearch.service.form import build_call
from batchsearch.service.http_exchange import Timeouts, new_session
from batchsearch.service.operations import OPERATIONS
from batchsearch.service.parameters import ParameterProblem
from batchsearch.service.signed_file import fetch_signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import aiohttp

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer
    from batchsearch.pacing.unpaced import Unpaced
    from batchsearch.service.client import Answer, Client
    from batchsearch.service.endpoint import Endpoint

T = TypeVar("T")

_VENDOR: Final = ".aliyuncs.com"
_PASSING: Final = frozenset({"service", "network"})
"""Who mends what passes by itself (`ErrorCode.owner`)."""


class UnansweredError(StoppedError):
    """An instance was asked for something and did not answer, or failed: to be asked again later."""


@dataclass(frozen=True, slots=True)
class InstanceCalls:
    """Asks one instance about itself, and fetches the files that it offers.

    Attributes:
        instance: Which instance.
        endpoint: Where it is.
        client: Makes its calls.
    """

    instance: InstanceSettings
    endpoint: Endpoint
    _settings: JobSettings
    _session: aiohttp.ClientSession
    client: Client
    _pacer: Pacer | SharedPacer | Unpaced

    async def answer(self, operation: str, *, once: bool = False, **values: Any) -> Answer:
        """What an operation answers, failures included.

        Args:
            operation: One that draws on the instance's own budget.
            once: It is not repeated where its answer may have been lost; a denial still is.
            values: Its parameters, by snake_case name.
        """
        call = build_call(operation, self.instance.name, values, ())
        if isinstance(call, ParameterProblem):
            raise ConfigError(f"{operation}: {call.message}")
        rules = rules_for_one(self._settings)
        if once:
            rules = replace(rules, max_attempts=1)
        answer, _ = await asked(self.client, call, self._pacer, rules)
        return answer

    async def ask(self, operation: str, kind: type[T], **values: Any) -> T:
        """The typed answer of an operation.

        Args:
            operation: As for `answer`.
            kind: What its answer is read as.
            values: Its parameters.

        Raises:
            RunEndedError: It was refused.
            UnansweredError: It was not answered, or the service is failing.
        """
        answer = await self.answer(operation, **values)
        if answer.code is not None or not isinstance(answer.response, kind):
            raise refusal(operation, answer)
        return answer.response

    async def fetch(self, url: str, path: Path) -> int:
        """Write a file that the service offers to a local one; its size, bytes.

        Raises:
            FetchError: It cannot be had.
            OSError: It cannot be written.
        """
        calls = self._settings.calls
        return await fetch_signed(
            self._session,
            url,
            path,
            timeouts=Timeouts(connect=calls.connect_timeout, total=calls.timeout),
            proxies=proxies_of(calls.proxy, os.environ, where="calls.proxy"),
            inside=self._may_be_inside,
        )

    def _may_be_inside(self, host: str) -> bool:
        """Whether a file may be in this network: as the service is, or by the vendor's inner addresses."""
        return _is_inside(self.endpoint) or (self.instance.vpc and host.endswith(_VENDOR))


@asynccontextmanager
async def instance_calls(
    settings: JobSettings, instance: InstanceSettings | None = None
) -> AsyncIterator[InstanceCalls]:
    """Who asks an instance of a job; an embedded one is started for it, filled as for a run.

    Args:
        settings: The job.
        instance: Which of its instances; the first one when None.

    Raises:
        ConfigError: There are no credentials, or the endpoint is unusable.
    """
    chosen = instance or settings.instance
    async with AsyncExitStack() as stack:
        endpoint, credentials = await Services(settings, stack).of(chosen)
        session = await stack.enter_async_context(new_session(connections=4))
        client = client_of(settings, session, endpoint, credentials)
        budget = OPERATIONS["Detail"].budget
        pacer = pacer_for(chosen, budget, endpoint.authority, embedded=chosen.endpoint == EMULATOR)
        stack.push_async_callback(pacer.close)
        yield InstanceCalls(chosen, endpoint, settings, session, client, pacer)


def refusal(operation: str, answer: Answer) -> RunEndedError | UnansweredError:
    """What to raise of an operation that did not go well: the code, the service's words, and what to do."""
    code = answer.code or "Transport.Unreadable"
    entry = code_for(code, answer.http_status)
    said = f": {answer.message}" if answer.message else ""
    named = f"; request id {answer.request_id}" if answer.request_id else ""
    text = f"{operation}: {code}{said}{named} ({entry.advice})"
    if answer.origin == "transport" or entry.owner in _PASSING:
        return UnansweredError(f"{text}; run the same command again later")
    return RunEndedError(code, text, request_id=answer.request_id)


def _is_inside(endpoint: Endpoint) -> bool:
    """Whether the service is on this machine or in this network, as one that is tried is."""
    try:
        return not ip_address(endpoint.host.strip("[]")).is_global
    except ValueError:
        return endpoint.host == "localhost"
