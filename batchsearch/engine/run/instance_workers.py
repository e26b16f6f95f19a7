"""The instance workers of a run, side by side: each at its own pace, all write to one output."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchsearch.errors import RunEndedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchsearch.engine.parts.sealer import Sealer
    from batchsearch.engine.run.runner import Runner


@dataclass(frozen=True, slots=True)
class ActiveWorker:
    """An instance worker's runner, and how many rows it prepares at once."""

    runner: Runner
    preparers: int


class InstanceWorkers:
    """Runs all instance workers of a run to their ends.

    An instance that can no longer be called ends its own worker; the others go on. A disk that refuses ends
    all of them.

    Args:
        manned: The instance workers.
        sealer: Writes parts of what they bring.
    """

    def __init__(self, manned: Sequence[ActiveWorker], sealer: Sealer) -> None:
        self._manned = tuple(manned)
        self._sealer = sealer
        self._ended: list[RunEndedError] = []

    @property
    def unfinished(self) -> bool:
        """Whether rows are left without an outcome."""
        return any(each.runner.unfinished for each in self._manned)

    @property
    def stopped_because(self) -> str:
        """Why instance workers stopped before their end; empty when none did."""
        return "; ".join(dict.fromkeys(filter(None, (each.runner.stopped_because for each in self._manned))))

    def stop(self, why: str) -> None:
        """Send nothing more; calls that are out may still answer."""
        for each in self._manned:
            each.runner.stop(why)

    async def run(self) -> None:
        """Work until every row has its outcome, or until stopped; what is known is sealed on return.

        Raises:
            RunEndedError: An answer that no row can survive.
            OutputError: The ledger or the output cannot be written.
        """
        sealing = asyncio.create_task(self._sealer.run())
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_watch(sealing))
                await asyncio.wait([group.create_task(self._run(each)) for each in self._manned])
                watch.cancel()
        except BaseExceptionGroup as problems:
            raise problems.exceptions[0] from None
        finally:
            sealing.cancel()
            await asyncio.gather(sealing, return_exceptions=True)
        await self._sealer.finish(at_least_one=not self.unfinished)
        if self._ended:
            raise self._ended[0]

    async def _run(self, manned: ActiveWorker) -> None:
        try:
            await manned.runner.run(manned.preparers)
        except RunEndedError as error:
            self._ended.append(error)


async def _watch(sealing: asyncio.Task[None]) -> None:
    await asyncio.wait([sealing])
    sealing.result()
