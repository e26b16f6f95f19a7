"""A run while it holds its output in a store: what it may do, and when an answer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.errors import MachineError
from batchsearch.storage.remote.answer_journal import Attempted, JournalRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchsearch.engine.run.stand_in import Answerer
    from batchsearch.service.client import Answer
    from batchsearch.service.form import Call
    from batchsearch.storage.ledger.entries import FinishedRow, UsageKey
    from batchsearch.storage.ledger.store import Ledger
    from batchsearch.storage.remote.mirror import Mirror


class HolderClient:
    """Makes calls through another client while the run holds its output in the store.

    Another run that takes the output over calls the same instance at its full rate: of the two only one may.

    Attributes:
        address: Of the other client.

    Args:
        client: Makes them.
        mirror: Knows who holds the output.
    """

    def __init__(self, client: Answerer, mirror: Mirror) -> None:
        self._client = client
        self._mirror = mirror

    @property
    def address(self) -> str:
        """Of the other client."""
        return self._client.address

    async def send(self, call: Call) -> Answer:
        """What comes of a call.

        Raises:
            MachineError: The lease may have lapsed; nothing was sent.
        """
        if not self._mirror.is_held:
            raise MachineError(
                f"{self._mirror.address}: this run has not reached the store for so long that another may "
                "have taken over; nothing more is sent"
            )
        return await self._client.send(call)

    async def refresh_credentials(self) -> None:
        """Of the other client."""
        await self._client.refresh_credentials()


class KeptLedger:
    """A ledger whose records count only once the store has them, too.

    Args:
        ledger: The output's.
        mirror: Keeps its records in the store.
    """

    def __init__(self, ledger: Ledger, mirror: Mirror) -> None:
        self._ledger = ledger
        self._mirror = mirror

    async def finish(self, row: FinishedRow, usage: Mapping[UsageKey, int]) -> None:
        """As `Ledger.finish`."""
        await self._ledger.finish(row, usage)
        await self._mirror.keep(JournalRecord(row, usage))

    async def attempt(
        self,
        digest: bytes,
        number: int,
        detail: str,
        usage: Mapping[UsageKey, int],
        *,
        page: tuple[int, bytes] | None = None,
    ) -> None:
        """As `Ledger.attempt`."""
        await self._ledger.attempt(digest, number, detail, usage, page=page)
        await self._mirror.keep(JournalRecord(Attempted(digest, number, detail, page), usage))

    async def stand(self, digest: bytes, source: bytes | None, usage: Mapping[UsageKey, int]) -> None:
        """As `Ledger.stand`; it has cost no call."""
        await self._ledger.stand(digest, source, usage)

    async def forget(self, digest: bytes) -> None:
        """As `Ledger.forget`; what is found again is of another request."""
        await self._ledger.forget(digest)
