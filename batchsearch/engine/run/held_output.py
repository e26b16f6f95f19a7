"""Calls are made only while the output is surely this run's: a run that has lost its lease makes none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchsearch.errors import MachineError

if TYPE_CHECKING:
    from batchsearch.engine.run.stand_in import Answerer
    from batchsearch.service.client import Answer
    from batchsearch.service.form import Call
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
