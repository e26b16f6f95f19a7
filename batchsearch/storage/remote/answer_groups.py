"""Answers that are kept in a store together: whoever comes meanwhile shares one object with the others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from batchsearch.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from batchsearch.storage.remote.answer_journal import JournalRecord


class AnswerGroups:
    """Gathers records for a moment, so that the store is asked a few times a second at most.

    Args:
        seconds: How long a group is gathered.
        put: Keeps a group; raises OutputError where that cannot be.
    """

    def __init__(self, seconds: float, put: Callable[[Sequence[JournalRecord]], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._put = put
        self._records: list[JournalRecord] = []
        self._kept: asyncio.Future[None] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def keep(self, record: JournalRecord) -> None:
        """Keep a record; returns when it is in the store."""
        self._records.append(record)
        if self._kept is None:
            self._kept = asyncio.get_running_loop().create_future()
            self._kept.add_done_callback(take_error)
        kept = self._kept
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_groups())
        await asyncio.shield(kept)

    async def _keep_groups(self) -> None:
        while self._kept is not None:
            await asyncio.sleep(self._seconds)
            # Whoever comes from now on is of the next group.
            records, kept = self._records, self._kept
            self._records, self._kept = [], None
            try:
                await self._put(records)
            except OutputError as error:
                kept.set_exception(error)
            else:
                kept.set_result(None)


def take_error(task: asyncio.Future[Any]) -> None:
    """Have an error that nobody waits for any more not be told as a lost one."""
    if not task.cancelled():
        task.exception()
