"""One call made until it is answered for good, outside a run: through the same pacer, by the same rules."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

from batchsearch.engine.retry.policy import History, Retry, RetryRules, decide
from batchsearch.service.codes.lookup import action_of, code_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batchsearch.config.model import JobSettings
    from batchsearch.service.client import Answer, Client
    from batchsearch.service.form import Call

_MOST_ATTEMPTS: Final = 4
_MOST_SECONDS: Final = 60.0


class SlotGiver(Protocol):
    """Grants slots and hears what became of them: a pacer, or something that looks on (see `pacing`)."""

    async def slot(self) -> float:
        """The monotonic time of a slot that may be used now."""

    def departed(self, slot_at: float) -> None:
        """The call of a slot leaves now."""

    def granted(self, slot_at: float, latency: float) -> None:
        """The call of a slot was answered, and not denied."""

    def denied(self, slot_at: float, latency: float, retry_after: float | None = None) -> None:
        """The call of a slot was denied for coming too fast."""


def rules_for_one(settings: JobSettings) -> RetryRules:
    """Bounds where a person waits: a few tries, a minute, and none after an answer that no call survives."""
    calls = settings.calls
    return RetryRules(
        max_attempts=min(_MOST_ATTEMPTS, calls.max_attempts),
        max_seconds=min(_MOST_SECONDS, calls.max_retry_seconds),
        end_after=1,
        actions=settings.codes,
    )


async def asked(
    client: Client,
    call: Call,
    pacer: SlotGiver,
    rules: RetryRules,
    *,
    clock: Callable[[], float] = time.monotonic,
    jitter: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> tuple[Answer, int]:
    """Make a call, again where its answer says so; the last answer, and how many calls were made.

    Args:
        client: Makes it.
        call: The request.
        pacer: Grants slots.
        rules: Bounds on repeating it.
        clock: Steady seconds.
        jitter: Random numbers in [0, 1).
        sleep: Waits so many seconds.

    Raises:
        ConfigError: There are no credentials to sign with.
    """
    began = clock()
    calls = denied = endings = 0
    resigned = False
    while True:
        await client.refresh_credentials()
        slot_at = await pacer.slot()
        pacer.departed(slot_at)
        answer = await client.send(call)
        calls += 1
        if answer.code is None:
            pacer.granted(slot_at, answer.latency)
            return answer, calls
        entry = code_for(answer.code, answer.http_status)
        if entry.throttles:
            denied += 1
            pacer.denied(slot_at, answer.latency, answer.retry_after)
        elif answer.origin == "api":
            pacer.granted(slot_at, answer.latency)
        action = action_of(entry, rules.actions)
        endings = endings + 1 if action == "end_run" else 0
        decision = decide(
            action,
            History(
                attempts=calls - denied,
                denied=denied,
                elapsed=clock() - began,
                ending_in_a_row=endings,
                resigned=resigned,
            ),
            rules,
            jitter=jitter(),
            throttled=entry.throttles,
            retry_after=answer.retry_after,
        )
        # Nobody waits for longer than the bound: the answer says what it was.
        if not isinstance(decision, Retry) or clock() - began + decision.wait > rules.max_seconds:
            return answer, calls
        resigned = resigned or decision.resign
        await sleep(decision.wait)
