"""Why nothing moves: said after some seconds of silence, from what the run knows of itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

SILENCE_SECONDS: Final = 15.0
"""Nothing answered for so long is worth a word; and again after as long."""

_SLOW_SECONDS: Final = 5.0
_LONG_LINE: Final = 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        in_flight: Calls that wait for an answer.
        oldest_call: Seconds since the oldest of them left; 0 when there is none.
        ready: Rows that wait for a slot.
        preparing: Rows whose images are being fetched and checked.
        repeating: Rows that wait before a call is repeated.
        committing: Outcomes that wait for the ledger.
        until_probe: Seconds until a failing service is asked again; 0 when it is not failing.
        silent_for: Seconds since the first failure after the last good answer.
        trouble: The endpoint that does not answer, and why; empty where nobody knows.
        denied_share: Part of the latest calls that flow control refused, 0 to 1.
        rate: Calls per second allowed now.
        tier: Calls per second that the job may spend.
        most_in_flight: Calls that may be out at once.
    """

    in_flight: int
    oldest_call: float
    ready: int
    preparing: int
    repeating: int
    committing: int
    until_probe: float
    silent_for: float
    denied_share: float
    rate: float
    tier: float
    most_in_flight: int
    trouble: str = ""


def why_waiting(now: Snapshot) -> str:  # noqa: PLR0911 - one line for each cause
    """What a run waits for, in words for a tired operator; the nearest cause first."""
    if now.committing and not now.in_flight:
        return f"the disk: {now.committing} outcomes wait for the ledger's commit"
    if now.silent_for > 0 and (now.until_probe > 0 or now.in_flight <= 1):
        return (
            f"the service or the network: nothing but failures for {now.silent_for:.0f} s"
            f"{f', {now.trouble}' if now.trouble else ''}; "
            "one call at a time tries whether it is back"
        )
    if now.in_flight and now.oldest_call >= _SLOW_SECONDS:
        full = " and no more may be out at once" if now.in_flight >= now.most_in_flight else ""
        return f"the service: {now.in_flight} calls are out, the oldest for {now.oldest_call:.0f} s{full}"
    if now.denied_share > 0.5:  # noqa: PLR2004 - most of them
        return (
            f"flow control: {now.denied_share:.0%} of the latest calls were denied, "
            f"the pace is down to {now.rate:.2f} of {now.tier:g} calls a second; "
            "does somebody else use this instance?"
        )
    if now.ready and not now.in_flight:
        others = " others may be using the shared rate" if now.rate >= now.tier else ""
        return f"a slot: {now.ready} rows are ready, {now.rate:.2f} calls a second are allowed now{others}"
    if now.preparing and not now.ready:
        many = " of a long line" if now.preparing >= _LONG_LINE else ""
        return f"images: {now.preparing} rows{many} are being fetched and checked, none is ready"
    if now.repeating:
        return f"pauses: {now.repeating} rows wait before their call is repeated"
    return "the manifest: no row is on its way"


class Watchdog:
    """Says what a run waits for, whenever nothing has been heard for `SILENCE_SECONDS`.

    Args:
        log: Where `run_waiting` goes.
        clock: A steady clock, seconds.
    """

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._heard = clock()

    def heard(self) -> None:
        """Something moved: an answer came, or an outcome was committed."""
        self._heard = self._clock()

    async def run(self, look: Callable[[], Snapshot | None]) -> None:
        """Watch until cancelled; `look` gives the run as it is, None when no row is on its way."""
        while True:
            silent = self._clock() - self._heard
            if silent >= SILENCE_SECONDS:
                seen = look()
                if seen is not None:
                    self._log.warning("run_waiting", seconds=round(silent), waiting_for=why_waiting(seen))
                self.heard()
                silent = 0.0
            await asyncio.sleep(SILENCE_SECONDS - silent)
