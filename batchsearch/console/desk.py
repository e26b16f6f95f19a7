"""One instance of a console's job and who calls it: over HTTP, so that each answer is there as it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import aiohttp

    from batchsearch.config.model import JobSettings
    from batchsearch.config.sections.instance_settings import InstanceSettings
    from batchsearch.pacing.pacer import Pacer
    from batchsearch.pacing.shared import SharedPacer
    from batchsearch.pacing.unpaced import Unpaced
    from batchsearch.service.client import Client
    from batchsearch.service.credentials import CredentialsProvider
    from batchsearch.service.endpoint import Endpoint

CONNECTIONS: Final = 2
"""Connections to an instance: one call is under way at a time."""


@dataclass(slots=True)
class Desk:
    """One instance, and who calls it.

    Attributes:
        instance: Its settings.
        client: Calls it.
        authority: Host and port that are called.
        embedded: It is this process's own.
        heard: Status and body of the last answer as it came.
    """

    instance: InstanceSettings
    client: Client
    authority: str
    embedded: bool
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    pacers: dict[str, Pacer | SharedPacer | Unpaced] = field(default_factory=dict)

    def pacer(self, budget: str) -> Pacer | SharedPacer | Unpaced:
        """Who grants slots of one of its rates."""
        if budget not in self.pacers:
            from batchsearch.engine.run.instance_access import pacer_for

            self.pacers[budget] = pacer_for(self.instance, budget, self.authority, embedded=self.embedded)
        return self.pacers[budget]

    async def close(self) -> None:
        """Let go of the pacers."""
        for pacer in self.pacers.values():
            await pacer.close()


def desk_of(
    settings: JobSettings,
    instance: InstanceSettings,
    session: aiohttp.ClientSession,
    endpoint: Endpoint,
    credentials: CredentialsProvider,
    *,
    embedded: bool,
) -> Desk:
    """An instance with its client.

    Args:
        settings: The job.
        instance: One of its instances.
        session: Its connections.
        endpoint: Where it is.
        credentials: Who asks.
        embedded: It is this process's own.

    Raises:
        ConfigError: A proxy is no usable address.
    """
    from batchsearch.engine.run.instance_access import client_of

    heard: list[tuple[int, bytes]] = []

    def hear(status: int, body: bytes) -> None:
        heard[:] = [(status, body)]

    client = client_of(settings, session, endpoint, credentials, heard=hear)
    return Desk(instance, client, endpoint.authority, embedded, heard)
